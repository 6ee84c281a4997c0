"""Saliency where other viewers than those who teach decide which network is right."""

from dataclasses import dataclass

from torch import Tensor

from saliency.tasks.saliency import SaliencyTask
from saliency.types import SaliencyTarget


@dataclass(frozen=True, slots=True)
class TwoLabelsTarget(SaliencyTarget):
    """Ground truth with a second one beside it.

    Attributes:
        other: (B, H, W) float32 >= 0, the density map of viewers whom no network learns from.
    """

    other: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherViewersTask(SaliencyTask):
    """As `SaliencyTask`, but the loss on the other viewers' map decides who teaches; the task loss stays.

    A network that has learnt one viewer's gaze by heart is no longer the best teacher for it.
    """

    def ranking(self, pred: Tensor, target: SaliencyTarget, loss: Tensor) -> Tensor:
        """(B,) the loss on the other viewers' map.

        Raises:
            TypeError: the target has one ground truth only.
        """
        if not isinstance(target, TwoLabelsTarget):
            raise TypeError(f"choosing by other viewers needs a TwoLabelsTarget, got a {type(target).__name__}")
        return self.loss(pred.detach(), SaliencyTarget(density=target.other, fixations=target.fixations))
