"""TMFI-Net: Video Swin features, a semantic-guided feature pyramid and four decoding branches.

Paper: Zhou et al., "Transformer-Based Multi-Scale Feature Integration Network for Video Saliency
Prediction", IEEE TCSVT 2023, doi:10.1109/TCSVT.2023.3278410.
Original code: github.com/wusonghe/TMFI-Net at cfe49c5 (no licence file). This file was written from the
paper and from measured shapes; it holds none of that code.

Deviations: any clip length and image size (the original takes 31 to 62 frames and multiples of 32 pixels);
the index buffers of the attention windows are computed, not stored; the initialisation of a model without
weights is ours. Kept: the stochastic depth rate 0.2, the raw (not normalised) features of the first three
stages, the two sigmoids in a row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saliency.backbones import video_swin
from saliency.backbones.layers import (
    halving_kernels,
    initialise_convolutions,
    pad_time,
    rename_prefixes,
    spatial_size,
    upsample,
)
from saliency.backbones.pretrained import start
from saliency.backbones.video_swin import VideoSwinFeatures
from saliency.types import Init, InputSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class TMFINetConfig:
    """TMFI-Net; the defaults are the published model.

    Attributes:
        input: the clip it wants. Temporal kernels of the decoder follow from its length.
        embed_dim: channels of the first Swin stage; they double from stage to stage.
        depths: blocks of the four Swin stages.
        heads: attention heads of the four Swin stages.
        window: attention window (T, H, W) in tokens of 2x4x4 pixels.
        drop_path: stochastic depth rate of the last Swin block.
        decoder_channels: channels of the pyramid; the branches use a half, a quarter, an eighth.
        checkpoint_activations: keep only the inputs of the backbone's blocks in training and compute the rest again
            in the backward pass: less memory, the same gradients, about a third more time.
    """

    input: InputSpec = field(default_factory=InputSpec)
    embed_dim: int = 96
    depths: tuple[int, int, int, int] = (2, 2, 18, 2)
    heads: tuple[int, int, int, int] = (3, 6, 12, 24)
    window: tuple[int, int, int] = (8, 7, 7)
    drop_path: float = 0.2
    decoder_channels: int = 192
    checkpoint_activations: bool = False

    def build(self, init: Init = "scratch") -> "TMFINet":
        """Make the model.

        Args:
            init: ``"scratch"``; ``"kinetics"``: the backbone from torchvision's Kinetics-400 weights; or the path
                of a checkpoint.

        Raises:
            InputError: the weights are missing or do not fit.
        """
        model = TMFINet(self)
        start(model, init, model.initialise, {"kinetics": model.backbone.load_kinetics})
        return model


# Published decoder layer -> ours; the published indices count the activations in between.
_OFFICIAL_DECODER = {
    f"{theirs}.": f"{ours}."
    for level in range(4)
    for theirs, ours in (
        (f"conv{level + 1}", f"lateral.{level}"),
        (f"convs{level + 1}", f"refine.{level}"),
        (f"gate{level + 1}.gate", f"gates.{level}"),
        (f"convtsp{level + 1}.0", f"branches.{level}.convs.0"),
        (f"convtsp{level + 1}.3", f"branches.{level}.convs.1"),
        (f"convtsp{level + 1}.6", f"branches.{level}.convs.2"),
        (f"convtsp{level + 1}.{8 if level == 0 else 9}", f"branches.{level}.out"),
    )
} | {"convout.0.": "out."}


class TMFINet(nn.Module):
    """(B, 3, T, H, W) normalised clip -> (B, H, W) saliency in (0, 1)."""

    def __init__(self, config: TMFINetConfig) -> None:
        super().__init__()
        c = config
        self.backbone = VideoSwinFeatures(
            c.embed_dim,
            c.depths,
            c.heads,
            c.window,
            c.drop_path,
            checkpoint_activations=c.checkpoint_activations,
        )
        tokens = (c.input.length + 1) // 2
        self.decoder = TMFIDecoder(self.backbone.channels, c.decoder_channels, tokens)

    def forward(self, clip: Tensor) -> Tensor:
        """Predict the saliency map of the clip's target frame."""
        height, width = spatial_size(clip)
        saliency = self.decoder(self.backbone(clip))  # (B, H', W'), sizes rounded up to whole patches
        return saliency[:, :height, :width]

    @staticmethod
    def from_official(key: str) -> str:
        """Return our name of a weight in a checkpoint of the published code."""
        return rename_prefixes(key, {"backbone.": video_swin.from_official, "decoder.": _OFFICIAL_DECODER})

    @torch.no_grad()
    def initialise(self) -> None:
        """Prepare for training from scratch.

        The decoder has no normalisation, and its convolutions see sums of smooth maps, under which the usual gain
        lets activations grow tenfold: smaller gains keep them near 1 and the gates open. The output starts as the
        sum of the branches with a low bias, so that maps can be peaked from the first steps on.
        """
        for module in self.backbone.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
        for name, parameter in self.backbone.named_parameters():
            if name.endswith("relative_position_bias_table"):
                nn.init.trunc_normal_(parameter, std=0.02)
        decoder = self.decoder
        initialise_convolutions(decoder.modules())
        gains = [(decoder.refine, 0.25), (decoder.gates, 0.1), *((branch.convs, 0.7) for branch in decoder.branches)]
        for convs, gain in gains:
            for conv in convs:
                conv.weight.mul_(gain)
        nn.init.zeros_(decoder.out.weight)
        decoder.out.weight[:, :, 0, 1, 1] = 2.0  # the middle tap of the 1x3x3 kernel
        nn.init.constant_(decoder.out.get_parameter("bias"), -5.0)


