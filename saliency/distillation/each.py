"""Several students in one run, each with its own method: for example distillation both ways between two models."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from saliency.distillation.base import Distiller, Divergence, Transfer, check_learners
from saliency.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Each:
    """Every student is trained by its own method, which sees that student and the learners that are no students.

    With frozen copies of both models, ``Each(methods={"a": KD(teacher="b_before"), "b": KD(teacher="a_before")})``
    is two independent distillations that share their batches.

    Attributes:
        methods: student's name -> method. They must agree on `task_weight`.
    """

    methods: Mapping[str, Distiller]

    def __call__(
        self,
        preds: Mapping[str, Tensor],
        losses: Mapping[str, Tensor],
        divergence: Divergence,
        *,
        confidences: Mapping[str, Tensor] | None = None,
    ) -> Transfer:
        """See `Distiller`."""
        check_learners(preds, "Each", *self.methods)
        total = torch.zeros_like(next(iter(losses.values())))
        teachers = torch.zeros(len(preds), len(total), dtype=torch.bool, device=total.device)
        weights = set()
        for student, method in self.methods.items():
            seen = [name for name in preds if name == student or name not in self.methods]
            part = method({n: preds[n] for n in seen}, losses, divergence, confidences=confidences)
            total = total + part.loss
            rows = iter(part.teachers)
            teachers = teachers | torch.stack(
                [next(rows) if name in seen else torch.zeros_like(teachers[0]) for name in preds]
            )
            weights.add(part.task_weight)
        if len(weights) > 1:
            raise InputError(f"Each: its methods must agree on task_weight, got {sorted(weights)}")
        return Transfer(total, teachers, weights.pop())
