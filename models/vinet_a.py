"""ViNet-A: SlowFast features (trained to localise actions) and a grouped, channel-shuffling decoder.

Paper: Girmaji et al., "Minimalistic Video Saliency Prediction via Efficient Decoder & Spatio Temporal Action
Cues", arXiv:2502.00397.
Original code: github.com/ViNet-Saliency/vinet_v2 at d09066b (CC BY-NC-SA 4.0). This file was written from the
paper and from measured shapes; it holds none of that code.

Deviations: any clip length and image size (the original takes 32 frames of 256x456 only); the
initialisation of a model without weights is ours. Kept: the neck folds the two halves of the fast
pathway's time axis into channels by a plain reshape, so that channel 2c + i is half i of channel c.
"""

from dataclasses import dataclass
from functools import partial

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from saliency.backbones import slowfast
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
from saliency.backbones.slowfast import ALPHA, SlowFastFeatures
from saliency.types import Init, InputSpec

VINET_A_INPUT = InputSpec(
    length=32,
    stride=2,
    target="middle",
    shift=1,
    size=(256, 456),
    mean=(0.45, 0.45, 0.45),
    std=(0.225, 0.225, 0.225),
)
"""64 frames around the target, every second one, as the published loader reads them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViNetAConfig:
    """ViNet-A; the defaults are the published model.

    Attributes:
        input: the clip it wants. Temporal kernels of the decoder follow from its length.
        width: multiplies every channel count; 1 is the published size.
        depths: bottleneck blocks of the four SlowFast stages.
        groups: groups of the decoder's six grouped convolutions.
        shuffle: shuffle channels between the groups after the first three skip connections.
        norm_momentum: BatchNorm momentum of the backbone.
        checkpoint_activations: keep only the inputs of the backbone's blocks in training and compute the rest again
            in the backward pass: less memory, the same gradients, about a third more time.
    """

    input: InputSpec = VINET_A_INPUT
    width: float = 1.0
    depths: tuple[int, int, int, int] = (3, 4, 6, 3)
    groups: tuple[int, int, int, int, int, int] = (32, 16, 8, 8, 4, 2)
    shuffle: bool = True
    norm_momentum: float = 0.1
    checkpoint_activations: bool = False

    def build(self, init: Init = "scratch") -> "ViNetA":
        """Make the model.

        Args:
            init: ``"scratch"``; ``"kinetics"``: the backbone from Kinetics-400 weights; ``"ava"``: from those of
                ACAR-Net, trained on AVA; or the path of a checkpoint.

        Raises:
            InputError: the weights are missing or do not fit.
        """
        model = ViNetA(self)
        scratch = partial(initialise_convolutions, model.modules())
        backbone = model.backbone
        start(model, init, scratch, {"kinetics": backbone.load_kinetics, "ava": backbone.load_ava})
        return model


# Published layers -> ours; the published indices count the activations in between.
_OFFICIAL_NECK = {
    "conv_slow.0.": "slow.",
    "conv_skip1.0.": "skips.0.",
    "conv_skip2.0.": "skips.1.",
    "conv_skip3.0.": "skips.2.",
    "conv_skip4.0.": "skips.3.",
}
_OFFICIAL_DECODER = {
    "convtsp1.0.": "conv16.",
    "convtsp2.0.": "conv16_skip.",
    "convtsp3.0.": "conv8.",
    "convtsp4.0.": "conv4_res.",
    "convtsp5.0.": "conv4.",
    "convtsp6.0.": "conv2.",
    "convtsp6.3.": "conv1.",
    "convtsp6.5.": "mix.",
    "convtsp6.7.": "out.",
}


class ViNetA(nn.Module):
    """(B, 3, T, H, W) normalised clip -> (B, H, W) saliency in (0, 1)."""

    def __init__(self, config: ViNetAConfig) -> None:
        super().__init__()
        self.backbone = SlowFastFeatures(
            config.depths, config.width, config.norm_momentum, checkpoint_activations=config.checkpoint_activations
        )
        self.neck = Neck(self.backbone)
        self.decoder = ViNetADecoder(config, self.neck)

    def forward(self, clip: Tensor) -> Tensor:
        """Predict the saliency map of the clip's target frame."""
        x, skips = self.neck(*self.backbone(clip))
        return self.decoder(x, skips, spatial_size(clip))

    @staticmethod
    def from_official(key: str) -> str:
        """Return our name of a weight in a checkpoint of the published code."""
        return rename_prefixes(
            key,
            {"backbone.": slowfast.from_official, "neck.": _OFFICIAL_NECK, "decoder.": _OFFICIAL_DECODER},
        )


