"""The control every transfer needs: the same continued training without transfer."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from saliency.distillation.base import Divergence, Transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOnly:
    """Every learner goes on with its own task loss; nobody teaches. Works for any number of learners."""

    def __call__(
        self,
        preds: Mapping[str, Tensor],
        losses: Mapping[str, Tensor],
        divergence: Divergence,
        *,
        confidences: Mapping[str, Tensor] | None = None,
    ) -> Transfer:
        """See `Distiller`."""
        scores = torch.stack([losses[name].detach() for name in preds])  # (K, B)
        return Transfer(torch.zeros_like(scores[0]), torch.zeros_like(scores, dtype=torch.bool))
