"""Give a film another shape: where the window goes, and how much of the attention it keeps.

The window is the largest of the wanted shape that fits into the picture, so it moves along one axis only. Within a
scene its path is that of `saliency.attention.camera`; at a cut it may jump. What pays is attention in the window, that
in its middle half twice, so that what is looked at comes to stand well inside and not at the edge.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from saliency.attention.camera import Limits, best_way, smooth
from saliency.errors import InputError

SPEED = 0.5
"""Greatest speed in widths of the window (heights if it moves up and down) a second."""
ACCELERATION = 1.0
"""Greatest change of the speed in widths of the window a second, a second."""
TRAVEL = 0.1
"""Attention, as a share of a frame's times seconds, that must be won for a way of one width of the window."""

_PLACES = 97
"""Places of the window that are compared; an odd number, so that the middle of the picture is one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The window of a crop.

    Attributes:
        width: in pixels; even along its axis.
        height: in pixels.
        room: pixels it can move by along its axis.
        axis: the direction in which it moves.
    """

    width: int
    height: int
    room: int
    axis: Literal["x", "y"]

    @property
    def extent(self) -> int:
        """Its size along its axis in pixels."""
        return self.width if self.axis == "x" else self.height


@dataclass(frozen=True, slots=True, kw_only=True)
class CropPath:
    """Where the window is in each of n frames, and the attention in it.

    Attributes:
        window: its size.
        place: left (upper) edge in whole pixels along its axis, int64 (n,).
        share: share of the frame's attention inside, float64 (n,).
        fixed_share: the same for a window that stays in the middle of the picture.
    """

    window: Window
    place: np.ndarray
    share: np.ndarray
    fixed_share: np.ndarray

    def corner(self, frame: int) -> tuple[int, int]:
        """Return x and y of the window's upper left corner in a frame."""
        place = int(self.place[frame])
        return (place, 0) if self.window.axis == "x" else (0, place)

    def cut(self, frame: int, picture: np.ndarray) -> np.ndarray:
        """Return the window of a frame's picture (H, W, 3), a view."""
        x, y = self.corner(frame)
        return picture[y : y + self.window.height, x : x + self.window.width]


def parse_aspect(text: str) -> tuple[int, int]:
    """Read ``"9:16"`` as (width, height).

    Raises:
        InputError: it is not two whole numbers from 1 to 100 with a colon between.
    """
    found = re.fullmatch(r"\s*(\d{1,3})\s*:\s*(\d{1,3})\s*", text)
    if found is None or not all(1 <= int(number) <= 100 for number in found.groups()):
        raise InputError(f"--crop {text}: a shape is written WIDTH:HEIGHT, such as 9:16, 1:1 or 4:5")
    return int(found[1]), int(found[2])


def fit_window(size: tuple[int, int], aspect: tuple[int, int]) -> Window:
    """Return the largest window of a shape that fits into the picture.

    Args:
        size: (H, W) of the picture in pixels.
        aspect: width and height of the shape.

    Raises:
        InputError: the picture is too small for it.
    """
    height, width = size
    if width * aspect[1] >= height * aspect[0]:
        extent = round(height * aspect[0] / aspect[1] / 2) * 2
        window = Window(width=min(extent, width), height=height, room=max(width - extent, 0), axis="x")
    else:
        extent = round(width * aspect[1] / aspect[0] / 2) * 2
        window = Window(width=width, height=min(extent, height), room=max(height - extent, 0), axis="y")
    if extent < 2:
        raise InputError(f"--crop {aspect[0]}:{aspect[1]}: a picture of {width}x{height} pixels is too small for it")
    return window


def find_path(profiles: np.ndarray, window: Window, size: tuple[int, int], fps: float, cuts: Sequence[int]) -> CropPath:
    """Find the window's way through a film.

    Args:
        profiles: share of the attention in each column of cells of each frame's map (row, if the window moves up
            and down), (n, cells), n >= 1.
        window: of `fit_window`.
        size: (H, W) of the picture in pixels.
        fps: frames per second.
        cuts: frames that begin a new scene, growing.
    """
    pixels = size[1] if window.axis == "x" else size[0]
    places, shares, fixed = [], [], []
    for begin, end in pairwise([0, *cuts, len(profiles)]):
        kept = _Kept(profiles[begin:end], pixels, window.extent)
        place = _scene(kept, end - begin, window, fps)
        places.append(place)
        shares.append(kept.at(place))
        fixed.append(kept.at(np.full(end - begin, window.room // 2)))
    place, share, fixed_share = (np.concatenate(parts) for parts in (places, shares, fixed))
    return CropPath(window=window, place=place, share=share, fixed_share=fixed_share)


def _scene(kept: "_Kept", count: int, window: Window, fps: float) -> np.ndarray:
    """Return the window's place in each of the `count` frames of one scene, whole pixels."""
    if window.room == 0:
        return np.zeros(count, dtype=np.int64)
    places = np.linspace(0, window.room, min(_PLACES, window.room + 1))
    extent = float(window.extent)
    gain = (kept.everywhere(places) + kept.everywhere(places, inner=True)) / 2
    way = places[best_way(gain, TRAVEL * fps * (places[1] - places[0]) / extent)]
    limits = Limits(room=window.room / extent, speed=SPEED, acceleration=ACCELERATION, fps=fps)
    path = way if np.ptp(way) == 0 else smooth(way / extent, limits) * extent
    return np.rint(path).astype(np.int64)


class _Kept:
    """The attention inside a window at any place of its axis."""

    def __init__(self, profiles: np.ndarray, pixels: int, extent: int) -> None:
        self._before = np.zeros((len(profiles), profiles.shape[1] + 1))  # attention before each edge between cells
        np.cumsum(profiles, axis=1, dtype=np.float64, out=self._before[:, 1:])
        self._pixels, self._extent = pixels, extent

    def at(self, place: np.ndarray) -> np.ndarray:
        """Return the attention in the window at one place in each frame, (n,)."""
        frames = np.arange(len(self._before))
        kept = self._until(frames, place + self._extent) - self._until(frames, place)
        return np.clip(kept, 0, 1)

    def everywhere(self, places: np.ndarray, *, inner: bool = False) -> np.ndarray:
        """Return the attention in the window at each of some places in each frame, (n, places).

        Args:
            places: of the window's lower edge.
            inner: only in the middle half of the window.
        """
        frames = np.arange(len(self._before))[:, None]
        margin = self._extent / 4 if inner else 0.0
        low, high = places[None, :] + margin, places[None, :] + self._extent - margin
        return self._until(frames, high) - self._until(frames, low)

    def _until(self, frames: np.ndarray, edge: np.ndarray) -> np.ndarray:
        """Return the attention before an edge in pixels; inside a cell it is evenly spread."""
        cells = self._before.shape[1] - 1
        at = np.clip(edge * (cells / self._pixels), 0, cells)
        cell = np.minimum(at.astype(np.intp), cells - 1)
        low, high = self._before[frames, cell], self._before[frames, cell + 1]
        return low + (at - cell) * (high - low)
