"""The ensemble as teacher: every learner pays for differing from the mean of all predictions."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from saliency.distillation.base import Divergence, Transfer, check_learners, learns, mean_prediction, pay


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleTeacher:
    """Each learner pays its divergence from the mean prediction, whose gradient is stopped.

    loss_n = weight * sum_k divergence(student k, mean_j prediction j)

    A learner that could not score a sample takes no part in it.

    Attributes:
        weight: factor of the transfer loss.
        task_weight: factor of the task losses.
        normalise: divide each prediction by its sum first: the mean of maps that are compared as distributions. False
            takes the mean of what the task compares (for classification: of the logits).
    """

    weight: float = 1.0
    task_weight: float = 1.0
    normalise: bool = True

    def __call__(
        self,
        preds: Mapping[str, Tensor],
        losses: Mapping[str, Tensor],
        divergence: Divergence,
        *,
        confidences: Mapping[str, Tensor] | None = None,
    ) -> Transfer:
        """See `Distiller`."""
        check_learners(preds, "the ensemble teacher")
        valid = torch.stack([losses[name].isfinite() for name in preds])  # (K, B)
        teacher = mean_prediction(preds, valid, normalise=self.normalise)  # (B, ...)
        several = valid.sum(0) > 1  # nobody learns from itself
        loss = torch.zeros_like(next(iter(losses.values())))
        for k, pred in enumerate(preds.values()):
            if learns(pred):
                loss = loss + pay(divergence, pred, teacher, valid[k] & several)
        return Transfer(self.weight * loss, valid & several, self.task_weight)
