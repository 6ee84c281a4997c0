"""What all saliency metrics share: frames flattened to (B, N), fixated pixels, normalisations.

Every metric is a function from (B, H, W) or (H, W) tensors to (B,) float64 on the same device. It first
wraps its arguments with `as_maps` / `as_points`; callers that score the same frames with several metrics wrap
them once (see `saliency.metrics.frame.score`) so that the sort, the mean, ... are computed once.

Rules that hold for all metrics:
    * one value per frame, never a mean over the batch; nothing random;
    * sums are accumulated in float64 whatever the input dtype; 8-bit maps are taken as they are;
    * a prediction with a NaN or infinite pixel gives NaN: callers must report it, not skip it;
    * a constant prediction is legal and scores as "no information", it never gives NaN;
    * ground truth on which a metric is undefined gives NaN: such frames are skipped and counted;
    * a map is constant when ``max == min``, not when its rounded standard deviation happens to be 0;
    * metrics are measures, not losses: no gradient flows through them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from saliency.errors import InputError

EPS = 2.2204e-16
"""The epsilon of the MIT saliency benchmark's KL divergence, about the spacing of float64 at 1."""

COUNTED = 32
"""Up to this many values are ranked by counting pixels, more by sorting them."""

NARROW = 3
"""Pixels below a value are dropped where those that remain are counted so many times as often: a copy costs that."""

SPARSE = 0.2
"""A map of which less than this share is above 0 has its mean and variance summed over that share alone."""

COVERED = 0.5
"""A density of which less than this share is above 0 is compared over that share alone: gathering costs too."""


