"""ViNet-S: S3D features and a light decoder of grouped convolutions; also ViNet, its ungrouped ancestor.

Paper: Girmaji et al., "Minimalistic Video Saliency Prediction via Efficient Decoder & Spatio Temporal Action
Cues", arXiv:2502.00397; ViNet: Jain et al., arXiv:2012.06170.
Original code: github.com/ViNet-Saliency/vinet_v2 at d09066b (CC BY-NC-SA 4.0). This file was written from the
paper and from measured shapes; it holds none of that code.

Deviations: any clip length and image size (the original hard-codes 224x384); BatchNorm momentum and the
initialisation of a model without weights are ours. `upsampling="bilinear"` is what the published training
code uses (bilinear with aligned corners); the published inference script of the same repository uses
`"trilinear"` (corners not aligned), which gives other maps from the same weights.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saliency.backbones import s3d, s3d_windows
from saliency.backbones.layers import (
    fit_groups,
    halving_kernels,
    initialise_convolutions,
    pad_time,
    rename_prefixes,
    scale_channels,
    spatial_size,
    upsample,
)
from saliency.backbones.pretrained import start
from saliency.types import Init, InputSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ViNetSConfig:
    """ViNet-S; with ``groups=(1, 1, 1, 1, 1)`` the ungrouped ViNet.

    Attributes:
        input: the clip it wants. Temporal kernels of the decoder follow from its length.
        width: multiplies every channel count; 1 is the published size.
        groups: groups of the decoder's five spatial convolutions.
        upsampling: ``"bilinear"`` with aligned corners or ``"trilinear"`` without; see the file header.
        norm_momentum: BatchNorm momentum of the backbone; 0.1 for training from scratch.
        checkpoint_activations: keep only the inputs of the backbone's blocks in training and compute the rest again
            in the backward pass: less memory, the same gradients, about a third more time.
    """

    input: InputSpec = field(default_factory=InputSpec)
    width: float = 1.0
    groups: tuple[int, int, int, int, int] = (32, 16, 8, 4, 2)
    upsampling: Literal["bilinear", "trilinear"] = "bilinear"
    norm_momentum: float = 0.001
    checkpoint_activations: bool = False

    def build(self, init: Init = "scratch") -> "ViNetS":
        """Make the model.

        Args:
            init: ``"scratch"``; ``"kinetics"``: the backbone from torchvision's Kinetics-400 weights; or the path
                of a checkpoint.

        Raises:
            InputError: the weights are missing or do not fit.
        """
        model = ViNetS(self)
        scratch = partial(initialise_convolutions, model.modules())
        start(model, init, scratch, {"kinetics": model.backbone.load_kinetics})
        return model


# Published decoder layer -> ours; the published indices count the activations in between.
_OFFICIAL_DECODER = {
    "convtsp1.0.": "conv32.",
    "convtsp2.0.": "conv16.",
    "convtsp3.0.": "conv8.",
    "convtsp4.0.": "conv4.",
    "convtsp4.3.": "conv2.",
    "convtsp4.6.": "conv1.",
    "convtsp4.8.": "out.",
}


class ViNetS(nn.Module):
    """(B, 3, T, H, W) normalised clip -> (B, H, W) saliency in (0, 1)."""

    def __init__(self, config: ViNetSConfig) -> None:
        super().__init__()
        self.backbone = s3d.S3DFeatures(
            config.width, config.norm_momentum, checkpoint_activations=config.checkpoint_activations
        )
        lengths = self.backbone.lengths(config.input.length)
        self.decoder = ViNetSDecoder(config, self.backbone.channels, lengths)

    def forward(self, clip: Tensor) -> Tensor:
        """Predict the saliency map of the clip's target frame."""
        return self.decoder(self.backbone(clip), spatial_size(clip))

    def windowed(self, length: int, shift: int) -> nn.Module | None:
        """Return what computes the maps of overlapping clips together, see `ViNetSWindows`.

        Args:
            length: frames of a clip.
            shift: frames between the beginnings of neighbouring clips.

        Returns:
            the network, which shares this one's weights; None where clips have too little in common.
        """
        return ViNetSWindows(self, length, shift) if s3d_windows.have_much_in_common(length, shift) else None

    @staticmethod
    def from_official(key: str) -> str:
        """Return our name of a weight in a checkpoint of the published code."""
        return rename_prefixes(key, {"backbone.": s3d.from_official, "decoder.": _OFFICIAL_DECODER})


