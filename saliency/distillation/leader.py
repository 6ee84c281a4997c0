"""The learner that does best on a batch teaches on all of it."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from saliency.distillation.base import Divergence, Transfer, check_learners, learns, pay


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """On each batch, the learner with the lowest mean loss teaches every other one on all of its samples.

    loss_n = weight * sum_{j != i} divergence(student j, leader i),  i = argmin_k mean_n losses[k][n]

    Bi-KD with the choice made once a batch: what is left of it when the sample does not matter. The first of equals
    leads. The mean is over the samples that every learner could score; without one nobody teaches.

    Attributes:
        weight: factor of the transfer loss.
        task_weight: factor of the task losses.
    """

    weight: float = 1.0
    task_weight: float = 1.0

    def __call__(
        self,
        preds: Mapping[str, Tensor],
        losses: Mapping[str, Tensor],
        divergence: Divergence,
        *,
        confidences: Mapping[str, Tensor] | None = None,
    ) -> Transfer:
        """See `Distiller`."""
        check_learners(preds, "the leader")
        scores = torch.stack([losses[name].detach() for name in preds])  # (K, B)
        shared = scores.isfinite().all(0)  # (B,)
        total = torch.where(shared, scores, 0.0).sum(1)  # (K,)
        leads = (total == total.min()) & shared.any()
        leads = leads & (leads.cumsum(0) == 1)  # (K,)
        loss = torch.zeros_like(scores[0])
        for name, teacher in zip(preds, leads, strict=True):
            for student, pred in preds.items():
                if student != name and learns(pred):
                    loss = loss + pay(divergence, pred, preds[name].detach(), shared & teacher)
        return Transfer(self.weight * loss, leads[:, None] & shared, self.task_weight)