class Maps:
    """A batch of real-valued maps and what metrics need of them, each computed once, on first use.

    Args:
        maps: (B, H, W) or (H, W), any real dtype and device. Not copied: do not change it afterwards.

    Attributes:
        shape: (B, H, W).
        values: (B, N) float32 or float64, N = H * W.

    Raises:
        InputError: `maps` is not a real (B, H, W) or (H, W) tensor with at least one pixel.
    """

    def __init__(self, maps: Tensor) -> None:
        maps = _frames(maps).detach()
        self.shape = maps.shape
        wanted = maps.dtype
        if wanted not in (torch.float32, torch.float64):
            # float32 holds half precision and 8/16-bit integers exactly; wider integers need float64.
            wanted = torch.float64 if wanted in (torch.int32, torch.int64) else torch.float32
        self.values = maps.to(wanted).flatten(1)
        self._wide_at = WeakKeyDictionary[Points, Tensor]()
        self._centred_at = WeakKeyDictionary[Points, Tensor]()

    @cached_property
    def low(self) -> Tensor:
        """(B,) smallest value, NaN if any pixel is NaN."""
        return self._range[0]

    @cached_property
    def high(self) -> Tensor:
        """(B,) largest value, NaN if any pixel is NaN."""
        return self._range[1]

    @cached_property
    def ends(self) -> tuple[float, float]:
        """Smallest and largest value of all frames, NaN if any pixel is NaN."""
        low, high = self.values.aminmax()  # one pass; PyTorch is slow at finding both along a dimension
        return float(low), float(high)

    @cached_property
    def finite(self) -> Tensor:
        """(B,) bool, whether every pixel is finite."""
        return (self.low > -torch.inf) & (self.high < torch.inf)  # False for NaN too

    @cached_property
    def constant(self) -> Tensor:
        """(B,) bool, whether all pixels are equal."""
        return self.low == self.high

    @cached_property
    def usable_density(self) -> Tensor:
        """(B,) bool, whether the map can serve as ground-truth density: finite, >= 0, not all zero."""
        return self.finite & (self.low >= 0) & (self.high > 0)

    @cached_property
    def unit(self) -> Tensor | None:
        """(B, 1) float64 power of two that brings each frame's largest magnitude near 1; None for float32.

        Squares and sums of float64 values may leave float64's range, those of float32 values cannot. No
        metric depends on a map's scale, and multiplying by a power of two is exact.
        """
        if self.values.dtype == torch.float32:
            return None
        exponent = torch.frexp(torch.maximum(self.low.abs(), self.high.abs())).exponent
        return torch.ldexp(torch.ones_like(self.low), -exponent.clamp(-1000, 1000))[:, None]

    @cached_property
    def support(self) -> "Points | None":
        """The pixels above 0 where all others are 0 and they are not many, as in blurred fixations; else None.

        Sums over them are those over the frame, for less. Only on a CPU: a GPU would have to wait for their number.
        """
        if self.values.device.type != "cpu" or self.ends[0] != 0 or not bool((self.low == 0).all()):
            return None
        above = self.values.numpy() > 0
        if np.count_nonzero(above) >= COVERED * above.size:
            return None
        return Points(self.shape, *_nonzero(torch.from_numpy(above)), repeats=False)

    @cached_property
    def _few(self) -> "Points | None":
        """The `support` of a sparse map, else None."""
        seen = self.support
        return None if seen is None or int(seen.count.sum()) >= SPARSE * self.values.numel() else seen

    @cached_property
    def centred(self) -> Tensor:
        """(B, N) float64, in `unit`: the values minus their mean."""
        return self._centred_and_mean_above_low[0]

    @cached_property
    def sum_of_squares(self) -> Tensor:
        """(B,) float64, in `unit` squared: the sum of the squares of `centred`."""
        if self._few is None:
            return dot(self.centred, self.centred)
        centred = self._few.fill(self.centred_at(self._few), 0.0)
        return dot(centred, centred) + (self.values.shape[1] - self._few.count) * self._mean_above_low[:, 0] ** 2

    @cached_property
    def ascending(self) -> Tensor:
        """(B, N) the values of each frame in ascending order; NaN last."""
        return ascending(self.values)

    def ranks(self, points: "Points") -> "Ranks":
        """Where the values at the points stand among all values of their frame."""
        values = self.at(points)
        if self.values.device.type != "cpu":
            below = torch.searchsorted(self.ascending, values)
            return Ranks(below=below, not_above=torch.searchsorted(self.ascending, values, right=True))
        ranks = np.zeros((2, *points.index.shape), np.int64)
        frames = zip(self.values.numpy(), values.numpy(), points.count.tolist(), strict=True)
        for i, (pixels, own, count) in enumerate(frames):
            ranks[:, i, :count] = _ranks(pixels, own[:count])
        below, not_above = torch.from_numpy(ranks).unbind()
        return Ranks(below=below, not_above=not_above)

    def mean_above(self, floor: Literal["low", "zero"]) -> Tensor:
        """(B, 1) float64, in `unit`: the mean minus the level that a density's zero corresponds to.

        Args:
            floor: ``"low"``, the smallest value; ``"zero"``, 0 or the smallest value if that is negative.

        Returns:
            Above 0 unless the map is constant ("low") or constant and <= 0 ("zero").
        """
        above_low = self._mean_above_low
        return above_low if floor == "low" else above_low + self._scaled(self.low.clamp(min=0))

    def density(self, at: "Points | Tensor | None" = None) -> Tensor:
        """Values / sum, after shifting maps with negative values up to minimum 0; constant -> uniform.

        Args:
            at: the points, or (B, K) flat pixel indices; None for all pixels.

        Returns:
            (B, N) or (B, K) float64, a new tensor.
        """
        if isinstance(at, Points):
            positive = self.wide_at(at).clone()
        else:
            positive = self._wide(self.values if at is None else self.values.gather(1, at))
        if bool((self.low < 0).any()):
            positive -= self._scaled(self.low.clamp(max=0))
        positive /= self.mean_above("zero") * self.values.shape[1]
        return positive.masked_fill_(self.constant[:, None], 1 / self.values.shape[1])

    def at(self, points: "Points") -> Tensor:
        """Values at the points, (B, K); entries where ``points.valid`` is False are meaningless."""
        return self.values.gather(1, points.index)

    def wide_at(self, points: "Points") -> Tensor:
        """Values at the points, (B, K) float64, in `unit`; 0 for padding. Kept: do not change them."""
        if points not in self._wide_at:
            self._wide_at[points] = points.fill(self._wide(self.at(points)), 0.0)
        return self._wide_at[points]

    def centred_at(self, points: "Points") -> Tensor:
        """Values of `centred` at the points, (B, K). Kept: do not change them."""
        if points not in self._centred_at:
            self._centred_at[points] = self.wide_at(points) - self._scaled(self.low) - self._mean_above_low
        return self._centred_at[points]

    def scaled_at(self, points: "Points") -> Tensor:
        """Values at the points scaled so that the frame's values span [0, 1], (B, K) float64."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        return (self._wide(self.at(points)) - low) / (high - low)

    @cached_property
    def _range(self) -> tuple[Tensor, Tensor]:
        """`low` and `high`."""
        if len(self.values) == 1 and self.values.device.type == "cpu":
            low, high = torch.tensor(self.ends, dtype=torch.float64).split(1)
            return low, high
        return self.values.amin(1).double(), self.values.amax(1).double()

    @cached_property
    def _mean_above_low(self) -> Tensor:
        """(B, 1) float64, in `unit`: the mean minus the smallest value."""
        if self._few is None:
            return self._centred_and_mean_above_low[1]
        return self.wide_at(self._few).sum(1, keepdim=True) / self.values.shape[1]  # the smallest value is 0

    @cached_property
    def _centred_and_mean_above_low(self) -> tuple[Tensor, Tensor]:
        """(B, N) and (B, 1), float64, in `unit`."""
        # First less the smallest, so that a tiny range on a large offset keeps its digits.
        if self.values.device.type == "cpu" and self.unit is None:  # one pass, where PyTorch makes two
            with np.errstate(invalid="ignore"):  # of infinite values
                wide = np.subtract(self.values.numpy(), self.low.numpy()[:, None], dtype=np.float64)
            wide = torch.from_numpy(wide)
        else:
            wide = self._wide(self.values) - self._scaled(self.low)
        above_low = wide.mean(1, keepdim=True)
        wide -= above_low
        return wide, above_low

    def _wide(self, values: Tensor) -> Tensor:
        """Copy (B, ...) values to float64, in `unit`."""
        return values.double() if self.unit is None else values * self.unit

    def _scaled(self, per_frame: Tensor) -> Tensor:
        """Bring (B,) float64 values to `unit`, (B, 1)."""
        return per_frame[:, None] if self.unit is None else per_frame[:, None] * self.unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """Where values stand among all pixels of their frame; entries of padding are meaningless.

    Attributes:
        below: (B, K) int64, number of pixels below each.
        not_above: (B, K) int64, number of pixels below or equal to each.
    """

    below: Tensor
    not_above: Tensor


class Points:
    """A batch of pixel lists of different lengths, padded to a rectangle.

    Attributes:
        shape: (B, H, W) of the frames the points lie in.
        index: (B, K) int64, flat pixel index ``row * W + column``; K is the longest list, at least 1.
        count: (B,) int64, number of points of each frame.
        repeats: whether one pixel may appear several times in a frame.
        padded: whether any frame has fewer points than K.
    """

    def __init__(self, shape: torch.Size, count: Tensor, pixel: Tensor, *, repeats: bool) -> None:
        """Store the points.

        Args:
            shape: (B, H, W).
            count: (B,) int64, number of points of each frame.
            pixel: (M,) int64 flat pixel index of each point, frame after frame.
            repeats: whether one pixel may appear several times in a frame.
        """
        self.shape = shape
        self.count = count
        self.repeats = repeats
        self.padded = shape[0] > 1 or not len(pixel)
        self._width = max(int(count.max()), 1) if self.padded else len(pixel)
        if not self.padded:
            self.index = pixel[None]
            return
        padding = torch.zeros(self.valid.shape, dtype=torch.int64, device=pixel.device)
        self.index = padding.masked_scatter(self.valid, pixel)  # in order of `valid`: frames ascending

    @cached_property
    def valid(self) -> Tensor:
        """(B, K) bool, False where a shorter list was padded."""
        return torch.arange(self._width, device=self.count.device) < self.count[:, None]

    @cached_property
    def as_set(self) -> "Points":
        """The same points with every pixel at most once."""
        if not self.repeats:
            return self
        mask = torch.zeros(self.shape, dtype=torch.bool, device=self.index.device).flatten(1)
        frame = torch.arange(self.shape[0], device=mask.device)[:, None].expand_as(self.index)
        mask[frame[self.valid], self.index[self.valid]] = True
        return as_points(mask.view(self.shape), self.shape, "points")

    def fill(self, values: Tensor, padding: float) -> Tensor:
        """(B, K) `values` at the points, with `padding` where a list was padded."""
        return values.masked_fill(~self.valid, padding) if self.padded else values

    def mean(self, values: Tensor) -> Tensor:
        """Mean of (B, K) float64 `values` over the valid points, (B,); NaN for frames without points."""
        return self.fill(values, 0.0).sum(1) / self.count


def as_maps(maps: "Tensor | Maps") -> Maps:
    """Wrap a tensor, or return what is wrapped already."""
    return maps if isinstance(maps, Maps) else Maps(maps)


def as_points(points: "Tensor | Sequence[Tensor] | Points", shape: torch.Size, name: str) -> Points:
    """Bring fixations to the form the metrics use.

    Args:
        points: one of
            a map, (B, H, W) or (H, W), bool or real: every pixel above 0 is one point;
            a list with one (M, 2) integer tensor of (row, column) per frame: points may repeat and then
            count repeatedly.
        shape: (B, H, W) of the prediction.
        name: what to call the points in messages.

    Raises:
        InputError: sizes or number of frames differ from the prediction, or a point lies outside the frame.
    """
    if isinstance(points, Points):
        check_shape(points.shape, shape, name)
        return points
    if isinstance(points, Tensor):
        mask = _frames(points)
        check_shape(mask.shape, shape, name)
        count, pixel = _nonzero(mask if mask.dtype == torch.bool else mask > 0)
        return Points(shape, count, pixel, repeats=False)
    return _listed_points(points, shape, name)


def _listed_points(points: Sequence[Tensor], shape: torch.Size, name: str) -> Points:
    """`as_points` for one (M, 2) tensor of (row, column) per frame."""
    frames, height, width = shape
    if len(points) != frames:
        raise InputError(
            f"{name} lists points of {len(points)} frames, the prediction has {frames}; give one tensor each"
        )
    for i, listed in enumerate(points):
        if listed.ndim != 2 or listed.shape[1] != 2 or listed.dtype.is_floating_point:
            raise InputError(f"{name}[{i}] is {listed.dtype} {tuple(listed.shape)}; give (M, 2) integer (row, column)")
    joined = (points[0] if frames == 1 else torch.cat(list(points))).long()
    row, column = joined.unbind(1)
    if len(joined) and bool((joined.amin() < 0) | (row.amax() >= height) | (column.amax() >= width)):
        outside = (row < 0) | (row >= height) | (column < 0) | (column >= width)
        raise InputError(
            f"{int(outside.sum())} of the {name} lie outside the {height}x{width} frame; "
            "give (row, column) and clip or drop them first"
        )
    lengths = torch.tensor([len(listed) for listed in points], device=joined.device)
    return Points(shape, lengths, row * width + column, repeats=True)


def _ranks(pixels: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count the pixels below, and not above, each value, (K,) int64 both.

    Args:
        pixels: (N,).
        values: (K,) some of the pixels.
    """
    if len(values) > COUNTED:
        reached = pixels >= values.min()  # people look where a good prediction is high: sort no more than that
        high = np.sort(pixels[reached] if np.count_nonzero(reached) < len(pixels) / 2 else pixels)
        rest = len(pixels) - len(high)
        return rest + np.searchsorted(high, values), rest + np.searchsorted(high, values, side="right")
    levels, of = np.unique(values, return_inverse=True)  # in increasing order; equal values are counted once
    below, not_above = np.zeros((2, len(levels)), np.int64)
    passed = 0  # pixels that are out of the race, all below the levels to come
    for i, level in enumerate(levels):
        below[i] = passed + np.count_nonzero(pixels < level)
        lower = np.count_nonzero(pixels <= level)
        not_above[i] = passed + lower
        if lower * (len(levels) - i) > NARROW * len(pixels):
            pixels, passed = pixels[pixels > level], passed + lower
    return below[of], not_above[of]


