"""S3D over windows that overlap: what neighbouring windows have in common is computed once.

The clips of two neighbouring target frames share all frames but one, and their features differ only where a layer
sees the zeros that stand for the time before and after a clip. Each layer over time lets them in one step further
from both ends (the first, with its kernel of seven frames, two steps from the front and one from the back), so a clip
of 32 frames has 13 of the first layer's 16 steps in common with its neighbours, and 7 of those of the sixth, the last
one treated here: the pooling that follows takes pairs of steps, and hardly anything is common behind it. The numbers
are those of `S3DFeatures` but for rounding.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from saliency.backbones.layers import pad_clip
from saliency.backbones.s3d import (
    MIN_SIZE,
    TAPS,
    Conv3dNormActivation,
    S3DFeatures,
    SepInceptionBlock3D,
    TemporalSeparableConv,
)

_SHORTEST = 24
"""Fewest frames of a clip with steps in common at every layer treated here."""
_TREATED = 7
"""Layers of `S3DFeatures` from the first on; the rest sees windows one by one."""

Module = Callable[[Tensor], Tensor]


def have_much_in_common(length: int, shift: int) -> bool:
    """Whether clips of so many frames, so many frames apart, are worth computing together here."""
    return length % 2 == 0 and length >= _SHORTEST and 1 <= shift <= length // 4


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the steps of windows lie among the common ones.

    A window has ``length // 2`` steps, two frames apart. Windows an even number of frames apart share a grid of every
    second frame; others one of every frame, of which each takes every second.

    Attributes:
        windows: how many there are.
        shift: frames between the beginnings of neighbouring windows.
        steps: of each window.
    """

    windows: int
    shift: int
    steps: int

    @property
    def spacing(self) -> int:
        """Places of the grid from one step of a window to its next."""
        return 1 + self.shift % 2

    @property
    def hop(self) -> int:
        """Places of the grid from one window to the next."""
        return self.shift * self.spacing // 2


@dataclass(frozen=True, slots=True)
class Steps:
    """Features of all windows at one layer.

    Attributes:
        grid: see `Grid`.
        front: (B, C, f, h, w), the first steps of each window, which see its beginning.
        common: (1, C, n, h, w), the steps that do not depend on where a window begins and ends, on the grid; the
            first one is step f of the first window, the last one is the last of its kind of the last window.
        back: (B, C, b, h, w), the last steps of each window, which see its end.
    """

    grid: Grid
    front: Tensor
    common: Tensor
    back: Tensor

    def each(self, module: Module) -> "Steps":
        """Apply something that looks at every step alone."""
        return Steps(self.grid, module(self.front), module(self.common), module(self.back))

    def common_steps(self, window: int, first: int, count: int) -> Tensor:
        """Return steps of a window that are common ones, (1, C, count, h, w), a view."""
        spacing = self.grid.spacing
        begin = window * self.grid.hop + (first - self.front.shape[2]) * spacing
        return self.common[:, :, begin : begin + (count - 1) * spacing + 1 : spacing]

    def ends(self, more: int, outside: float | None = None) -> tuple[Tensor, Tensor]:
        """Return the steps at the front and the back of every window.

        Args:
            more: so many common ones beside them.
            outside: the value of a step before the front and of one after the back; None: without these.
        """
        f, b = self.front.shape[2], self.back.shape[2]
        outer = [] if outside is None else [_filled(self.common, 1, outside)]
        fronts, backs = [], []
        for i in range(self.grid.windows):
            fronts += [*outer, self.front[i : i + 1], self.common_steps(i, f, more)]
            backs += [self.common_steps(i, self.grid.steps - b - more, more), self.back[i : i + 1], *outer]
        return _windows(fronts, self.grid.windows), _windows(backs, self.grid.windows)

    def over_time(self, near: Module, spread: Module, outside: float) -> "Steps":
        """Apply something that looks at a step and its two neighbours, without padding.

        Args:
            near: for neighbours that lie side by side.
            spread: the same for neighbours `Grid.spacing` apart.
            outside: what stands before and after a window.
        """
        front, back = self.ends(2, outside)
        return Steps(self.grid, near(front), spread(self.common), near(back))

    def narrowed(self) -> "Steps":
        """Let one more step at each end count as the window's own, as beside a layer over time."""
        front, back = self.ends(1)
        spacing = self.grid.spacing
        return Steps(self.grid, front, self.common[:, :, spacing:-spacing], back)

    def of_window(self, window: int) -> list[Tensor]:
        """Return all steps of a window, (1, C, T, h, w) in three parts that follow each other in time, views."""
        f, b = self.front.shape[2], self.back.shape[2]
        common = self.common_steps(window, f, self.grid.steps - f - b)
        return [self.front[window : window + 1], common, self.back[window : window + 1]]


