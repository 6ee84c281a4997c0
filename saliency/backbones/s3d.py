"""S3D features, the backbone of ViNet and ViNet-S, with a configurable width.

Paper: Xie et al., "Rethinking Spatiotemporal Feature Learning" (S3D), arXiv:1712.04851.
At width 1 the layers, their names and their numbers are those of `torchvision.models.video.s3d().features`, so its
Kinetics-400 weights fit. The blocks are written out here because importing torchvision's costs 1.5 s.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from saliency.backbones.layers import pad_clip, recomputed, scale_channels
from saliency.backbones.pretrained import torchvision_weights
from saliency.io.weights import load_weights

MIN_LENGTH = 5
"""Fewest frames that leave one time step after three temporal strides, the last one without padding."""
MIN_SIZE = 17
"""Fewest pixels that leave one cell after five spatial strides, the last one without padding."""

# Output channels of each inception block: branch 0, (1x1x1 mid, out) of branches 1 and 2, branch 3.
_MIXED = {
    5: (64, 96, 128, 16, 32, 32),
    6: (128, 128, 192, 32, 96, 64),
    8: (192, 96, 208, 16, 48, 64),
    9: (160, 112, 224, 24, 64, 64),
    10: (128, 128, 256, 24, 64, 64),
    11: (112, 144, 288, 32, 64, 64),
    12: (256, 160, 320, 32, 128, 128),
    14: (256, 160, 320, 32, 128, 128),
    15: (384, 192, 384, 48, 128, 128),
}
# First torchvision layer of each group of the ViNet repositories' backbone.
_GROUPS = {"1": 0, "2": 5, "3": 8, "4": 14}
# Layers whose output goes to the decoder: H/4, H/8, H/16, H/32.
TAPS = (3, 6, 12, 15)


def from_official(key: str) -> str:
    """Return our name of a weight of the S3D in the ViNet repositories (``base2.0.branch1.1.conv_s.weight``)."""
    key = re.sub(r"^base(\d)\.(\d+)\.", lambda m: f"features.{_GROUPS[m[1]] + int(m[2])}.", key)
    key = key.replace("branch0.0.", "branch0.")
    leaves = {"conv_s": "0.0", "bn_s": "0.1", "conv_t": "1.0", "bn_t": "1.1", "conv": "0", "bn": "1"}
    return re.sub(r"\.(conv_s|bn_s|conv_t|bn_t|conv|bn)\.", lambda m: f".{leaves[m[1]]}.", key)


Size3 = tuple[int, int, int]
NormLayer = Callable[[int], nn.Module]


class Conv3dNormActivation(nn.Sequential):
    """Convolution without bias, normalisation, ReLU."""

    def __init__(self, c_in: int, c_out: int, kernel: Size3, stride: Size3, padding: Size3, norm: NormLayer) -> None:
        conv = nn.Conv3d(c_in, c_out, kernel, stride=stride, padding=padding, bias=False)
        super().__init__(conv, norm(c_out), nn.ReLU(inplace=True))


class TemporalSeparableConv(nn.Sequential):
    """A convolution over space, then one over time, each with normalisation and ReLU."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, padding: int, norm: NormLayer) -> None:
        k, s, p = kernel, stride, padding
        super().__init__(
            Conv3dNormActivation(c_in, c_out, (1, k, k), (1, s, s), (0, p, p), norm),
            Conv3dNormActivation(c_out, c_out, (k, 1, 1), (s, 1, 1), (p, 0, 0), norm),
        )