def ascending(values: Tensor) -> Tensor:
    """Sort each row of (B, N) values; NaN last."""
    if values.device.type == "cpu":  # numpy's vectorised sort is many times faster than torch's here
        return torch.from_numpy(np.sort(values.numpy(), axis=1))
    return values.sort(dim=1).values


def check_shape(found: torch.Size, wanted: torch.Size, name: str) -> None:
    """Raise InputError unless `found` equals the prediction's (B, H, W)."""
    if found != wanted:
        raise InputError(
            f"{name} is {tuple(found)} but the prediction is {tuple(wanted)} (frames, height, width); "
            "resize the prediction to the ground truth's size first"
        )


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Row-wise scalar product of two (B, N) tensors, (B,)."""
    return torch.bmm(a[:, None], b[:, :, None])[:, 0, 0]


def masked(values: Tensor, keep: Tensor) -> Tensor:
    """(B,) float64 `values` with NaN where `keep` is False."""
    return values.masked_fill(~keep, torch.nan)


def _frames(maps: Tensor) -> Tensor:
    """View (H, W) as (1, H, W); refuse anything else that is not (B, H, W)."""
    if maps.ndim not in (2, 3) or maps.numel() == 0 or maps.is_complex():
        raise InputError(f"a map is {maps.dtype} {tuple(maps.shape)}; give real (B, H, W) or (H, W) tensors")
    return maps if maps.ndim == 3 else maps[None]


def _nonzero(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Number (B,) and flat pixel index (M,) of the True elements of each frame of (B, H, W), ascending, int64."""
    mask = mask.flatten(1)
    if mask.device.type != "cpu":
        frame, pixel = mask.nonzero().unbind(1)
        return torch.bincount(frame, minlength=len(mask)), pixel
    found = [np.flatnonzero(frame) for frame in mask.numpy()]  # six times faster than torch's
    pixel = found[0] if len(found) == 1 else np.concatenate(found)
    return torch.tensor([len(pixels) for pixels in found]), torch.from_numpy(pixel)
