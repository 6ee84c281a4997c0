"""A smooth path along one axis: first where it pays to be, then how a camera would go there.

1. `best_way`: of all ways through a row of places, the one with the greatest sum of gain minus the toll of the way
   travelled, by Viterbi's algorithm. It stays where it is unless moving pays.
2. `smooth`: the path nearest to that way (mean absolute distance plus `EASE` times the mean absolute acceleration)
   of all paths whose speed and acceleration stay within limits, by a linear programme. Absolute values make a camera
   rest, glide or ease and seldom anything between (Grundmann, Kwatra and Essa, "Auto-directed video stabilization
   with robust L1 optimal camera paths", CVPR 2011). Long ways are solved in pieces that look ahead, so that the
   work grows with the length only in proportion.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array, csr_array, hstack, vstack

EASE = 0.6
"""Seconds of being one unit off that an acceleration of one unit a second, a second, held for a second, costs."""

Matrix = Any  # a sparse array; SciPy's type hints do not tell their kinds apart
_PIECE, _AHEAD = 240, 120
"""Frames that are kept of each solution, and frames it looks ahead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the path may do.

    Attributes:
        room: it stays in [0, room].
        speed: greatest change of place a second.
        acceleration: greatest change of speed a second.
        fps: frames per second.
    """

    room: float
    speed: float
    acceleration: float
    fps: float


def best_way(gain: np.ndarray, toll: float) -> np.ndarray:
    """Return the place in each frame that gives the greatest sum of gain minus toll.

    Args:
        gain: (n, places) of being at a place in a frame, n >= 1.
        toll: cost of a step to the next place.

    Returns:
        (n,) numbers of places. Among equals the way stays, or is in the middle of them.
    """
    tolls = np.arange(gain.shape[1]) * toll
    best = np.zeros(gain.shape[1])
    came = np.empty(gain.shape, dtype=np.uint16)
    for frame, own in enumerate(gain):
        came[frame], arrived = _arrive(best, tolls)
        best = arrived + own
    way = np.empty(len(gain), dtype=np.intp)
    here = _middle_of_best(best)
    for frame in range(len(gain) - 1, -1, -1):
        way[frame] = here
        here = int(came[frame, here])
    return way


def smooth(way: np.ndarray, limits: Limits) -> np.ndarray:
    """Return the path (n,) within the limits that is nearest to the way (n,) and eases most."""
    path = np.empty(len(way))
    start: tuple[float, float] | None = None
    for first in range(0, len(way), _PIECE):
        solved = _solve(way[first : first + _PIECE + _AHEAD], limits, start)
        keep = min(_PIECE, len(way) - first)
        path[first : first + keep] = solved[:keep]
        if len(solved) > keep:
            start = (float(solved[keep]), float(solved[keep] - solved[keep - 1]))
    return path


def _arrive(best: np.ndarray, tolls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each place where one best comes from, and what is left on arrival.

    Coming from the left, ``max over j <= i of best[j] + tolls[j]`` is a running maximum, less ``tolls[i]``; coming
    from the right likewise.
    """
    own = np.arange(len(best))
    towards_right, towards_left = best + tolls, (best - tolls)[::-1]
    left, right = np.maximum.accumulate(towards_right), np.maximum.accumulate(towards_left)
    from_left = np.maximum.accumulate(np.where(towards_right >= left, own, 0))
    from_right = len(best) - 1 - np.maximum.accumulate(np.where(towards_left >= right, own, 0))[::-1]
    left_value, right_value = left - tolls, right[::-1] + tolls
    value = np.maximum(left_value, right_value)
    stays = best >= value - 1e-12
    return np.where(stays, own, np.where(left_value >= right_value, from_left, from_right)), np.maximum(value, best)


def _middle_of_best(values: np.ndarray) -> int:
    best = np.flatnonzero(values >= values.max() - 1e-9)
    return int(best[len(best) // 2])


def _solve(way: np.ndarray, limits: Limits, start: tuple[float, float] | None) -> np.ndarray:
    """Solve the linear programme of one piece.

    Unknowns are places p (n), distances d >= |p - way| (n) and accelerations a >= |p''| (n - 2). The piece ends with
    hardly any speed, so that the next one can always go on.

    Args:
        way: (n,) where it should be.
        limits: what the path may do.
        start: p[0] and its distance from the place before; None leaves both open.
    """
    n = len(way)
    if n < 3:
        return np.full(n, way.mean()) if start is None else np.full(n, start[0])
    fps = limits.fps
    same, steps, bends = _differences(n, 0), _differences(n, 1) * fps, _differences(n, 2) * fps**2
    last = steps[[n - 2]]
    rows = [
        (_row(same, -same, n), way),  # p - d <= way
        (_row(-same, -same, n), -way),
        (_row(steps, None, n), np.full(n - 1, limits.speed)),
        (_row(-steps, None, n), np.full(n - 1, limits.speed)),
        (_bend(bends, n), np.zeros(n - 2)),  # p'' - a <= 0
        (_bend(-bends, n), np.zeros(n - 2)),
        (_row(last, None, n), np.array([limits.acceleration / fps])),
        (_row(-last, None, n), np.array([limits.acceleration / fps])),
    ]
    places = [(0.0, limits.room)] * n
    if start is not None:
        change = limits.acceleration / fps
        first, speed = steps[[0]], start[1] * fps
        rows += [
            (_row(first, None, n), np.array([speed + change])),
            (_row(-first, None, n), np.array([change - speed])),
        ]
        places[0] = (start[0], start[0])
    found = linprog(
        np.concatenate([np.zeros(n), np.ones(n), np.full(n - 2, EASE)]),
        A_ub=vstack([matrix for matrix, _ in rows]),
        b_ub=np.concatenate([bound for _, bound in rows]),
        bounds=[*places, *[(0.0, None)] * n, *[(0.0, limits.acceleration)] * (n - 2)],
        method="highs",
    )
    if not found.success:
        raise RuntimeError(f"no path within the limits was found: {found.message}")
    return np.clip(found.x[:n], 0.0, limits.room)


def _differences(n: int, order: int) -> Matrix:
    """Return the matrix that takes n values to their differences of an order 0, 1 or 2, (n - order, n)."""
    weights = {0: (1.0,), 1: (-1.0, 1.0), 2: (1.0, -2.0, 1.0)}[order]
    rows = np.arange(n - order)
    values = np.repeat(weights, n - order)
    columns = np.concatenate([rows + k for k in range(order + 1)])
    return coo_array((values, (np.tile(rows, order + 1), columns)), shape=(n - order, n)).tocsr()


def _row(places: Matrix, distances: Matrix | None, n: int) -> Matrix:
    """Return inequalities in places and, if given, distances, over all 3 n - 2 unknowns."""
    if distances is None:
        distances = csr_array((places.shape[0], n))
    return hstack([places, distances, csr_array((places.shape[0], n - 2))]).tocsr()


def _bend(bends: Matrix, n: int) -> Matrix:
    """Return the inequalities ``bends p - a <= 0``."""
    return hstack([bends, csr_array((n - 2, n)), -_differences(n - 2, 0)]).tocsr()
