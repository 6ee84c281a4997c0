"""Four small image classifiers of differing design, for experiments that run on a laptop in minutes.

Each maps (B, 1, H, W) grey images in [0, 1] to (B, classes) logits, and offers ``features(images)``, what its
last linear layer sees.
"""

import math
from dataclasses import dataclass, field

from torch import Tensor, nn

from saliency.types import Init, InputSpec


def _digit() -> InputSpec:
    return InputSpec(length=1, size=(14, 14))


class Classifier(nn.Module):
    """A body that makes features and a linear head that makes logits."""

    def __init__(self, body: nn.Module, features: int, classes: int) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(features, classes)

    def features(self, images: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, D)."""
        return self.body(images)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, classes) logits."""
        return self.head(self.features(images))


@dataclass(frozen=True, slots=True, kw_only=True)
class MLPConfig:
    """Two hidden layers on the raw pixels.

    Attributes:
        input: the image it wants.
        width: units of each hidden layer.
        classes: number of classes.
    """

    input: InputSpec = field(default_factory=_digit)
    width: int = 64
    classes: int = 10

    def build(self, init: Init = "scratch") -> Classifier:
        """Make the model."""
        pixels = math.prod(self.input.size)
        body = nn.Sequential(
            nn.Flatten(),
            nn.Linear(pixels, self.width),
            nn.ReLU(),
            nn.Linear(self.width, self.width),
            nn.ReLU(),
        )
        return Classifier(body, self.width, self.classes)


@dataclass(frozen=True, slots=True, kw_only=True)
class CNNConfig:
    """Two strided convolutions with batch normalisation.

    Attributes:
        input: the image it wants.
        width: channels of the first convolution; the second has twice as many.
        classes: number of classes.
    """

    input: InputSpec = field(default_factory=_digit)
    width: int = 8
    classes: int = 10

    def build(self, init: Init = "scratch") -> Classifier:
        """Make the model."""
        height, width = (math.ceil(math.ceil(side / 2) / 2) for side in self.input.size)
        body = nn.Sequential(
            nn.Conv2d(1, self.width, 3, stride=2, padding=1),  # (B, C, H/2, W/2)
            nn.BatchNorm2d(self.width),
            nn.ReLU(),
            nn.Conv2d(self.width, 2 * self.width, 3, stride=2, padding=1),  # (B, 2C, H/4, W/4)
            nn.BatchNorm2d(2 * self.width),
            nn.ReLU(),
            nn.Flatten(),
        )
        return Classifier(body, 2 * self.width * height * width, self.classes)


@dataclass(frozen=True, slots=True, kw_only=True)
class MixerConfig:
    """Rows of the image are tokens, mixed across tokens and across channels in turn.

    Attributes:
        input: the image it wants.
        width: channels of a token.
        depth: number of mixing blocks.
        classes: number of classes.
    """

    input: InputSpec = field(default_factory=_digit)
    width: int = 32
    depth: int = 2
    classes: int = 10

    def build(self, init: Init = "scratch") -> Classifier:
        """Make the model."""
        rows, columns = self.input.size
        body = nn.Sequential(
            nn.Flatten(1, 2),  # (B, 1, H, W) -> (B, H, W): a token per row
            nn.Linear(columns, self.width),
            *(MixerBlock(rows, self.width) for _ in range(self.depth)),
            nn.LayerNorm(self.width),
            MeanOverTokens(),
        )
        return Classifier(body, self.width, self.classes)


class MixerBlock(nn.Module):
    """(B, N, D) -> (B, N, D)."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.norm_tokens = nn.LayerNorm(width)
        self.mix_tokens = nn.Sequential(nn.Linear(tokens, 2 * tokens), nn.GELU(), nn.Linear(2 * tokens, tokens))
        self.norm_channels = nn.LayerNorm(width)
        self.mix_channels = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Mix tokens, then channels."""
        x = x + self.mix_tokens(self.norm_tokens(x).transpose(1, 2)).transpose(1, 2)
        return x + self.mix_channels(self.norm_channels(x))


class MeanOverTokens(nn.Module):
    """(B, N, D) -> (B, D)."""

    def forward(self, x: Tensor) -> Tensor:
        """Average the tokens."""
        return x.mean(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TanhConfig:
    """One wide hidden layer of tanh units behind dropout on the pixels.

    Attributes:
        input: the image it wants.
        width: units of the hidden layer.
        dropout: share of the pixels set to 0 in training.
        classes: number of classes.
    """

    input: InputSpec = field(default_factory=_digit)
    width: int = 128
    dropout: float = 0.2
    classes: int = 10

    def build(self, init: Init = "scratch") -> Classifier:
        """Make the model."""
        body = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(self.dropout),
            nn.Linear(math.prod(self.input.size), self.width),
            nn.Tanh(),
        )
        return Classifier(body, self.width, self.classes)
