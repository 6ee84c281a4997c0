"""Bi-KD where it is clear who is better: no teacher without a margin."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from saliency.distillation.base import Divergence, Transfer, check_learners, learns, pay, pick
from saliency.distillation.bi_kd import select_teachers


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """As `BiKD`, but a student pays only where its loss is higher than its teacher's by more than a margin.

    Attributes:
        margin: in units of what decides who teaches, usually the task loss; 0 is Bi-KD but for ties.
        weight: factor of the transfer loss.
        task_weight: factor of the task losses.
    """

    margin: float
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
        check_learners(preds, "the margin")
        scores = torch.stack([losses[name].detach() for name in preds])  # (K, B)
        teachers = select_teachers(scores)
        best = torch.where(teachers, scores, 0.0).sum(0)  # (B,)
        behind = teachers.any(0) & scores.isfinite() & (scores - best > self.margin)  # (K, B) who learns
        teacher = pick(preds, teachers).detach()  # (B, ...)
        loss = torch.zeros_like(scores[0])
        for k, pred in enumerate(preds.values()):
            if learns(pred):
                loss = loss + pay(divergence, pred, teacher, behind[k])
        return Transfer(self.weight * loss, teachers & behind.any(0), self.task_weight)
