"""What a task is: how a prediction is brought to the target, scored, and compared with another."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

from torch import Tensor

from saliency.types import InputSpec

T = TypeVar("T", contravariant=True)


class Task(Protocol[T]):
    """Loss, divergence and metrics of one kind of problem.

    Nothing is averaged over the batch: choosing a teacher needs one value per sample.
    A sample (or a model's prediction of it) that cannot be scored gets a NaN loss with zero gradient.
    """

    metrics: ClassVar[Mapping[str, Callable[[Any, Any], Tensor]]]
    """Name -> function (prediction, target) -> (B,) float64; NaN where undefined."""

    @property
    def monitor(self) -> str:
        """What chooses a model's best checkpoint: a metric (higher is better) or ``"loss"`` (lower is)."""
        ...

    def align(self, output: Any, target: T) -> Any:
        """Bring one model's raw output to the target's grid; mostly (B, ...), in float32 at least."""
        ...

    def loss(self, pred: Any, target: T) -> Tensor:
        """(B,) task loss; gradients reach `pred`."""
        ...

    def ranking(self, pred: Any, target: T, loss: Tensor) -> Tensor:
        """(B,) what decides who teaches: the model with the lowest value; NaN never teaches.

        Usually `loss` (the value of ``self.loss(pred, target)``) itself. It differs where the loss that
        trains is not the score that compares: label smoothing, or a loss normalised over the batch.
        """
        ...

    def comparable(self, pred: Any) -> Tensor:
        """(B, ...) what models are compared by, the argument of `divergence` and `confidence`.

        The prediction itself where that is one tensor.
        """
        ...

    def divergence(self, student: Tensor, teacher: Tensor) -> Tensor:
        """(B,) what a student pays for differing from a teacher; gradients reach both arguments."""
        ...

    def confidence(self, pred: Tensor) -> Tensor:
        """(B,) label-free confidence, for methods that compare models without ground truth."""
        ...


@runtime_checkable
class Totals(Protocol):
    """Added by a task whose scores belong to a whole data set, such as mIoU from one confusion matrix."""

    def totals(self, pred: Any, target: Any) -> Mapping[str, Tensor]:
        """Name -> (B, ...) counts, to be summed over all samples."""
        ...

    def summarise(self, totals: Mapping[str, Tensor]) -> Mapping[str, float]:
        """Scores from the summed counts (without the batch axis)."""
        ...


@runtime_checkable
class Pictures(Protocol):
    """Added by a task whose predictions can be looked at while training."""

    def picture(self, inputs: Tensor, target: Any, pred: Any, spec: InputSpec) -> Tensor:
        """(3, H, W) uint8: the first sample of a batch, its ground truth and its prediction side by side.

        `inputs` (B, ...) are normalised as `spec` says.
        """
        ...
