"""AppearanceNet: a small 2-D network for where people look, with a short memory of the frames before.

This project's own design, no paper: an encoder that sees every frame alone (residual blocks of its own, or
EfficientNet-Lite0, which can start from weights trained on ImageNet), a top-down decoder that joins its scales, a
learned prior map, and a gated memory. The memory sees how the features of the target frame differ from the mean of
those before it. Where nothing moves the difference is zero and adds exactly nothing: a photograph is answered as a
video of equal frames of any length, so the network can learn appearance from single photographs and motion later from
videos, in the same weights.

Ideas used: residual blocks (He et al., CVPR 2016), top-down pathway (Lin et al., FPN, CVPR 2017), squeeze-and-
excitation gates (Hu et al., CVPR 2018), a learned prior over the picture's place (Cornia et al., ICPR 2016), the
map as a softmax over all places (Jetley et al., CVPR 2016).
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from saliency.backbones.efficientnet_lite import CHANNELS, EfficientNetLite
from saliency.backbones.layers import initialise_convolutions
from saliency.backbones.pretrained import start
from saliency.errors import InputError
from saliency.types import Init, InputSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class AppearanceNetConfig:
    """The settings of an AppearanceNet.

    Attributes:
        input: the clip it wants; its last frame is the target frame. Any length and size work with any weights.
        encoder: ``"residual"``, or ``"efficientnet_lite0"``, which wants frames normalised with mean and standard
            deviation 0.5, and `channels` (24, 40, 112, 320).
        channels: of the features at 1/4, 1/8, 1/16 and 1/32 of the frame.
        depths: residual blocks at each of these scales; means nothing to EfficientNet-Lite0.
        decoder_channels: of the decoder's features.
        prior: (h, w) of the learned prior map.
        dropout: share of the decoder's coarse channels left out at random in training.
        memory: whether there is a memory of the frames before the target.
    """

    input: InputSpec = field(default_factory=lambda: InputSpec(length=4, stride=4, size=(144, 192)))
    encoder: Literal["residual", "efficientnet_lite0"] = "residual"
    channels: tuple[int, int, int, int] = (32, 64, 128, 192)
    depths: tuple[int, int, int, int] = (1, 2, 2, 2)
    decoder_channels: int = 64
    prior: tuple[int, int] = (9, 12)
    dropout: float = 0.1
    memory: bool = True

    def build(self, init: Init = "scratch") -> "AppearanceNet":
        """Make the model.

        Args:
            init: ``"scratch"``, ``"imagenet"`` (the published weights of EfficientNet-Lite0), or the path of a
                checkpoint.

        Raises:
            InputError: the weights are missing or do not fit.
        """
        model = AppearanceNet(self)
        named = {"imagenet": model.backbone.load_published} if model.backbone is not None else {}
        start(model, init, partial(_initialise, model), named)
        return model


class AppearanceNet(nn.Module):
    """(B, 3, T, H, W) normalised clip -> (B, H, W) density, which sums to 1 over the picture."""

    def __init__(self, config: AppearanceNetConfig) -> None:
        super().__init__()
        self.backbone: EfficientNetLite | None = None
        if config.encoder == "efficientnet_lite0":
            if config.channels != CHANNELS:
                raise InputError(f"encoder 'efficientnet_lite0' has the channels {CHANNELS}, not {config.channels}")
            self.backbone = EfficientNetLite()
        else:
            c4, c8, c16, c32 = config.channels
            self.stem = nn.Sequential(*_conv(3, c4 // 2, stride=2), *_conv(c4 // 2, c4, stride=2))
            widths = ((c4, c4), (c4, c8), (c8, c16), (c16, c32))
            self.scales = nn.ModuleList(
                _scale(c_in, c_out, depth, stride=1 if i == 0 else 2)
                for i, ((c_in, c_out), depth) in enumerate(zip(widths, config.depths, strict=True))
            )
        self.memories = nn.ModuleList(Memory(c) for c in config.channels) if config.memory else None
        self.decoder = Decoder(config)
        self.to(memory_format=torch.channels_last)

    def forward(self, clip: Tensor) -> Tensor:
        """Predict where people look in the clip's last frame."""
        batch, _, length, height, width = clip.shape
        frames = rearrange(clip, "b c t h w -> (b t) c h w")
        features = [rearrange(f, "(b t) c h w -> b t c h w", b=batch, t=length) for f in self.encode(frames)]
        logits = self.decode([self.remember(i, f) for i, f in enumerate(features)], (height, width))
        return logits.flatten(1).softmax(dim=1).unflatten(1, (height, width))

    def encode(self, frames: Tensor) -> list[Tensor]:
        """See frames (N, 3, H, W) one by one: features (N, C, h, w) at 1/4, 1/8, 1/16 and 1/32."""
        x = frames.contiguous(memory_format=torch.channels_last)
        if self.backbone is not None:
            return self.backbone(x)
        x = self.stem(x)
        features = []
        for scale in self.scales:
            x = scale(x)
            features.append(x)
        return features

    def remember(self, scale: int, features: Tensor) -> Tensor:
        """Join the features (B, T, C, h, w) of a clip at one scale: (B, C, h, w), of the last frame."""
        now = features[:, -1]
        if self.memories is None or features.shape[1] == 1:
            return now
        return self.memories[scale](now, features[:, :-1].mean(dim=1))

    def decode(self, features: list[Tensor], size: tuple[int, int]) -> Tensor:
        """Turn the features of the target frame into logits (B, H, W) of `size`, in float32."""
        logits = self.decoder(features)  # (B, 1, H/4, W/4)
        return F.interpolate(logits, size, mode="bilinear", align_corners=False)[:, 0]


