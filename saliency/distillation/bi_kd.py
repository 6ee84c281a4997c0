"""Bi-KD: on every sample the model that does best teaches all others, in one stage, for any number of models.

Paper: "Simplifying Knowledge Transfer in Pretrained Models", TMLR 2025, Eq. 3-6 and 11-13.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from saliency.distillation.base import Divergence, Transfer, check_learners, learns, pay, pick

Tie = Literal["paper", "first", "last", "none", "official"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BiKD:
    """Per sample, the learner with the lowest loss teaches; every other one pays its divergence from it.

        loss_n = weight * sum_{j != i} divergence(student j, teacher i),  i = argmin_k losses[k, n]

    The sum runs over the K - 1 students (Eq. 13), so each student pays exactly one divergence per sample.
    A frozen learner may teach and never pays. A learner with a NaN or infinite loss on a sample neither
    teaches nor pays there.

    Attributes:
        tie: who teaches when the lowest loss is shared. ``"paper"``: the last of two models (Eq. 3), the
            first of three or more (Eq. 11); ``"first"``; ``"last"``; ``"none"``: nobody; ``"official"``: the
            last of two models, nobody of three or more, and nobody on a sample where any loss is NaN.
        stop_gradient: a teacher is not changed by its students (section 3.2).
        teacher: ``"best"``; ``"worst"`` and ``"random"`` are controls. Random draws from torch's generator.
        weight: factor of the transfer loss.
        task_weight: factor of the task losses.
        drop_nan: leave samples out of the mean that nobody can score.
    """

    tie: Tie = "paper"
    stop_gradient: bool = True
    teacher: Literal["best", "worst", "random"] = "best"
    weight: float = 1.0
    task_weight: float = 1.0
    drop_nan: bool = True

    @classmethod
    def official(cls) -> "BiKD":
        """The published training scripts (github.com/Syd-J/Bi-KD) where they differ from the paper.

        * the teacher's prediction is not detached, so students also pull their teacher
          (train_bi_kd.py, train_tri_kd.py, train_quad_kd.py, train_sal_bi_kd.py, train_sal_tri_kd.py);
        * with three or more models, a tie for the best drops the sample's transfer (tri, quad scripts);
        * a degenerate map is not handled: one NaN makes the whole batch's loss NaN. The task must let it
          through as well: ``SaliencyTask(degenerate="propagate")``.

        Differences outside the distiller: ``ClassificationTask(stable_log=False)`` for log(softmax(x)). The
        published segmentation script detaches both predictions and so transfers nothing; this preset does not
        copy that.
        """
        return cls(tie="official", stop_gradient=False, drop_nan=False)

    def __call__(
        self,
        preds: Mapping[str, Tensor],
        losses: Mapping[str, Tensor],
        divergence: Divergence,
        *,
        confidences: Mapping[str, Tensor] | None = None,
    ) -> Transfer:
        """See `Distiller`."""
        check_learners(preds, "Bi-KD")
        scores = torch.stack([losses[name].detach() for name in preds])  # (K, B)
        valid = scores.isfinite()
        if self.teacher == "worst":
            scores = -scores
        elif self.teacher == "random":
            scores = torch.where(valid, torch.rand_like(scores), torch.nan)
        teachers = select_teachers(scores, self.tie)

        taught = teachers.any(0)  # (B,)
        teacher = pick(preds, teachers)  # (B, ...)
        if self.stop_gradient:
            teacher = teacher.detach()
        loss = torch.zeros_like(scores[0])
        for k, pred in enumerate(preds.values()):
            if learns(pred):
                loss = loss + pay(divergence, pred, teacher, taught & valid[k] & ~teachers[k])
        return Transfer(self.weight * loss, teachers, self.task_weight, self.drop_nan)


def select_teachers(losses: Tensor, tie: Tie = "paper") -> Tensor:
    """Choose at most one teacher per sample, the model with the lowest loss.

    Args:
        losses: (K, B); a NaN or infinite value never teaches.
        tie: see `BiKD`.

    Returns:
        (K, B) bool.
    """
    if tie == "official":
        if len(losses) == 2:
            return torch.stack([losses[0] < losses[1], losses[0] >= losses[1]])  # NaN: neither
        best = losses == losses.min(0).values  # NaN is the minimum, and equals nothing
        return best & (best.sum(0) == 1)
    valid = losses.isfinite()
    best = valid & (losses == torch.where(valid, losses, torch.inf).min(0).values)
    if tie == "none":
        return best & (best.sum(0) == 1)
    if tie == "last" or (tie == "paper" and len(losses) == 2):
        return best & (best.flip(0).cumsum(0).flip(0) == 1)
    return best & (best.cumsum(0) == 1)