class Neck(nn.Module):
    """Halves the channels of the slow pathway and the skips, and joins the fast pathway to the slow one."""

    def __init__(self, backbone: SlowFastFeatures) -> None:
        super().__init__()
        slow, fast = backbone.slow_channels, backbone.fast_channels
        self.slow = nn.Conv3d(slow, slow // 2, 1, bias=False)
        self.skips = nn.ModuleList(nn.Conv3d(c, c // 2, 1, bias=False) for c in backbone.skip_channels)
        self.channels = slow // 2 + 2 * fast
        self.skip_channels = [c // 2 for c in backbone.skip_channels]

    def forward(self, slow: Tensor, fast: Tensor, skips: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return (B, 1536, T/4, H/16, W/16) and the skips with half their channels."""
        fast = rearrange(fast, "b c (half t) h w -> b (c half) t h w", half=2)  # (B, 512, T/2, H/16, W/16)
        fast = F.max_pool3d(fast, (2, 1, 1))  # (B, 512, T/4, H/16, W/16)
        x = torch.cat((F.relu(self.slow(slow)), fast), dim=1)
        return x, [F.relu(conv(skip)) for conv, skip in zip(self.skips, skips, strict=True)]


class ViNetADecoder(nn.Module):
    """Climbs from H/16 to H, joining each skip connection along the CHANNEL axis, then ends time."""

    def __init__(self, config: ViNetAConfig, neck: Neck) -> None:
        super().__init__()
        s4, s4_res, s8, s16 = neck.skip_channels
        # The clip is padded to a multiple of ALPHA frames, of which the slow pathway sees one in ALPHA.
        halving = halving_kernels(-(-config.input.length // ALPHA), 3)
        c64, c32, c16 = (scale_channels(c, config.width) for c in (64, 32, 16))
        groups = config.groups

        def conv(c_in: int, c_out: int, groups: int) -> nn.Conv3d:
            return nn.Conv3d(c_in, c_out, 3, padding=1, groups=fit_groups(groups, c_in, c_out), bias=False)

        def halve(c_in: int, c_out: int, time: int, groups: int, stride: int) -> nn.Conv3d:
            g = fit_groups(groups, c_in, c_out)
            kernel, step = (time, 3, 3), (stride, 1, 1)
            return nn.Conv3d(c_in, c_out, kernel, stride=step, padding=(0, 1, 1), groups=g, bias=False)

        joined = zip(groups, (2 * s16, 2 * s8, 2 * s4_res), strict=False)
        self.shuffle = [fit_groups(g, c) if config.shuffle else 1 for g, c in joined]
        self.conv16 = conv(neck.channels, s16, groups[0])
        self.conv16_skip = conv(2 * s16, s8, groups[1])
        self.conv8 = conv(2 * s8, s4_res, groups[2])
        self.conv4_res = conv(2 * s4_res, s4, groups[3])
        self.conv4 = halve(2 * s4, c64, halving[0], groups[4], halving[0])
        self.conv2 = halve(c64, c32, halving[1], groups[5], halving[1])
        self.conv1 = halve(c32, c16, halving[2], 1, 1)
        self.mix = nn.Conv3d(c16, c16, 1, bias=False)
        self.out = nn.Conv3d(c16, 1, 1)

    def forward(self, x: Tensor, skips: list[Tensor], size: tuple[int, int]) -> Tensor:
        """Decode x (B, 1536, T/4, H/16, W/16) to a map of `size`."""
        skip4, skip4_res, skip8, skip16 = skips
        x = F.relu(self.conv16(x))  # (B, 640, 8, H/16, W/16)
        x = shuffle_channels(torch.cat((x, skip16), dim=1), self.shuffle[0])
        x = upsample(F.relu(self.conv16_skip(x)), spatial_size(skip8))  # (B, 320, 8, H/8, W/8)
        x = shuffle_channels(torch.cat((x, skip8), dim=1), self.shuffle[1])
        x = upsample(F.relu(self.conv8(x)), spatial_size(skip4))  # (B, 160, 8, H/4, W/4)
        x = shuffle_channels(torch.cat((x, skip4_res), dim=1), self.shuffle[2])
        x = F.relu(self.conv4_res(x))  # (B, 40, 8, H/4, W/4)
        x = torch.cat((x, skip4), dim=1)
        half = ((size[0] + 1) // 2, (size[1] + 1) // 2)
        x = upsample(self._halve(self.conv4, x), half)  # (B, 64, 4, H/2, W/2)
        x = upsample(self._halve(self.conv2, x), size)  # (B, 32, 2, H, W)
        x = self._halve(self.conv1, x)  # (B, 16, 1, H, W)
        x = self.out(F.relu(self.mix(x)))  # (B, 1, 1, H, W)
        # Clips longer than the configured length leave several time steps: their mean decides.
        return torch.sigmoid(x.mean(dim=2).squeeze(1))  # (B, H, W)

    def _halve(self, conv: nn.Conv3d, x: Tensor) -> Tensor:
        return F.relu(conv(pad_time(x, conv.kernel_size[0])))


def shuffle_channels(x: Tensor, groups: int) -> Tensor:
    """Deal the channels of x (B, C, ...) out so that each new group holds some of every old one."""
    return x if groups == 1 else rearrange(x, "b (groups c) ... -> b (c groups) ...", groups=groups)