class SepInceptionBlock3D(nn.Module):
    """Four branches with different fields of view, joined along the channels.

    Args:
        c_in: channels that come in.
        channels: those of branch 0, (1x1x1 middle, out) of branches 1 and 2, branch 3.
        norm: makes the normalisation of so many channels.
    """

    def __init__(self, c_in: int, channels: Sequence[int], norm: NormLayer) -> None:
        super().__init__()
        b0, b1_middle, b1, b2_middle, b2, b3 = channels
        self.branch0 = _point(c_in, b0, norm)
        self.branch1 = nn.Sequential(_point(c_in, b1_middle, norm), TemporalSeparableConv(b1_middle, b1, 3, 1, 1, norm))
        self.branch2 = nn.Sequential(_point(c_in, b2_middle, norm), TemporalSeparableConv(b2_middle, b2, 3, 1, 1, norm))
        pool = nn.MaxPool3d((3, 3, 3), stride=1, padding=1)
        self.branch3 = nn.Sequential(pool, _point(c_in, b3, norm))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, T, H, W) -> (B, sum of the branches' channels, T, H, W)."""
        return torch.cat((self.branch0(x), self.branch1(x), self.branch2(x), self.branch3(x)), dim=1)


def _point(c_in: int, c_out: int, norm: NormLayer) -> Conv3dNormActivation:
    return Conv3dNormActivation(c_in, c_out, (1, 1, 1), (1, 1, 1), (0, 0, 0), norm)


class S3DFeatures(nn.Module):
    """S3D without its classifier; returns features at four scales.

    Args:
        width: multiplies every channel count (rounded to multiples of eight).
        norm_momentum: share of the newest batch in the BatchNorm statistics. The published 0.001 suits
            long fine-tuning of pretrained weights; training from scratch wants PyTorch's 0.1.
        checkpoint_activations: compute what is inside the layers again in the backward pass.
    """

    def __init__(
        self, width: float = 1.0, norm_momentum: float = 0.001, *, checkpoint_activations: bool = False
    ) -> None:
        super().__init__()
        self.checkpoint_activations = checkpoint_activations
        norm = partial(nn.BatchNorm3d, eps=0.001, momentum=norm_momentum)
        stem, middle = scale_channels(64, width), scale_channels(192, width)
        layers: dict[int, nn.Module] = {
            0: TemporalSeparableConv(3, stem, 7, 2, 3, norm),
            1: nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
            2: _point(stem, stem, norm),
            3: TemporalSeparableConv(stem, middle, 3, 1, 1, norm),
            4: nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
            7: nn.MaxPool3d((3, 3, 3), stride=(2, 2, 2), padding=(1, 1, 1)),
            13: nn.MaxPool3d((2, 2, 2), stride=(2, 2, 2), padding=(0, 0, 0)),
        }
        channels = middle
        self.channels = [middle]
        for index, published in _MIXED.items():
            scaled = [scale_channels(c, width) for c in published]
            layers[index] = SepInceptionBlock3D(channels, scaled, norm)
            b0, _, b1, _, b2, b3 = scaled
            channels = b0 + b1 + b2 + b3
            if index in TAPS:
                self.channels.append(channels)
        self.features = nn.Sequential(*(layers[index] for index in range(16)))

    def forward(self, clip: Tensor) -> list[Tensor]:
        """Return features at H/4, H/8, H/16 and H/32 with T/2, T/2, T/4 and T/8 time steps.

        Args:
            clip: (B, 3, T, H, W), normalised. Clips below 5 frames or 17 pixels are edge-padded.
        """
        x = pad_clip(clip, min_length=MIN_LENGTH, min_size=MIN_SIZE)
        taps = []
        for index, layer in enumerate(self.features):
            x = recomputed(layer, x) if self.checkpoint_activations else layer(x)
            if index in TAPS:
                taps.append(x)
        return taps

    @staticmethod
    def lengths(length: int) -> list[int]:
        """Return the number of time steps of each of the four outputs for a clip of `length` frames."""
        first = (max(length, MIN_LENGTH) + 1) // 2
        second = (first + 1) // 2
        return [first, first, second, second // 2]

    @staticmethod
    def sizes(size: tuple[int, int]) -> list[tuple[int, int]]:
        """Return (height, width) of each of the four outputs for clips of `size`."""
        height, width = (max(n, MIN_SIZE) for n in size)
        scales = [(-(-height // s), -(-width // s)) for s in (4, 8, 16)]  # rounded up
        return [*scales, (scales[-1][0] // 2, scales[-1][1] // 2)]

    def load_kinetics(self) -> None:
        """Load torchvision's Kinetics-400 weights of S3D (width 1 only)."""
        from torchvision.models.video.s3d import S3D_Weights

        state = torchvision_weights(S3D_Weights.KINETICS400_V1)
        load_weights(self, state, ignore=("classifier.",), name="S3D Kinetics-400 weights")
