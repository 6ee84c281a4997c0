"""A task, data and model small enough to train in a second: for tests and for the examples of the documentation.

They live in the package and not in a test file so that loader processes can import them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from saliency.types import Batch, InputSpec, SaliencyTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class ToyNetConfig:
    """A saliency model of two convolutions.

    Attributes:
        input: the clip it wants.
        width: channels.
        dropout: rate of the dropout between the convolutions.
        poison_after: forward passes in training after which the output is NaN; None never.
    """

    input: InputSpec = field(default_factory=lambda: InputSpec(length=2, size=(8, 12)))
    width: int = 4
    dropout: float = 0.0
    poison_after: int | None = None

    def build(self, init: str = "scratch") -> nn.Module:
        """Make the model."""
        return ToyNet(self)


class ToyNet(nn.Module):
    """(B, 3, T, H, W) -> (B, H, W) in (0, 1)."""

    def __init__(self, config: ToyNetConfig) -> None:
        super().__init__()
        self.config = config
        self.first = nn.Conv3d(3, config.width, 3, padding=1)
        self.drop = nn.Dropout(config.dropout)
        self.last = nn.Conv3d(config.width, 1, 1)
        self.passes = 0

    def forward(self, clip: Tensor) -> Tensor:
        """Predict the map of each clip."""
        x = self.drop(torch.relu(self.first(clip)))  # (B, width, T, H, W)
        y = torch.sigmoid(self.last(x).mean(2)[:, 0])  # (B, H, W)
        if self.training and self.config.poison_after is not None:
            self.passes += 1
            if self.passes > self.config.poison_after:
                y = y * torch.nan
        return y


@dataclass(frozen=True, slots=True, kw_only=True)
class ToyData:
    """Noise clips whose salient spot is the brightest corner.

    Attributes:
        size: samples in an epoch.
        held_out: validation samples.
    """

    size: int = 12
    held_out: int = 4

    def training(self, views: Mapping[str, InputSpec]) -> "ToySamples":
        """Random samples."""
        return ToySamples(views, self.size)

    def validation(self, views: Mapping[str, InputSpec]) -> "ToySamples":
        """Fixed samples."""
        return ToySamples(views, self.held_out)


class ToySamples:
    """Samples that are a pure function of their key."""

    def __init__(self, views: Mapping[str, InputSpec], size: int) -> None:
        self.views, self.size = dict(views), size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, key: int | tuple[int, int, int]) -> dict[str, Any]:
        if not isinstance(key, tuple):
            key = (-1 % 2**32, 0, key)
        random = np.random.default_rng(key)
        corner = int(random.integers(4))
        return {"seed": int(random.integers(2**31)), "corner": corner, "id": f"{key}"}

    def prepare(self, samples: list[dict[str, Any]], device: torch.device) -> Batch[SaliencyTarget]:
        """Make the batch."""
        inputs = {}
        for name, spec in self.views.items():
            clips = [_clip(sample, spec) for sample in samples]
            inputs[name] = torch.stack(clips).to(device)
        density = torch.stack([_spot(sample["corner"], 8, 12) for sample in samples]).to(device)
        target = SaliencyTarget(density=density, fixations=density > 0.9)
        return Batch(inputs=inputs, target=target, ids=[sample["id"] for sample in samples])


def _spot(corner: int, height: int, width: int) -> Tensor:
    """(H, W) a Gaussian spot in the middle of a quarter of the picture, largest value 1."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    cy, cx = (height * (1 + 2 * (corner // 2))) // 4, (width * (1 + 2 * (corner % 2))) // 4
    return torch.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 4.0)


def _clip(sample: Mapping[str, Any], spec: InputSpec) -> Tensor:
    """(3, T, H, W) noise with the spot on top."""
    generator = torch.Generator().manual_seed(sample["seed"])
    noise = torch.randn(3, spec.length, *spec.size, generator=generator)
    return 0.3 * noise + 2 * _spot(sample["corner"], *spec.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToyTask:
    """Mean squared error on maps: the smallest possible task."""

    monitor: str = "loss"
    metrics: ClassVar[Mapping[str, Callable[[Any, Any], Tensor]]] = {}

    def align(self, output: Tensor, target: SaliencyTarget) -> Tensor:
        """The toy model predicts on the target's grid already."""
        return output.float()

    def loss(self, pred: Tensor, target: SaliencyTarget) -> Tensor:
        """(B,) mean squared error."""
        return ((pred - target.density) ** 2).mean((-2, -1))

    def ranking(self, pred: Tensor, target: SaliencyTarget, loss: Tensor) -> Tensor:
        """(B,) the loss."""
        return loss

    def comparable(self, pred: Tensor) -> Tensor:
        """The prediction."""
        return pred

    def divergence(self, student: Tensor, teacher: Tensor) -> Tensor:
        """(B,) mean squared difference."""
        return ((student - teacher) ** 2).mean((-2, -1))

    def confidence(self, pred: Tensor) -> Tensor:
        """(B,) the peak."""
        return pred.amax((-2, -1))
