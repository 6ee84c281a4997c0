"""Numbers that say where one map's attention is, and how gathered it is."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Focus:
    """Where the attention of one frame is. Places are in pixels of the picture, see `saliency.attention`.

    Attributes:
        peak_x: horizontal place of the middle of the highest cell (the first one in reading order among equals).
        peak_y: vertical place of it.
        peak: its density as a multiple of the mean, >= 1; 1 when attention is evenly spread.
        centroid_x: mean place of the attention, horizontally.
        centroid_y: mean place of the attention, vertically.
        entropy: -sum(p log2 p) in bits over the map's cells; depends on their number.
        spread: 2**entropy / cells, in (0, 1]: the share of the picture that evenly spread attention of this
            entropy would fill. 1 when spread over the whole picture.
        centre_distance: mean distance of the attention from the middle of the picture as a share of the distance
            of a corner, in [0, 1).
    """

    peak_x: float
    peak_y: float
    peak: float
    centroid_x: float
    centroid_y: float
    entropy: float
    spread: float
    centre_distance: float


def as_shares(density: np.ndarray) -> np.ndarray:
    """Return each cell's share of the attention, float64 (h, w) that sums to 1.

    A map that is zero everywhere stands for attention spread evenly.

    Args:
        density: (h, w) >= 0, any real type.

    Raises:
        ValueError: another number of axes, no cell, negative or non-finite values.
    """
    if density.ndim != 2 or density.size == 0:
        raise ValueError(f"a map must have shape (h, w), got {density.shape}")
    shares = density.astype(np.float64)
    if not np.isfinite(shares).all() or shares.min() < 0:
        raise ValueError("a map must be finite and >= 0")
    total = shares.sum()
    return shares / total if total > 0 else np.full(shares.shape, 1 / shares.size)


def measure(shares: np.ndarray, size: tuple[int, int]) -> Focus:
    """Return the numbers of one map.

    Args:
        shares: (h, w) of `as_shares`.
        size: (H, W) of the picture in pixels.
    """
    rows, columns = shares.shape
    x, y = cell_middles(columns, size[1]), cell_middles(rows, size[0])  # (w,), (h,)
    row, column = divmod(int(shares.argmax()), columns)
    held = shares[shares > 0]
    entropy = float(-(held * np.log2(held)).sum()) + 0.0  # + 0.0 turns -0.0 into 0.0
    away = np.hypot(x[None, :] - size[1] / 2, y[:, None] - size[0] / 2)  # (h, w) pixels
    return Focus(
        peak_x=float(x[column]),
        peak_y=float(y[row]),
        peak=float(shares[row, column] * shares.size),
        centroid_x=float(shares.sum(axis=0) @ x),
        centroid_y=float(shares.sum(axis=1) @ y),
        entropy=entropy,
        spread=2.0**entropy / shares.size,
        centre_distance=float((shares * away).sum() / np.hypot(size[1] / 2, size[0] / 2)),
    )


def cell_middles(cells: int, pixels: int) -> np.ndarray:
    """Return the places of the middles of `cells` equal cells along `pixels` pixels, float64 (cells,)."""
    return (np.arange(cells) + 0.5) * (pixels / cells)
