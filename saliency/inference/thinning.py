"""Predict some frames only, and draw the maps between them in proportion to time."""

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor

from saliency.inference.predictor import Frames

SMOOTH = 30.0
"""Frames a second that are predicted of faster videos."""

LARGEST_STEP = 32
"""Of `Thinned`."""


class StepMaker(Protocol):
    """What is needed of a `saliency.inference.predictor.Predictor`."""

    def maps(self, source: Frames, *, every: int = 1) -> Iterator[tuple[int, Tensor]]:
        """Yield number and map (h, w) of each `every`-th frame and of the last one."""
        ...


class Thinned:
    """Predicts each n-th frame and the last one; a frame between two of them gets their mean, weighted by nearness."""

    def __init__(self, predictor: StepMaker, every: int) -> None:
        """Make it.

        Args:
            predictor: makes the maps.
            every: n, at least 1; 1 predicts every frame.
        """
        self.predictor, self.every = predictor, every

    def maps(self, source: Frames) -> Iterator[tuple[int, Tensor]]:
        """Yield number and map (h, w) of every frame."""
        before: tuple[int, Tensor] | None = None
        for number, map_ in self.predictor.maps(source, every=self.every):
            if before is not None:
                start, old = before
                for between in range(start + 1, number):
                    yield between, old.lerp(map_, (between - start) / (number - start))
            yield number, map_
            before = number, map_


def step_for(fps: float) -> int:
    """Return n such that about `SMOOTH` frames a second are predicted; 1 for videos that are not faster."""
    return min(max(1, round(fps / SMOOTH)), LARGEST_STEP)