class WindowedS3D(nn.Module):
    """The features of all windows in a run of frames, from the layers of an `S3DFeatures` in evaluation mode."""

    def __init__(self, features: S3DFeatures, length: int, shift: int) -> None:
        """Make it; weights are shared with `features`.

        Args:
            features: the network, whose convolutions and poolings may have been replaced by faster ones with the
                attributes of PyTorch's.
            length: frames of a window; see `have_much_in_common`.
            shift: frames between the beginnings of neighbouring windows.
        """
        super().__init__()
        assert have_much_in_common(length, shift)
        self.length, self.shift = length, shift
        layers = list(features.features)
        stem, self.pool1, self.point2, second, self.pool4 = layers[:5]
        assert isinstance(stem, TemporalSeparableConv) and isinstance(second, TemporalSeparableConv)
        spacing = Grid(1, shift, length // 2).spacing
        self.stem_space, self.stem_near = stem[0], unpadded(stem[1])
        self.stem_common = unpadded(stem[1], stride=2 // spacing)
        self.second = OverTime(second, spacing)
        self.block5, self.block6 = (Inception(block, spacing) for block in layers[5:_TREATED])
        self.rest = nn.ModuleList(layers[_TREATED:])

    def forward(self, frames: Tensor) -> tuple[Steps, Steps]:
        """Return the features at H/4 and H/8, see `S3DFeatures.forward`.

        Args:
            frames: (1, 3, N, H, W), normalised; N - `length` is a multiple of `shift`.
        """
        frames = pad_clip(frames, min_size=MIN_SIZE)
        grid = Grid((frames.shape[2] - self.length) // self.shift + 1, self.shift, self.length // 2)
        x = self._stem(self.stem_space(frames), grid)
        quarter = self.second(x.each(self.pool1).each(self.point2))
        return quarter, self.block6(self.block5(quarter.each(self.pool4)))

    def coarse(self, eighth: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features at H/16 and H/32 of windows, from (B, C, T, h, w) at H/8."""
        taps, x = [], eighth
        for index, layer in enumerate(self.rest, _TREATED):
            x = layer(x)
            if index in TAPS:
                taps.append(x)
        return taps[0], taps[1]

    def _stem(self, x: Tensor, grid: Grid) -> Steps:
        """The first layer over time: kernel 7, stride 2, three zeros at each end of a window."""
        zeros = _filled(x, 3, 0.0)
        fronts, backs = [], []
        for begin in range(0, grid.windows * grid.shift, grid.shift):
            end = begin + self.length
            fronts += [zeros, x[:, :, begin : begin + 6]]  # steps 0 and 1
            backs += [x[:, :, end - 5 : end], zeros[:, :, :2]]  # the last step, around the last but one frame
        front, back = (self.stem_near(_windows(parts, grid.windows)) for parts in (fronts, backs))
        return Steps(grid, front, self.stem_common(x[:, :, 1:]), back)


class OverTime(nn.Module):
    """A convolution over space, then one over three steps."""

    def __init__(self, conv: TemporalSeparableConv, spacing: int) -> None:
        super().__init__()
        self.space, self.near, self.spread = conv[0], unpadded(conv[1]), unpadded(conv[1], dilation=spacing)

    def forward(self, x: Steps) -> Steps:
        """Apply it."""
        return x.each(self.space).over_time(self.near, self.spread, outside=0.0)


class Inception(nn.Module):
    """An inception block."""

    def __init__(self, block: nn.Module, spacing: int) -> None:
        super().__init__()
        assert isinstance(block, SepInceptionBlock3D)
        self.branch0, self.spacing = block.branch0, spacing
        self.point1, self.over1 = block.branch1[0], OverTime(_separable(block.branch1[1]), spacing)
        self.point2, self.over2 = block.branch2[0], OverTime(_separable(block.branch2[1]), spacing)
        self.pool, self.point3 = in_space(block.branch3[0]), block.branch3[1]

    def forward(self, x: Steps) -> Steps:
        """Apply it."""
        pooled = x.each(self.pool).over_time(largest_of_three, self._spread, outside=-torch.inf)
        branches = (
            x.each(self.branch0).narrowed(),
            self.over1(x.each(self.point1)),
            self.over2(x.each(self.point2)),
            pooled.each(self.point3),
        )
        parts = [[getattr(branch, part) for branch in branches] for part in ("front", "common", "back")]
        front, common, back = (torch.cat(part, dim=1) for part in parts)
        return Steps(x.grid, front, common, back)

    def _spread(self, x: Tensor) -> Tensor:
        return largest_of_three(x, self.spacing)


def _filled(like: Tensor, steps: int, value: float) -> Tensor:
    """Return (1, C, steps, h, w) of one value, its channels side by side in memory."""
    _, channels, _, h, w = like.shape
    return like.new_full((1, steps, h, w, channels), value).permute(0, 4, 1, 2, 3)


def _windows(parts: list[Tensor], count: int) -> Tensor:
    """Join what (1, C, t, h, w) follow each other in time, and cut it into windows of equal length, (B, C, T, h, w).

    One copy of memory in which channels lie side by side.
    """
    joined = torch.cat([part[0].permute(1, 2, 3, 0) for part in parts])  # (B * T, h, w, C)
    return joined.unflatten(0, (count, -1)).permute(0, 4, 1, 2, 3)


def largest_of_three(x: Tensor, spacing: int = 1) -> Tensor:
    """Return the maximum of each step of (B, C, T, h, w) and its two neighbours, two `spacing` fewer steps."""
    count = x.shape[2] - 2 * spacing
    first, second, third = (x.narrow(2, i * spacing, count) for i in range(3))
    return torch.maximum(torch.maximum(first, second), third)


def unpadded(layer: nn.Module, *, stride: int | None = None, dilation: int = 1) -> nn.Sequential:
    """Return a convolution over time with its norm and activation, without padding; weights are shared."""
    assert isinstance(layer, Conv3dNormActivation)
    conv: Any = copy.copy(layer[0])  # PyTorch's, or one with its attributes
    conv.padding, conv.dilation = (0, 0, 0), (dilation, 1, 1)
    conv.stride = (conv.stride[0] if stride is None else stride, 1, 1)
    return nn.Sequential(conv, *list(layer)[1:])


def in_space(pool: nn.Module) -> nn.Module:
    """Return a pooling over 3x3x3 that looks at every step alone."""
    flat: Any = copy.copy(pool)
    flat.kernel_size, flat.stride, flat.padding = (1, 3, 3), (1, 1, 1), (0, 1, 1)
    return flat


def _separable(layer: nn.Module) -> TemporalSeparableConv:
    assert isinstance(layer, TemporalSeparableConv)
    return layer
