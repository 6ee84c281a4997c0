"""Deep mutual learning: every model teaches every other one on every sample.

Paper: Zhang, Xiang, Hospedales, Lu, "Deep Mutual Learning", CVPR 2018, with all models updated from one
    forward.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from saliency.distillation.base import Divergence, Transfer, check_learners, learns, pay


@dataclass(frozen=True, slots=True, kw_only=True)
class DML:
    """Each learner pays its mean divergence from all others.

    loss_n = weight * sum_k 1 / (K - 1) * sum_{j != k} divergence(student k, teacher j)

    Attributes:
        average: divide by K - 1 (the other learners that could score the sample) as the paper does; the
            authors' code (TensorFlow) sums. Equal for two models.
        stop_gradient: a teacher is not changed by its students.
        weight: factor of the transfer loss.
        task_weight: factor of the task losses.
    """

    average: bool = True
    stop_gradient: bool = True
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
        check_learners(preds, "DML")
        valid = {name: losses[name].isfinite() for name in preds}
        teachers = {name: pred.detach() if self.stop_gradient else pred for name, pred in preds.items()}
        scored = torch.stack(list(valid.values()))  # (K, B)
        loss = torch.zeros_like(next(iter(losses.values())))
        for student, pred in preds.items():
            if not learns(pred):
                continue
            for name, teacher in teachers.items():
                if name != student:
                    loss = loss + pay(divergence, pred, teacher, valid[student] & valid[name])
        if self.average:
            loss = loss / (scored.sum(0) - 1).clamp(min=1)
        return Transfer(self.weight * loss, scored, self.task_weight)
