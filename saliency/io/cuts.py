"""Find hard cuts between scenes while the frames pass by once.

A frame begins a new scene when its small picture (32x18 pixels, or 18x32) differs from the one before

* by at least `FLOOR` of the full scale (mean of the absolute differences of its R, G and B values),
* by at least `RATIO` times the median of the differences around it (`WINDOW` frames to each side), so that a fast
  pan, shaking or flicker, which differ all the time, are no cuts, and
* it differs that much from the picture two before, and the picture after it from the one before it, so that a single
  flash is no cut.

Dissolves and fades are slow and are not found. The thresholds were set on drawn scenes with known cuts (see
`tests/io/test_cuts.py` for what is found and what is not).
"""

from array import array

import cv2
import numpy as np

FLOOR = 0.05
RATIO = 3.0
WINDOW = 6
_LONG, _SHORT = 32, 18


class CutFinder:
    """Looks at the frames of a film in order and remembers two numbers of each."""

    def __init__(self) -> None:
        self._before: list[np.ndarray] = []  # small pictures of the last two frames
        self._step = array("f")  # difference of each frame to the one before it
        self._over_one = array("f")  # and to the one before that

    def add(self, frame: np.ndarray) -> None:
        """Look at the next frame, uint8 (H, W, 3)."""
        wide = frame.shape[1] >= frame.shape[0]
        small = cv2.resize(frame, (_LONG, _SHORT) if wide else (_SHORT, _LONG), interpolation=cv2.INTER_AREA)
        small = small.astype(np.int16)
        self._step.append(_difference(small, self._before[-1]) if self._before else 0.0)
        self._over_one.append(_difference(small, self._before[-2]) if len(self._before) > 1 else 0.0)
        self._before = [*self._before[-1:], small]

    def cuts(self) -> list[int]:
        """Return the frames that begin a new scene, growing; the first frame of the film is none of them."""
        step, over_one = np.asarray(self._step), np.asarray(self._over_one)
        found: list[int] = []
        for i in np.flatnonzero(step >= FLOOR).tolist():
            around = np.concatenate([step[max(i - WINDOW, 1) : i], step[i + 1 : i + 1 + WINDOW]])
            steady = step[i] >= RATIO * (np.median(around) if len(around) else 0.0)
            stays = (i < 2 or over_one[i] >= FLOOR) and (i + 1 == len(step) or over_one[i + 1] >= FLOOR)
            if i > 0 and steady and stays and not (found and found[-1] == i - 1):
                found.append(i)
        return found


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference as a share of the full scale."""
    return float(np.abs(a - b).mean()) / 255
