"""What a task is: how a prediction is brought to the target, scored, and compared with another."""

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from torch import Tensor

T = TypeVar("T")


class Task(Protocol[T]):
    """Loss, divergence and metrics of one kind of problem.

    Nothing is averaged over the batch: choosing a teacher needs one value per sample.
    A sample (or a model's prediction of it) that cannot be scored gets a NaN loss with zero gradient.
    """

    metrics: Mapping[str, Callable[[Tensor, T], Tensor]]
    """name -> function (prediction, target) -> (B,) float64; NaN where undefined."""

    monitor: str
    """The metric that chooses a model's best checkpoint, e.g. ``"cc"``; higher is better."""

    def align(self, output: Tensor, target: T) -> Tensor:
        """Bring one model's raw output to the target's grid."""
        ...

    def loss(self, pred: Tensor, target: T) -> Tensor:
        """(B,) task loss; the model with the lowest teaches."""
        ...

    def divergence(self, student: Tensor, teacher: Tensor) -> Tensor:
        """(B,) what a student pays for differing from a teacher; gradients reach both arguments."""
        ...

    def confidence(self, pred: Tensor) -> Tensor:
        """(B,) label-free confidence, for methods that compare models without ground truth."""
        ...
