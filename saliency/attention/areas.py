"""Shapes on a picture, and how much of each cell of a map they cover."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from saliency.attention.focus import cell_middles

_SAMPLES = 8
"""A polygon is tested at so many points across and down each cell."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """An upright rectangle; it may reach over the picture's edge.

    Attributes:
        x: left edge in pixels.
        y: upper edge in pixels.
        width: in pixels, > 0.
        height: in pixels, > 0.
    """

    x: float
    y: float
    width: float
    height: float

    def cover(self, grid: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
        """Return the share of each cell that lies inside, exact, float64 (h, w) in [0, 1].

        Args:
            grid: (h, w) of the map.
            size: (H, W) of the picture in pixels.
        """
        down = _overlap(self.y, self.y + self.height, grid[0], size[0])
        across = _overlap(self.x, self.x + self.width, grid[1], size[1])
        return down[:, None] * across[None, :]

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, upper, right and lower edge."""
        return self.x, self.y, self.x + self.width, self.y + self.height

    def contains(self, x: float, y: float) -> bool:
        """Return whether a point in pixels lies inside."""
        return self.x <= x < self.x + self.width and self.y <= y < self.y + self.height


@dataclass(frozen=True)
class Polygon:
    """A closed polygon; where it crosses itself, the even-odd rule says what is inside.

    Attributes:
        points: (x, y) of at least three corners in pixels, in order.
    """

    points: tuple[tuple[float, float], ...]

    def cover(self, grid: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
        """Return the share of each cell that lies inside, told by 8x8 points a cell; see `Rectangle.cover`."""
        out = np.zeros(grid)
        left, top, right, bottom = self.box
        rows = _touched(top, bottom, grid[0], size[0])
        columns = _touched(left, right, grid[1], size[1])
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return out
        y = cell_middles(grid[0] * _SAMPLES, size[0])[rows.start * _SAMPLES : rows.stop * _SAMPLES]
        x = cell_middles(grid[1] * _SAMPLES, size[1])[columns.start * _SAMPLES : columns.stop * _SAMPLES]
        inside = self._contains(x, y).reshape(len(y) // _SAMPLES, _SAMPLES, len(x) // _SAMPLES, _SAMPLES)
        out[rows, columns] = inside.mean(axis=(1, 3))
        return out

    @cached_property
    def box(self) -> tuple[float, float, float, float]:
        """Left, upper, right and lower edge."""
        xs, ys = zip(*self.points, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def contains(self, x: float, y: float) -> bool:
        """Return whether a point in pixels lies inside."""
        return bool(self._contains(np.array([x]), np.array([y]))[0, 0])

    def _contains(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return which points of a grid lie inside, bool (len(y), len(x)): a ray to the left crosses oddly often."""
        inside = np.zeros((len(y), len(x)), dtype=bool)
        for (x0, y0), (x1, y1) in zip(self.points, (*self.points[1:], self.points[0]), strict=True):
            crossed = (y0 > y) != (y1 > y)  # (len(y),)
            if crossed.any():
                at = x0 + (y[crossed] - y0) / (y1 - y0) * (x1 - x0)
                inside[crossed] ^= x[None, :] > at[:, None]
        return inside


Shape = Rectangle | Polygon


def _overlap(low: float, high: float, cells: int, pixels: int) -> np.ndarray:
    """Return the share of each of `cells` cells along `pixels` pixels that lies between `low` and `high`."""
    edges = np.arange(cells + 1) * (pixels / cells)
    covered = np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)
    return np.clip(covered * (cells / pixels), 0, 1)


def _touched(low: float, high: float, cells: int, pixels: int) -> slice:
    """Return the cells along `pixels` pixels that touch the stretch from `low` to `high`."""
    first = int(np.floor(low * cells / pixels))
    last = int(np.ceil(high * cells / pixels))
    return slice(max(first, 0), min(max(last, 0), cells))
