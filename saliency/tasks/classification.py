"""Image classification: logits (B, C), cross-entropy, and the divergence of softened class probabilities."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from saliency.errors import InputError


def top_k(pred: Tensor, labels: Tensor, k: int) -> Tensor:
    """(B,) float64, 1 if the label is among the k highest logits; equal logits rank by class number.

    Args:
        pred: (B, C) logits or probabilities. A row with NaN counts as wrong.
        labels: (B,) class numbers; NaN is returned where one is negative (unknown).
        k: how many guesses are allowed.
    """
    own = pred.gather(1, labels.clamp(min=0)[:, None])  # (B, 1)
    earlier = torch.arange(pred.shape[1], device=pred.device) < labels[:, None]  # (B, C)
    rank = ((pred > own) | ((pred == own) & earlier)).sum(1)
    correct = ((rank < k) & ~pred.isnan().any(1)).double()
    return torch.where(labels >= 0, correct, torch.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationTask:
    """Loss, divergence and metrics of class logits; the target is a (B,) int64 tensor of class numbers.

    divergence = T^2 KL(softmax(teacher / T) || softmax(student / T))

    computed with log-softmax, which stays finite where a probability underflows. The loss is NaN with zero
    gradient where a logit is not finite or the label is negative (unknown).

    Attributes:
        temperature: T of the divergence; the ranking always uses T = 1.
        direction: ``"forward"``: KL(teacher || student); ``"reverse"``: KL(student || teacher), Eq. 1 of the
            Bi-KD paper read literally.
        compare: what decides who teaches. ``"prob"``: the ground truth's probability, as published; it saturates
            in float32 at 1.0 for logit gaps above about 17, which makes ties. ``"log_prob"``: its logarithm,
            which keeps the order.
        label_smoothing: of the cross-entropy that trains; the ranking ignores it.
        stable_log: False takes log(softmax(x)) as the published scripts do: NaN after an underflow.
        monitor: the metric that chooses the best checkpoint, higher is better.
    """

    temperature: float = 1.0
    direction: Literal["forward", "reverse"] = "forward"
    compare: Literal["prob", "log_prob"] = "prob"
    label_smoothing: float = 0.0
    stable_log: bool = True
    monitor: str = "top1"

    metrics: ClassVar[Mapping[str, Callable[[Tensor, Tensor], Tensor]]] = {
        "top1": partial(top_k, k=1),
        "top3": partial(top_k, k=3),
        "top5": partial(top_k, k=5),
    }

    def align(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the logits (B, C) in at least float32.

        Raises:
            TypeError: the output is not one row of logits per label.
        """
        if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != len(target):
            found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise TypeError(f"classification wants logits ({len(target)}, C) from a model, got {found}")
        return output if output.dtype == torch.float64 else output.float()

    def loss(self, pred: Tensor, target: Tensor) -> Tensor:
        """(B,) cross-entropy in nats.

        Raises:
            InputError: a label beyond the model's classes (seen on a CPU only: a GPU ends with an assertion).
        """
        usable = pred.isfinite().all(1) & (target >= 0)
        safe = torch.where(usable[:, None], pred, 0.0)  # keeps NaN out of the gradient
        label = target.clamp(min=0)
        try:
            loss = F.cross_entropy(safe, label, reduction="none", label_smoothing=self.label_smoothing)
        except IndexError as error:
            raise InputError(
                f"the data has the class {int(label.max())}, the model {pred.shape[1]} classes: set its classes"
            ) from error
        return torch.where(usable, loss, torch.nan)

    def ranking(self, pred: Tensor, target: Tensor, loss: Tensor) -> Tensor:
        """(B,) minus the ground truth's (log-)probability at T = 1."""
        with torch.no_grad():
            if self.compare == "log_prob":
                return torch.where(loss.isnan(), torch.nan, _exact_nll(pred, target.clamp(min=0)))
            if self.label_smoothing > 0:
                loss = ClassificationTask().loss(pred, target)
            return -torch.exp(-loss)

    def comparable(self, pred: Tensor) -> Tensor:
        """The prediction itself."""
        return pred

    def divergence(self, student: Tensor, teacher: Tensor) -> Tensor:
        """(B,) T^2 KL(teacher || student) in nats."""
        if self.direction == "reverse":
            student, teacher = teacher, student
        log_p = self._log_softmax(student)
        log_q = self._log_softmax(teacher)
        return self.temperature**2 * F.kl_div(log_p, log_q, reduction="none", log_target=True).sum(1)

    def confidence(self, pred: Tensor) -> Tensor:
        """(B,) the highest class probability at T = 1."""
        return pred.softmax(1).amax(1)

    def _log_softmax(self, logits: Tensor) -> Tensor:
        logits = logits / self.temperature
        return logits.log_softmax(1) if self.stable_log else logits.softmax(1).log()


def _exact_nll(logits: Tensor, labels: Tensor) -> Tensor:
    """(B,) -log softmax at the label, also when it is so small that 1 + x rounds x away."""
    others = (logits - logits.gather(1, labels[:, None])).scatter(1, labels[:, None], -torch.inf)  # (B, C)
    rest = others.logsumexp(1)  # log of what the other classes weigh against the label
    return F.softplus(rest)  # log(1 + exp(rest)), by log1p
