"""Knowledge distillation from one fixed teacher to every other learner.

Paper: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015. The temperature belongs to
the task's divergence, which also carries the factor T^2.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from saliency.distillation.base import Divergence, Transfer, check_learners, learns, pay


@dataclass(frozen=True, slots=True, kw_only=True)
class KD:
    """One named learner teaches on every sample; each other learner pays its divergence from it.

    loss_n = weight * sum_{j != teacher} divergence(student j, teacher)

    The teacher's gradient is always stopped. Give it no optimizer: then it is frozen and stays in eval mode.

    Attributes:
        teacher: name of the learner that teaches.
        weight: factor of the transfer loss.
        task_weight: factor of the task losses. The default of 1 and 1 is Bi-KD's section 3.1.
    """

    teacher: str
    weight: float = 1.0
    task_weight: float = 1.0

    @classmethod
    def mixed(cls, teacher: str, alpha: float) -> "KD":
        """(1 - alpha) * task loss + alpha * divergence (0.5: Roth et al.'s XE-KL)."""
        return cls(teacher=teacher, weight=alpha, task_weight=1.0 - alpha)

    @classmethod
    def divergence_only(cls, teacher: str) -> "KD":
        """No task loss: Roth et al.'s "KL transfer"."""
        return cls(teacher=teacher, task_weight=0.0)

    def __call__(
        self,
        preds: Mapping[str, Tensor],
        losses: Mapping[str, Tensor],
        divergence: Divergence,
        *,
        confidences: Mapping[str, Tensor] | None = None,
    ) -> Transfer:
        """See `Distiller`."""
        check_learners(preds, "KD", self.teacher)
        valid = {name: losses[name].isfinite() for name in preds}
        teaches = valid[self.teacher]
        teacher = preds[self.teacher].detach()
        loss = torch.zeros_like(losses[self.teacher])
        for name, pred in preds.items():
            if name != self.teacher and learns(pred):
                loss = loss + pay(divergence, pred, teacher, teaches & valid[name])
        teachers = torch.stack([teaches & (name == self.teacher) for name in preds])
        return Transfer(self.weight * loss, teachers, self.task_weight)
