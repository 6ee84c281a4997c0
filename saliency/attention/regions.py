"""Regions of interest: named shapes that stand still or move, and how much of the attention they get."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from saliency.attention.areas import Rectangle, Shape


class Region(Protocol):
    """A named part of the picture."""

    @property
    def name(self) -> str:
        """How it is called in tables."""
        ...

    def at(self, frame: int) -> Shape | None:
        """Return where it is in a frame; None: it is not in the picture."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedRegion:
    """A region that stands still.

    Attributes:
        name: how it is called.
        shape: where it is.
    """

    name: str
    shape: Shape

    def at(self, frame: int) -> Shape | None:
        """Return the shape."""
        return self.shape


@dataclass(frozen=True, slots=True, kw_only=True)
class MovingRegion:
    """A rectangle that is known in some frames and moves evenly between them.

    Before the first and after the last of these frames it is not in the picture. A frame whose rectangle is None
    says that it is not in the picture from there on until the next one.

    Attributes:
        name: how it is called.
        frames: the frames in which it is known, growing.
        shapes: where it is in each of them.
    """

    name: str
    frames: tuple[int, ...]
    shapes: tuple[Rectangle | None, ...]

    def at(self, frame: int) -> Shape | None:
        """Return the rectangle, between two known ones in proportion to the frames passed."""
        before = bisect_right(self.frames, frame) - 1
        if before < 0:
            return None
        here = self.shapes[before]
        if self.frames[before] == frame or here is None:
            return here
        if before + 1 == len(self.frames):
            return None
        there = self.shapes[before + 1]
        if there is None:  # it stays where it was until it leaves
            return here
        passed = (frame - self.frames[before]) / (self.frames[before + 1] - self.frames[before])
        mixed = [a + passed * (b - a) for a, b in zip(_sides(here), _sides(there), strict=True)]
        return Rectangle(*mixed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a region gets in one frame.

    Attributes:
        attention: share of the frame's attention inside, in [0, 1].
        area: share of the picture inside, in [0, 1].
        holds_peak: whether most of the highest cell lies inside.
    """

    attention: float
    area: float
    holds_peak: bool


class RegionMeter:
    """Measures the regions on one map after the other; a shape that did not move is not drawn again."""

    def __init__(self, regions: Sequence[Region], size: tuple[int, int]) -> None:
        """Make a meter.

        Args:
            regions: what to measure.
            size: (H, W) of the picture in pixels.
        """
        self.regions = tuple(regions)
        self._size = size
        self._drawn: dict[str, tuple[Shape, np.ndarray]] = {}

    def shares(self, frame: int, shares: np.ndarray) -> list[Share | None]:
        """Return what each region gets; None for one that is not in the picture.

        Args:
            frame: number of the frame.
            shares: its map (h, w) as of `saliency.attention.focus.as_shares`.
        """
        return [self._share(region, frame, shares) for region in self.regions]

    def _share(self, region: Region, frame: int, shares: np.ndarray) -> Share | None:
        shape = region.at(frame)
        if shape is None:
            return None
        drawn = self._drawn.get(region.name)
        if drawn is None or drawn[0] != shape or drawn[1].shape != shares.shape:
            drawn = self._drawn[region.name] = (shape, shape.cover(shares.shape, self._size))
        cover = drawn[1]
        area = float(cover.mean())
        if area == 0:  # wholly beyond the picture's edge
            return None
        return Share(
            attention=min(float((shares * cover).sum()), 1.0),
            area=area,
            holds_peak=bool(cover.flat[int(shares.argmax())] >= 0.5),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionSummary:
    """What a region gets in a whole film. Means are over the frames in which it is in the picture.

    Attributes:
        name: of the region.
        frames: number of frames in which it is in the picture.
        attention: mean share of the attention inside; None if it is never in the picture.
        area: mean share of the picture inside; None likewise.
        peak_frames: number of frames in which it holds the peak.
        first_peak: the first of them; None if there is none.
    """

    name: str
    frames: int
    attention: float | None
    area: float | None
    peak_frames: int
    first_peak: int | None

    @property
    def lift(self) -> float | None:
        """Attention divided by area: 1 when the region gets what its size alone would; None if never shown."""
        return None if self.attention is None or not self.area else self.attention / self.area


def summarise(name: str, shares: Iterable[Share | None]) -> RegionSummary:
    """Return what a region gets over the frames of a film."""
    every = list(shares)
    shown = [share for share in every if share is not None]
    peaks = [number for number, share in enumerate(every) if share is not None and share.holds_peak]
    return RegionSummary(
        name=name,
        frames=len(shown),
        attention=float(np.mean([share.attention for share in shown])) if shown else None,
        area=float(np.mean([share.area for share in shown])) if shown else None,
        peak_frames=len(peaks),
        first_peak=peaks[0] if peaks else None,
    )


def _sides(shape: Rectangle) -> tuple[float, float, float, float]:
    return shape.x, shape.y, shape.width, shape.height
