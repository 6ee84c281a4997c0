"""What a distillation method is: per-sample losses in, what each sample costs in transfer out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

Divergence = Callable[[Tensor, Tensor], Tensor]
"""(student prediction, teacher prediction) -> (B,)"""


@dataclass(frozen=True, slots=True)
class Transfer:
    """What a distiller returns.

    Attributes:
        loss: (B,) transfer loss of each sample, summed over its students.
        teachers: (K, B) bool, True where model k (in the order of `preds`) taught sample b.
    """

    loss: Tensor
    teachers: Tensor


class Distiller(Protocol):
    """A knowledge transfer method; it knows no task, no model and no data."""

    def __call__(
        self,
        preds: Mapping[str, Tensor],
        losses: Mapping[str, Tensor],
        divergence: Divergence,
        *,
        confidences: Mapping[str, Tensor] | None = None,
    ) -> Transfer:
        """Compare the models on a batch.

        Args:
            preds: learner name -> prediction (B, ...) on the common grid, in a fixed order.
            losses: learner name -> task loss (B,); NaN where it cannot be computed.
            divergence: the task's divergence between a student's and a teacher's prediction.
            confidences: learner name -> (B,) label-free confidence; only some methods need it.
        """
        ...
