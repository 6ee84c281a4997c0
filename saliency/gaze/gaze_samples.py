"""What every eye tracker's file becomes: samples of one viewer, in seconds and pixels of the screen."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saliency.errors import InputError

EPOCH = 1e8
"""Seconds: a clock that shows more counts from 1970, not from the start of a recording."""

SHARE_LIMIT, SHARE_PART = 1.05, 0.95
"""Positions are shares of the screen where so large a part of them lies within 0 .. SHARE_LIMIT."""

CLOCKS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
CLOCK_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
SLOWEST, FASTEST = 0.1, 0.0004
"""Seconds between two samples of the slowest and the fastest eye trackers (10 and 2,500 Hz)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GazeSamples:
    """The gaze of one viewer.

    Attributes:
        viewer: name or number.
        time: (n,) float64 seconds on the recording's own clock, growing.
        xy: (n, 2) float64 x, y in pixels of the screen, (0, 0) its upper left corner; NaN where the eye was lost.
        fixating: (n,) bool, the samples that the eye tracker's own software calls part of a fixation; None where it
            does not say.
        messages: (time, text) of what happened during the recording.
        notes: what was found out about the file and not said by it.
    """

    viewer: str
    time: np.ndarray
    xy: np.ndarray
    fixating: np.ndarray | None = None
    messages: tuple[tuple[float, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def seen(self) -> np.ndarray:
        """(n,) bool, the samples with a position."""
        return has_position(self.xy)


def has_position(xy: np.ndarray) -> np.ndarray:
    """(n,) bool, which positions (n, 2) are two numbers."""
    return np.isfinite(xy[:, 0]) & np.isfinite(xy[:, 1])


def without_lost(xy: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Return positions (n, 2) with NaN twice where the eye was lost.

    Lost is what has no number in x or y, is exactly (-1, -1) or (0, 0), or is not `valid` (n,): trackers write so what
    they did not see.
    """
    lost = ~has_position(xy) | (xy == -1).all(axis=1) | (xy == 0).all(axis=1)
    if valid is not None:
        lost |= ~valid
    return np.where(lost[:, None], np.nan, xy)


def are_shares(xy: np.ndarray) -> bool:
    """Whether positions (n, 2) are shares of a picture and no pixels: nearly all lie within 0 .. 1.05."""
    seen = xy[has_position(xy)]
    if not len(seen):
        return False
    return bool(((seen >= 0) & (seen <= SHARE_LIMIT)).all(axis=1).mean() >= SHARE_PART)


def clock_of(time: np.ndarray, path: Path) -> str:
    """Guess the unit of a clock from the distance of its samples: ``s``, ``ms``, ``us`` or ``ns``.

    Raises:
        InputError: no unit gives the rate of an eye tracker.
    """
    steps = np.diff(time)
    steps = steps[steps > 0]
    if not len(steps):
        raise InputError(f"{path}: its times do not grow; name the column of the recording's clock 'time'")
    step = float(np.median(steps))
    for name, per_second in CLOCKS.items():
        if FASTEST <= step / per_second < SLOWEST:
            return name
    raise InputError(
        f"{path}: {step:.6g} between two samples is the rate of no eye tracker in s, ms, us or ns; keep all samples, "
        "with their own times"
    )


def in_seconds(time: np.ndarray, unit: str, path: Path) -> tuple[np.ndarray, str, tuple[str, ...]]:
    """Return times in seconds, the unit they had, and what was found out about the clock.

    Args:
        time: (n,).
        unit: ``s``, ``ms``, ``us``, ``ns`` where the file says it; empty: guessed.
        path: for messages.

    Raises:
        InputError: a sample has no time, times run back, or they are of no known unit.
    """
    if not np.isfinite(time).all():
        raise InputError(f"{path}: sample {int((~np.isfinite(time)).argmax()) + 1} has no time; leave it out")
    if (np.diff(time) < 0).any():
        where = int((np.diff(time) < 0).argmax()) + 2
        raise InputError(
            f"{path}: the time of sample {where} is before that of the one before it; export one recording"
        )
    notes = []
    if not unit and len(time) > 1:
        unit = clock_of(time, path)
        notes.append(f"clock in {CLOCK_NAMES[unit]}")
    unit = unit or "s"
    seconds = time / CLOCKS[unit]
    if len(seconds) and seconds[0] > EPOCH:
        notes.append("epoch time")
    return seconds, unit, tuple(notes)
