"""KL + data partitioning: a frozen teacher teaches only where it beats the student's own initial copy.

Paper: Roth et al., "Fantastic Gains and Where to Find Them: On the Existence and Prospect of General
Knowledge Transfer between Any Pretrained Model", ICLR 2024.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from saliency.distillation.base import Divergence, Transfer, check_learners, learns, pay, pick
from saliency.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class KLDP:
    """Per sample the best of {frozen initial student, frozen teachers} is the target; no task loss.

    loss_n = weight * sum over the other learners j of divergence(student j, target_n)

    "Best" is the highest confidence without labels, or the lowest loss when supervised. A tie goes to the
    initial student, then to the teacher named first. Frozen targets need no optimizer; the initial student is
    a learner of the same model and checkpoint as the student.

    Attributes:
        teachers: names of the frozen teachers.
        initial: name of the frozen copy of the initial student.
        supervised: compare by the ground truth instead of by confidence.
        weight: factor of the transfer loss.
        task_weight: factor of the task losses.
    """

    teachers: tuple[str, ...]
    initial: str
    supervised: bool = False
    weight: float = 1.0
    task_weight: float = 0.0

    def __call__(
        self,
        preds: Mapping[str, Tensor],
        losses: Mapping[str, Tensor],
        divergence: Divergence,
        *,
        confidences: Mapping[str, Tensor] | None = None,
    ) -> Transfer:
        """See `Distiller`."""
        targets = (self.initial, *self.teachers)
        check_learners(preds, "KL+DP", *targets)
        if self.supervised:
            scores = [-losses[name].detach() for name in targets]
        elif confidences is not None:
            scores = [confidences[name].detach() for name in targets]
        else:
            raise InputError("unsupervised KL+DP needs the task's confidences: pass them or set supervised=True")

        # The first of equals wins, so the initial student stays the target unless it is strictly beaten.
        score = torch.stack(scores)  # (1 + teachers, B)
        score = torch.where(score.isfinite(), score, -torch.inf)
        best = (score == score.max(0).values) & score.isfinite()
        chosen = best & (best.cumsum(0) == 1)
        target = pick({name: preds[name] for name in targets}, chosen).detach()  # (B, ...)

        loss = torch.zeros_like(losses[self.initial])
        for name, pred in preds.items():
            if name not in targets and learns(pred):
                loss = loss + pay(divergence, pred, target, chosen.any(0) & losses[name].isfinite())
        nobody = torch.zeros_like(chosen[0])
        teachers = torch.stack([chosen[targets.index(n)] if n in targets else nobody for n in preds])
        return Transfer(self.weight * loss, teachers, self.task_weight)
