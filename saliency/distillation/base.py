"""What a distillation method is: per-sample losses in, what each sample costs in transfer out.

Nothing here waits for the device: no value of a tensor decides what Python does next.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from saliency.errors import InputError, nearest

Divergence = Callable[[Tensor, Tensor], Tensor]
"""(student prediction, teacher prediction) -> (B,)"""


@dataclass(frozen=True, slots=True)
class Transfer:
    """What a distiller returns.

    Attributes:
        loss: (B,) transfer loss of each sample, summed over its students.
        teachers: (K, B) bool, True where model k (in the order of `preds`) taught sample b.
        task_weight: factor of the learners' own task losses in the total.
        drop_nan: leave samples out of the mean that no learner could score; False lets their NaN through.
        labels: whether ground truth says who teaches. Where it does not, samples without a score count too: those
            without ground truth, whose task loss is left out.
    """

    loss: Tensor
    teachers: Tensor
    task_weight: float = 1.0
    drop_nan: bool = True
    labels: bool = True


class Distiller(Protocol):
    """A knowledge transfer method; it knows no task, no model and no data."""

    def __call__(
        self,
        preds: Mapping[str, Tensor],
        losses: Mapping[str, Tensor],
        divergence: Divergence,
        *,
        confidences: Mapping[str, Tensor] | None = None,
    ) -> Transfer:
        """Compare the models on a batch.

        Args:
            preds: learner name -> prediction (B, ...) on the common grid, in a fixed order.
            losses: learner name -> (B,) what decides who teaches, lowest first (`Task.ranking`, usually
                the task loss); NaN where it cannot be computed. No gradient is taken from it.
            divergence: the task's divergence between a student's and a teacher's prediction.
            confidences: learner name -> (B,) label-free confidence; only some methods need it.
        """
        ...


def combine(losses: Mapping[str, Tensor], transfer: Transfer) -> Tensor:
    """Reduce a batch to the scalar that is minimised.

    A learner that could not score a sample (NaN) takes no part in it; a sample nobody could score is dropped unless
    the transfer does without ground truth, and the mean is over the samples kept. An infinite loss is not dropped: it
    is an error to be seen.

    Args:
        losses: learner name -> (B,) task loss, of the trainable learners only.
        transfer: what the distiller returned for the same batch.

    Returns:
        Scalar: mean over the kept samples of task_weight * (sum of task losses) + transfer loss;
        0 if no sample was kept.
    """
    task = torch.stack(list(losses.values()))  # (K, B)
    if not transfer.drop_nan:
        return (transfer.task_weight * task.sum(0) + transfer.loss).mean()
    scored = ~task.isnan()
    kept = scored.any(0) if transfer.labels else torch.ones_like(scored[0])  # (B,)
    total = torch.where(kept, transfer.loss, 0.0)
    if transfer.task_weight != 0.0:
        total = total + transfer.task_weight * torch.where(scored, task, 0.0).sum(0)
    return total.sum() / kept.sum().clamp(min=1)


# What the methods share.


def pay(divergence: Divergence, student: Tensor, teacher: Tensor, pays: Tensor) -> Tensor:
    """(B,) the divergence where `pays`, elsewhere 0 with zero gradient, whatever the predictions hold there.

    Args:
        divergence: (student, teacher) -> (B,).
        student: (B, ...) prediction.
        teacher: (B, ...) prediction; detach it to stop its gradient.
        pays: (B,) bool.
    """
    mask = pays.view(-1, *[1] * (student.ndim - 1))  # (B, 1, ...)
    # Masked before *and* after: a NaN that is only masked after the divergence comes back as a NaN gradient.
    value = divergence(torch.where(mask, student, 1.0), torch.where(mask, teacher, 1.0))
    return torch.where(pays, value, 0.0)


def pick(preds: Mapping[str, Tensor], teachers: Tensor) -> Tensor:
    """(B, ...) the prediction of each sample's teacher; the first model's where nobody teaches.

    Args:
        preds: K predictions (B, ...).
        teachers: (K, B) bool, at most one True per sample.
    """
    chosen, *others = preds.values()
    for pred, mask in zip(others, teachers[1:], strict=True):
        chosen = torch.where(mask.view(-1, *[1] * (pred.ndim - 1)), pred, chosen)
    return chosen


def mean_prediction(preds: Mapping[str, Tensor], valid: Tensor, *, normalise: bool) -> Tensor:
    """(B, ...) the mean of the valid predictions of each sample, without their gradients; 0 where none is valid.

    Args:
        preds: K predictions (B, ...).
        valid: (K, B) bool, which of them count.
        normalise: divide each prediction by its sum first, as maps want it that are compared as distributions.
    """
    members = torch.stack([pred.detach() for pred in preds.values()])  # (K, B, ...)
    mask = valid.view(*valid.shape, *[1] * (members.ndim - 2))  # (K, B, 1, ...)
    members = torch.where(mask, members, 0.0)
    if normalise:
        sums = members.flatten(2).sum(-1).view_as(mask)
        members = members / torch.where(sums > 0, sums, 1.0)
    return members.sum(0) / mask.sum(0).clamp(min=1)


def learns(pred: Tensor) -> bool:
    """Whether this learner can pay: a frozen one teaches, but its prediction carries no gradient."""
    return pred.requires_grad or not torch.is_grad_enabled()


def check_learners(preds: Mapping[str, Tensor], method: str, *roles: str) -> None:
    """Refuse what cannot be transferred between.

    Args:
        preds: learner name -> prediction.
        method: name of the method, for the message.
        roles: learner names the method was configured with.

    Raises:
        InputError: fewer than two learners, or a role names no learner.
        TypeError: predictions of different shapes, as from models with different tasks' heads.
    """
    if len(preds) < 2:
        raise InputError(f"{method} needs at least 2 learners, got {len(preds)}: add a learner to the run")
    for role in roles:
        if role not in preds:
            known = ", ".join(preds)
            raise InputError(f"{method}: no learner is called '{role}' (learners: {known}){nearest(role, preds)}")
    check_heads(preds, method)


def check_heads(preds: Mapping[str, Tensor], method: str) -> None:
    """Refuse to compare predictions of different shapes.

    Args:
        preds: learner name -> prediction.
        method: who compares them, for the message.

    Raises:
        TypeError: predictions of different shapes, as from models with different tasks' heads.
    """
    shapes = {name: tuple(pred.shape) for name, pred in preds.items()}
    if len(set(shapes.values())) > 1:
        text = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise TypeError(f"{method} compares predictions of one shape, got {text}: learners need the same task's head")