class Memory(nn.Module):
    """Adds what changed since the frames before, as far as a gate lets it; exactly nothing where nothing did."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.change = nn.Conv2d(2 * channels, channels, 1, bias=False)
        self.gate = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, now: Tensor, before: Tensor) -> Tensor:
        """Features (B, C, h, w) of the target frame and their mean before it: (B, C, h, w)."""
        difference = now - before
        gate = torch.sigmoid(self.gate(torch.cat((now, before), dim=1)))
        return now + gate * self.change(torch.cat((difference, difference.abs()), dim=1))


class Decoder(nn.Module):
    """Climbs from 1/32 to 1/4 of the frame and adds the prior."""

    def __init__(self, config: AppearanceNetConfig) -> None:
        super().__init__()
        width = config.decoder_channels
        self.context = nn.Sequential(nn.Linear(config.channels[-1], width), nn.ReLU(), nn.Linear(width, width))
        self.sides = nn.ModuleList(nn.Conv2d(c, width, 1, bias=False) for c in config.channels)
        self.joins = nn.ModuleList(nn.Sequential(*_conv(width, width)) for _ in config.channels)
        self.dropout = nn.Dropout2d(config.dropout)
        self.votes = nn.ModuleList(Vote(width, 1, 1) for _ in config.channels)
        self.prior = nn.Parameter(torch.zeros(1, 1, *config.prior))

    def forward(self, features: list[Tensor]) -> Tensor:
        """Logits (B, 1, H/4, W/4) from features at 1/4, 1/8, 1/16 and 1/32; every scale has a vote."""
        size = features[0].shape[-2:]
        x = self.context(features[-1].mean(dim=(2, 3)))[:, :, None, None]  # (B, C, 1, 1)
        logits = _resize(self.prior, size)
        for i in reversed(range(len(features))):
            side = self.sides[i](features[i])
            x = self.joins[i](side + _resize(x, side.shape[-2:]))
            if i > 0:
                x = self.dropout(x)
            logits = logits + _resize(self.votes[i](x), size)
        return logits


class Vote(nn.Conv2d):
    """A 1x1 convolution to one channel, in its weights' own precision also under autocast.

    Logits need more digits than half precision has: what differs between places is small beside what they share.
    """

    def forward(self, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """(B, C, h, w) -> (B, 1, h, w)."""
        assert self.bias is not None
        return (x * self.weight[0]).sum(dim=1, keepdim=True) + self.bias


class Block(nn.Module):
    """Two 3x3 convolutions and a gate over channels, around a shortcut."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*_conv(c_in, c_out, stride=stride), *_conv(c_out, c_out)[:2])
        reduced = max(8, c_out // 8)
        self.gate = nn.Sequential(nn.Linear(c_out, reduced), nn.ReLU(), nn.Linear(reduced, c_out), nn.Sigmoid())
        pool = nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity()
        keep = c_in == c_out and stride == 1
        self.shortcut = nn.Identity() if keep else nn.Sequential(pool, *_conv(c_in, c_out, kernel=1)[:2])

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C', h / stride, w / stride), rounded up."""
        y = self.body(x)
        y = y * self.gate(y.mean(dim=(2, 3)))[:, :, None, None]
        return F.relu(y + self.shortcut(x))


def _scale(c_in: int, c_out: int, depth: int, stride: int) -> nn.Sequential:
    return nn.Sequential(*(Block(c_in if i == 0 else c_out, c_out, stride if i == 0 else 1) for i in range(depth)))


def _conv(c_in: int, c_out: int, *, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(c_in, c_out, kernel, stride=stride, padding=kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(c_out), nn.ReLU()]


def _resize(x: Tensor, size: torch.Size | tuple[int, int]) -> Tensor:
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=False)


def _initialise(model: AppearanceNet) -> None:
    initialise_convolutions(model.modules())
    for vote in model.decoder.votes:
        nn.init.normal_(vote.weight, std=0.01)
    for memory in model.memories or ():
        nn.init.normal_(memory.change.weight, std=0.01)  # starts almost as the network for photographs