class TMFIDecoder(nn.Module):
    """Feature pyramid with gates, then one branch per scale, then their combination."""

    def __init__(self, channels: Sequence[int], width: int, tokens: int) -> None:
        super().__init__()
        self.halving = kernels = halving_kernels(tokens, 4)
        # Lists go from fine (H/4) to coarse (H/32), as the backbone's outputs do.
        self.lateral = nn.ModuleList(
            nn.Conv3d(c, width, (kernels[0], 1, 1), stride=(kernels[0], 1, 1)) for c in channels
        )
        self.refine = nn.ModuleList(
            nn.Conv3d(width, width, (1, 3, 3), padding=(0, 1, 1), bias=False) for _ in channels[:-1]
        )
        self.gates = nn.ModuleList(nn.Conv3d(width, width, (1, 3, 3), padding=(0, 1, 1)) for _ in channels)
        self.branches = nn.ModuleList(Branch(width, kernels[1:]) for _ in channels)
        self.out = nn.Conv3d(len(channels), 1, (1, 3, 3), padding=(0, 1, 1))

    def forward(self, features: list[Tensor]) -> Tensor:
        """Features (B, C, T/2, h, w) from H/4 to H/32 -> (B, H, W)."""
        y = [conv(pad_time(x, self.halving[0])) for conv, x in zip(self.lateral, features, strict=True)]
        sizes = [spatial_size(x) for x in y]

        # Top-down sums; the coarsest, most semantic map also goes directly to the two finest levels.
        top = y[3]  # (B, 192, 8, H/32, W/32)
        t3 = upsample(top, sizes[2]) + y[2]
        t2 = upsample(t3, sizes[1]) + y[1] + upsample(top, sizes[1])
        t1 = upsample(t2, sizes[0]) + y[0] + upsample(top, sizes[0])  # (B, 192, 8, H/4, W/4)
        pyramid = [conv(x) for conv, x in zip(self.refine, (t1, t2, t3), strict=True)] + [top]

        height, width = sizes[0]
        ladder = [*reversed(sizes), (2 * height, 2 * width), (4 * height, 4 * width)]  # H/32 ... H
        maps = []
        for level, (x, gate, branch) in enumerate(zip(pyramid, self.gates, self.branches, strict=True)):
            x = x * torch.sigmoid(gate(x)) + x
            maps.append(branch(x, ladder[len(sizes) - level :]))  # (B, 1, 1, H, W)
        x = self.out(torch.cat(maps, dim=1))  # (B, 1, 1, H, W)
        return torch.sigmoid(x).squeeze(2).squeeze(1)


class Branch(nn.Module):
    """Three convolutions that halve time and channels, climbing one size after each, to one sigmoid map."""

    def __init__(self, width: int, kernels: Sequence[int]) -> None:
        super().__init__()
        self.halving = kernels
        self.convs = nn.ModuleList(
            nn.Conv3d(width >> step, width >> (step + 1), (k, 3, 3), stride=(k, 1, 1), padding=(0, 1, 1), bias=False)
            for step, k in enumerate(kernels)
        )
        self.out = nn.Conv3d(width >> len(kernels), 1, (1, 3, 3), padding=(0, 1, 1), bias=False)

    def forward(self, x: Tensor, sizes: Sequence[tuple[int, int]]) -> Tensor:
        """Turn x (B, C, T, h, w) into (B, 1, 1, H, W); `sizes` are the next larger (h, w), the last one full."""
        for step, conv in enumerate(self.convs):
            x = F.relu(conv(pad_time(x, self.halving[step])))
            if step < len(sizes):
                x = upsample(x, sizes[step])
        x = self.out(x)
        if spatial_size(x) != sizes[-1]:
            x = upsample(x, sizes[-1])
        # Clips longer than the configured length leave several time steps: their mean decides.
        return torch.sigmoid(x.mean(dim=2, keepdim=True))