class ViNetSWindows(nn.Module):
    """(1, 3, N, H, W) normalised run of frames -> (B, H, W), the map of each of its B overlapping clips.

    The numbers are those of `ViNetS` on the clips one by one but for rounding, from half of the operations where
    clips are one frame apart and many.
    """

    def __init__(self, model: ViNetS, length: int, shift: int) -> None:
        super().__init__()
        self.backbone = s3d_windows.WindowedS3D(model.backbone, length, shift)
        self.decoder = model.decoder

    def forward(self, frames: Tensor) -> Tensor:
        """Predict the maps."""
        quarter, eighth = self.backbone(frames)
        size, maps = spatial_size(frames), []
        for i in range(eighth.grid.windows):  # one after the other, in as little memory as one clip takes
            y4, y8 = (torch.cat(steps.of_window(i), dim=2) for steps in (quarter, eighth))
            maps.append(self.decoder([y4, y8, *self.backbone.coarse(y8)], size))
        return torch.cat(maps)


class ViNetSDecoder(nn.Module):
    """Climbs from H/32 to H, joining each skip connection along the TIME axis.

    Temporal strides equal temporal kernels and bring every join back to the coarsest length.
    """

    def __init__(self, config: ViNetSConfig, channels: list[int], lengths: list[int]) -> None:
        super().__init__()
        self.align_corners = config.upsampling == "bilinear"
        c4, c8, c16, c32 = channels
        t4, t8, t16, t32 = lengths
        wide, narrow = scale_channels(64, config.width), scale_channels(32, config.width)
        halving = halving_kernels(t32, 2)

        def conv(c_in: int, c_out: int, time: int, groups: int) -> nn.Conv3d:
            g = fit_groups(groups, c_in, c_out)
            kernel, stride = (time, 3, 3), (time, 1, 1)
            return nn.Conv3d(c_in, c_out, kernel, stride=stride, padding=(0, 1, 1), groups=g, bias=False)

        self.conv32 = conv(c32, c16, 1, config.groups[0])
        self.conv16 = conv(c16, c8, (t32 + t16) // t32, config.groups[1])
        self.conv8 = conv(c8, c4, (t32 + t8) // t32, config.groups[2])
        self.conv4 = conv(c4, wide, (t32 + t4) // t32, config.groups[3])
        self.conv2 = conv(wide, narrow, halving[0], config.groups[4])
        self.conv1 = nn.Conv3d(narrow, narrow, (halving[1], 1, 1), stride=(halving[1], 1, 1), bias=False)
        self.out = nn.Conv3d(narrow, 1, 1)

    def forward(self, features: list[Tensor], size: tuple[int, int]) -> Tensor:
        """Decode features at H/4, H/8, H/16, H/32 to a map of `size`."""
        y4, y8, y16, y32 = features
        x = self._up(self._conv(self.conv32, y32), spatial_size(y16))  # (B, 832, 4, H/16, W/16)
        x = torch.cat((x, y16), dim=2)  # (B, 832, 4+8, H/16, W/16)
        x = self._up(self._conv(self.conv16, x), spatial_size(y8))  # (B, 480, 4, H/8, W/8)
        x = torch.cat((x, y8), dim=2)  # (B, 480, 4+16, H/8, W/8)
        x = self._up(self._conv(self.conv8, x), spatial_size(y4))  # (B, 192, 4, H/4, W/4)
        x = torch.cat((x, y4), dim=2)  # (B, 192, 4+16, H/4, W/4)
        half = ((size[0] + 1) // 2, (size[1] + 1) // 2)
        x = self._up(self._conv(self.conv4, x), half)  # (B, 64, 4, H/2, W/2)
        x = self._up(self._conv(self.conv2, x), size)  # (B, 32, 2, H, W)
        x = self.out(self._conv(self.conv1, x))  # (B, 1, 1, H, W)
        # Clips longer than the configured length leave several time steps: their mean decides.
        return torch.sigmoid(x.mean(dim=2).squeeze(1))  # (B, H, W)

    def _conv(self, conv: nn.Conv3d, x: Tensor) -> Tensor:
        return F.relu(conv(pad_time(x, conv.kernel_size[0])))

    def _up(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return upsample(x, size, align_corners=self.align_corners)
