"""Small pieces several models share: any-size helpers, channel arithmetic, weight names, initialisation."""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

CHANNEL_STEP = 8
"""Scaled channel counts are multiples of this: CPU and GPU kernels work on blocks of eight."""


def scale_channels(channels: int, width: float) -> int:
    """Return `channels` times `width`, rounded to a multiple of eight and at least eight."""
    return max(CHANNEL_STEP, round(channels * width / CHANNEL_STEP) * CHANNEL_STEP)


def fit_groups(groups: int, *channels: int) -> int:
    """Return the largest number of groups that divides `groups` and every channel count."""
    return math.gcd(groups, *channels)


def halving_kernels(length: int, count: int) -> list[int]:
    """Return `count` temporal kernel sizes, 2 while more than one time step is left and 1 after that.

    The published decoders halve the time axis a fixed number of times, which suits one clip length;
    shorter clips need fewer halvings.
    """
    kernels = []
    for _ in range(count):
        kernels.append(2 if length > 1 else 1)
        length = max(1, length // 2)
    return kernels


def pad_clip(clip: Tensor, *, min_length: int = 1, multiple: int = 1, min_size: int = 1) -> Tensor:
    """Repeat a clip's first frame and its bottom and right edges until a model can take it.

    A clip that is long and large enough comes back as it is.

    Args:
        clip: (B, C, T, H, W).
        min_length: least number of frames.
        multiple: the number of frames becomes a multiple of this.
        min_size: least height and width in pixels.

    Returns:
        (B, C, T', H', W'), the original in the last frames, top rows and left columns.
    """
    length, height, width = clip.shape[2:]
    frames = math.ceil(max(length, min_length) / multiple) * multiple - length
    rows = max(0, min_size - height)
    columns = max(0, min_size - width)
    if frames == rows == columns == 0:
        return clip
    return F.pad(clip, (0, columns, 0, rows, frames, 0), mode="replicate")


def pad_time(x: Tensor, length: int) -> Tensor:
    """Repeat the first time step of x (B, C, T, H, W) in front until it has at least `length` steps."""
    missing = length - x.shape[2]
    return x if missing <= 0 else F.pad(x, (0, 0, 0, 0, missing, 0), mode="replicate")


def upsample(x: Tensor, size: tuple[int, int], *, align_corners: bool = False) -> Tensor:
    """Resize every time step of x (B, C, T, h, w) bilinearly to `size`, giving (B, C, T, H, W).

    The same numbers as trilinear interpolation that leaves the time axis alone. Taking the size, not a
    factor, lets odd sizes meet their skip connection.
    """
    b, c, t = x.shape[:3]
    if _channels_last(x):  # a view of its pixels instead of a copy
        frames = rearrange(x, "b c t h w -> (b t) c h w")
        frames = F.interpolate(frames, size=size, mode="bilinear", align_corners=align_corners)
        return rearrange(frames, "(b t) c h w -> b c t h w", b=b, t=t)
    frames = rearrange(x, "b c t h w -> b (c t) h w")
    frames = F.interpolate(frames, size=size, mode="bilinear", align_corners=align_corners)
    return rearrange(frames, "b (c t) h w -> b c t h w", c=c, t=t)


def _channels_last(x: Tensor) -> bool:
    """Whether the channels of x (B, C, T, H, W) lie side by side in memory, on a CPU (elsewhere it is no gain)."""
    last = x.device.type == "cpu" and x.is_contiguous(memory_format=torch.channels_last_3d)
    return last and not x.is_contiguous() and not torch.compiler.is_compiling()


def rename_prefixes(key: str, rules: Mapping[str, Mapping[str, str] | Callable[[str], str]]) -> str:
    """Rename the rest of a state dict key behind the first prefix of `rules` it starts with.

    Args:
        key: name of a weight, e.g. ``"decoder.convtsp1.0.weight"``.
        rules: prefix -> function of the rest, or a table of the rest's own prefixes.

    Returns:
        The new name; `key` itself where no rule fits.
    """
    for prefix, rule in rules.items():
        if not key.startswith(prefix):
            continue
        rest = key.removeprefix(prefix)
        if callable(rule):
            return prefix + rule(rest)
        for theirs, ours in rule.items():
            if rest.startswith(theirs):
                return prefix + ours + rest.removeprefix(theirs)
    return key


def recomputed(module: nn.Module, *args: Any) -> Any:
    """Call a module keeping only its inputs; the backward pass computes the rest again (Chen et al., arXiv:1604.06174).

    Gradients, random numbers and BatchNorm statistics are those of a plain call, which it is where no gradient is
    wanted.
    """
    if not torch.is_grad_enabled():
        return module(*args)
    if torch.compiler.is_compiling():  # compiled code updates statistics outside of what it computes again
        return checkpoint(module, *args, use_reentrant=False)

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return contextlib.nullcontext(), _statistics_held(module)

    return checkpoint(module, *args, use_reentrant=False, context_fn=contexts)


@contextlib.contextmanager
def _statistics_held(module: nn.Module) -> Iterator[None]:
    """Keep BatchNorms from counting a batch for the second time while it is computed again."""
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm3d) and m.training]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0  # the share of the new batch; the layer still normalises by that batch
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.sub_(1)


def spatial_size(x: Tensor) -> tuple[int, int]:
    """Return (H, W) of a tensor (..., H, W)."""
    return x.shape[-2], x.shape[-1]


@torch.no_grad()
def initialise_convolutions(modules: Iterable[nn.Module]) -> None:
    """Prepare convolutions and their norms for training from scratch (He et al., arXiv:1502.01852).

    PyTorch's default shrinks the signal by about 0.4 per convolution, so that decoders without
    normalisation start as constant maps with almost no gradient. Here each convolution keeps the signal's
    scale (fan-in, gain of ReLU) and biases are zero.
    """
    for module in modules:
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
