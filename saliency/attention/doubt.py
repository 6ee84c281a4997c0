"""How far the maps of a film can be trusted: the model's confidence in each, and frames unlike all it learned from."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SECONDS = 2.0
"""Distance of the frames whose features are looked at: it costs about half a prediction each."""

STRANGE = 1.0
"""Strangeness above which a frame is called unlike the training photographs."""


class Judge(Protocol):
    """What is needed of a `saliency.inference.trust.Judge`."""

    def confidence(self, density: NDArray[np.floating]) -> float:
        """Return the bits per fixation that a map (h, w) is expected to gain over a centre prior."""
        ...

    def strangeness(self, frames: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return how unlike the training photographs frames uint8 (n, H, W, 3) are: (n,)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """What was measured of a film.

    Attributes:
        confidence: of each frame's map, bits per fixation, (n,).
        strangeness: of the frames that were looked at, by number.
    """

    confidence: NDArray[np.float64]
    strangeness: Mapping[int, float]

    @property
    def strange(self) -> int:
        """How many of the frames that were looked at are unlike the training photographs."""
        return sum(value > STRANGE for value in self.strangeness.values())

    def note(self) -> str | None:
        """Return a sentence for whoever relies on the maps; None if nothing looked strange."""
        if not self.strange:
            return None
        looked = len(self.strangeness)
        which = "This picture is" if looked == 1 else f"{self.strange} of {looked} frames that were looked at are"
        return f"{which} unlike all photographs that the model learned from; expect less of its maps there"


class DoubtMeter:
    """Measures the frames of a film in order."""

    def __init__(self, judge: Judge, fps: float) -> None:
        """Start.

        Args:
            judge: says it of a map and of a frame.
            fps: frames per second, > 0.
        """
        self._judge = judge
        self._step = max(1, round(SECONDS * fps))
        self._confidence = array("d")
        self._strangeness: dict[int, float] = {}

    def add(self, frame: NDArray[np.uint8], density: NDArray[np.floating]) -> None:
        """Measure the next frame, uint8 (H, W, 3), and its map (h, w) >= 0."""
        number = len(self._confidence)
        self._confidence.append(self._judge.confidence(density))
        if number % self._step == 0:
            self._strangeness[number] = float(self._judge.strangeness(frame[None])[0])

    def finish(self) -> Doubt:
        """Return what was measured."""
        return Doubt(confidence=np.asarray(self._confidence), strangeness=dict(self._strangeness))
