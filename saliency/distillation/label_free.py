"""Transfer without ground truth: who teaches is decided by the predictions alone, so samples need none.

The Bi-KD paper leaves this to future work; the rules here are this project's own. Compare with `BiKD(teacher="random")`
and the control before believing in one (docs/science).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from saliency.distillation.base import Divergence, Transfer, check_learners, learns, mean_prediction, pay, pick
from saliency.distillation.bi_kd import select_teachers
from saliency.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFree:
    """Per sample one learner teaches all others, as in Bi-KD, but no label says which.

    Attributes:
        by: ``"agreement"``: the learner whose prediction diverges least from the mean of all; ``"confidence"``: the
            one with the highest confidence. What that is, the stage says (`Stage.confidence`): the task's own, how
            little a prediction changes when its input is mirrored, or minus the loss that is predicted for it;
            ``"random"``: any, a control that draws from torch's generator.
        weight: factor of the transfer loss.
        task_weight: factor of the task losses, of the samples that have ground truth; 0 uses no label at all.
        normalise: divide each prediction by its sum before the mean is taken, as maps want it; False for logits.

    A learner whose prediction of a sample is not finite neither teaches nor pays there.
    """

    by: Literal["agreement", "confidence", "random"] = "agreement"
    weight: float = 1.0
    task_weight: float = 0.0
    normalise: bool = True

    def __call__(
        self,
        preds: Mapping[str, Tensor],
        losses: Mapping[str, Tensor],
        divergence: Divergence,
        *,
        confidences: Mapping[str, Tensor] | None = None,
    ) -> Transfer:
        """See `Distiller`; of `losses` only the shape is used."""
        check_learners(preds, "label-free transfer")
        with torch.no_grad():
            valid = torch.stack([pred.flatten(1).isfinite().all(1) for pred in preds.values()])  # (K, B)
            if self.by == "agreement":
                mean = mean_prediction(preds, valid, normalise=self.normalise)
                doubts = torch.stack([pay(divergence, p, mean, v) for p, v in zip(preds.values(), valid, strict=True)])
            elif self.by == "random":
                doubts = torch.rand(valid.shape, device=valid.device)
            elif confidences is None:
                raise InputError("teachers by confidence need the task's confidences: pass them, or choose agreement")
            else:
                doubts = -torch.stack([confidences[name].detach() for name in preds])
            teachers = select_teachers(torch.where(valid, doubts, torch.nan), "first")  # (K, B)
        teacher = pick(preds, teachers).detach()  # (B, ...)
        loss = torch.zeros_like(next(iter(losses.values())).detach())
        for k, pred in enumerate(preds.values()):
            if learns(pred):
                loss = loss + pay(divergence, pred, teacher, teachers.any(0) & valid[k] & ~teachers[k])
        return Transfer(self.weight * loss, teachers, self.task_weight, labels=False)
