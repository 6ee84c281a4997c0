"""What a learner's loss would be on a sample without ground truth, predicted from its prediction alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from saliency.distillation.base import mean_prediction, pay
from saliency.tasks.base import Task

KEPT = 0.98
"""Share of what was learnt that a step keeps: learners change while they train."""
RIDGE = 1e-3
"""Weight of the penalty on the coefficients, in shares of each feature's own square."""
LEAST = 32
"""Labelled samples of a learner before its loss is predicted; until then it teaches on no unlabelled sample."""


class LossPredictor:
    """For each learner a linear regression of its loss on two label-free facts of its prediction and their products.

    The facts are the task's confidence in the prediction and its divergence from the mean prediction of all learners.
    The regression is ridge regression over the labelled samples of the steps so far, older ones count less; each
    process learns from its own. Nothing waits for the device.
    """

    def __init__(self, names: Sequence[str], device: torch.device) -> None:
        self.names = list(names)
        size = 6
        self.products = torch.zeros(len(names), size, size, dtype=torch.float64, device=device)
        self.sums = torch.zeros(len(names), size, dtype=torch.float64, device=device)
        self.seen = torch.zeros(len(names), dtype=torch.float64, device=device)
        self.right = torch.zeros(2, dtype=torch.float64, device=device)

    def state(self) -> list[Any]:
        """Return what `set_state` takes: JSON data."""
        return [each.tolist() for each in (self.products, self.sums, self.seen, self.right)]

    def set_state(self, state: Sequence[Any]) -> None:
        """Go on from a state."""
        for into, values in zip((self.products, self.sums, self.seen, self.right), state, strict=True):
            into.copy_(torch.tensor(values, dtype=torch.float64))

    @torch.no_grad()
    def confidences(
        self, task: Task[Any], preds: Mapping[str, Tensor], losses: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return minus the loss of each learner, and learn from the samples that have one.

        Args:
            task: what is learnt.
            preds: learner -> what it is compared by (B, ...), in the order of the names.
            losses: learner -> (B,), NaN without ground truth.

        Returns:
            learner -> (B,): minus its loss where there is one, else minus what is predicted from the steps before.
        """
        features = self._features(task, preds)  # (K, B, F)
        ridge = RIDGE * self.products.diagonal(dim1=1, dim2=2) + 1e-9
        weights = torch.linalg.solve(self.products + torch.diag_embed(ridge), self.sums)  # (K, F)
        predicted = (features @ weights[:, :, None])[..., 0]  # (K, B)
        predicted = torch.where(self.seen[:, None] >= LEAST, predicted, torch.nan)
        known = torch.stack([losses[name].detach().double() for name in self.names])  # (K, B)
        self._judge(predicted, known)
        self._learn(features, known)
        return {name: -torch.where(k.isfinite(), k, p) for name, k, p in zip(self.names, known, predicted, strict=True)}

    def read(self) -> float:
        """Return the share of labelled samples, since the last reading, whose best learner was predicted; NaN: none."""
        right, asked = self.right.tolist()
        self.right.zero_()
        return right / asked if asked else float("nan")

    def _features(self, task: Task[Any], preds: Mapping[str, Tensor]) -> Tensor:
        values = [preds[name].detach() for name in self.names]
        valid = torch.stack([pred.flatten(1).isfinite().all(1) for pred in values])  # (K, B)
        mean = mean_prediction(dict(zip(self.names, values, strict=True)), valid, normalise=values[0].ndim > 2)
        own = torch.stack([task.confidence(pred) for pred in values]).double()  # (K, B)
        apart = torch.stack([pay(task.divergence, p, mean, v) for p, v in zip(values, valid, strict=True)]).double()
        own = torch.where(valid, own, torch.nan)
        return torch.stack([torch.ones_like(own), own, apart, own**2, apart**2, own * apart], dim=-1)

    def _judge(self, predicted: Tensor, known: Tensor) -> None:
        """Count how often the learner with the lowest loss is the one with the lowest predicted one."""
        asked = (known.isfinite() & predicted.isfinite()).all(0)  # (B,)
        best = torch.where(asked, known, 0.0).argmin(0) == torch.where(asked, predicted, 0.0).argmin(0)
        self.right += torch.stack([(best & asked).sum(), asked.sum()])

    def _learn(self, features: Tensor, known: Tensor) -> None:
        use = known.isfinite() & features.isfinite().all(-1)  # (K, B)
        x = torch.where(use[..., None], features, 0.0)
        y = torch.where(use, known, 0.0)
        kept = torch.where(use.any(1), KEPT, 1.0)  # a step without labels teaches nothing and takes nothing away
        self.products.mul_(kept[:, None, None]).add_(x.transpose(1, 2) @ x)
        self.sums.mul_(kept[:, None]).add_((x.transpose(1, 2) @ y[..., None])[..., 0])
        self.seen += use.sum(1)
