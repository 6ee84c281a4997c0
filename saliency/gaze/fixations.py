"""Fixations from samples, by dispersion (I-DT) or by velocity (I-VT).

Salvucci and Goldberg, "Identifying fixations and saccades in eye-tracking protocols", ETRA 2000. Both tell for each
sample whether it is part of a fixation; a lost sample never is, and no fixation lasts across one.
"""

import numpy as np

from saliency.gaze.gaze_samples import has_position

DISPERSION, VELOCITY, DURATION = 1.0, 30.0, 0.1
"""Degrees of visual angle (x extent + y extent), degrees a second, seconds: usual settings of the two methods."""


def by_dispersion(time: np.ndarray, xy: np.ndarray, *, dispersion: float, duration: float = DURATION) -> np.ndarray:
    """I-DT: windows of at least `duration` in which gaze stays within `dispersion`, made as long as they can be.

    Args:
        time: (n,) seconds, growing.
        xy: (n, 2), NaN where lost.
        dispersion: largest extent in x plus extent in y, in the unit of `xy`.
        duration: seconds from the first to the last sample.

    Returns:
        (n,) bool.
    """
    fixating = np.zeros(len(time), dtype=bool)
    for first, last in runs(has_position(xy)):
        begin = first
        while begin < last:
            end = int(np.searchsorted(time[begin:last], time[begin] + duration - 1e-9)) + begin + 1
            if end > last:
                break
            low, high = xy[begin:end].min(axis=0), xy[begin:end].max(axis=0)
            if (high - low).sum() > dispersion:
                begin += 1
                continue
            while end < last:
                wider_low, wider_high = np.minimum(low, xy[end]), np.maximum(high, xy[end])
                if (wider_high - wider_low).sum() > dispersion:
                    break
                low, high, end = wider_low, wider_high, end + 1
            fixating[begin:end] = True
            begin = end
    return fixating


def by_velocity(time: np.ndarray, xy: np.ndarray, *, velocity: float, duration: float = DURATION) -> np.ndarray:
    """I-VT: samples whose speed from the one before and to the next stays below `velocity`, in runs of `duration`.

    Args:
        time: (n,) seconds, growing.
        xy: (n, 2), NaN where lost.
        velocity: the limit, in units of `xy` a second.
        duration: seconds from the first to the last sample of a run; shorter ones are no fixation.

    Returns:
        (n,) bool.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        speed = np.linalg.norm(np.diff(xy, axis=0), axis=1) / np.diff(time)  # (n - 1,)
    slow = has_position(xy)
    fast = np.nan_to_num(speed, nan=0.0, posinf=np.inf) >= velocity  # beside a lost sample speed is unknown
    slow[1:] &= ~fast
    slow[:-1] &= ~fast
    fixating = np.zeros(len(time), dtype=bool)
    for first, last in runs(slow):
        if time[last - 1] - time[first] >= duration - 1e-9:
            fixating[first:last] = True
    return fixating


def runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Return (first, behind the last) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
