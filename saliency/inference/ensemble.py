"""Several models as one: the mean of their densities, with every frame decoded once."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from saliency.inference.predictor import Frames, Predictor
from saliency.io.transforms import resize_map


class Ensemble:
    """Averages the maps of several predictors, each first scaled to sum to 1.

    ViNet-E is this of ViNet-S and ViNet-A. The result has the largest of the models' map sizes.
    """

    def __init__(self, predictors: Sequence[Predictor], weights: Sequence[float] | None = None) -> None:
        """Make an ensemble.

        Args:
            predictors: at least one.
            weights: of the mean, one each, > 0; None: equal ones.
        """
        weights = [1.0] * len(predictors) if weights is None else list(weights)
        if not predictors or len(weights) != len(predictors) or min(weights) <= 0:
            raise ValueError(f"{len(predictors)} predictors need as many weights above 0, got {weights}")
        self.predictors = tuple(predictors)
        self.weights = tuple(weight / sum(weights) for weight in weights)

    def maps(self, source: Frames, targets: Sequence[int] | None = None) -> Iterator[tuple[int, Tensor]]:
        """Yield (frame number, map) in increasing order; see `Predictor.maps`.

        Yields:
            The frame number and its map (h, w) that sums to 1, float32.
        """
        shared = _Shared(source, len(self.predictors))
        streams = [predictor.maps(_View(shared, k), targets) for k, predictor in enumerate(self.predictors)]
        try:
            for row in zip(*streams, strict=True):
                yield row[0][0], _mean([small for _, small in row], self.weights)
        finally:
            for stream in streams:
                stream.close()  # pyright: ignore[reportAttributeAccessIssue]  # they are generators
            shared.close()


def _mean(maps: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Return the weighted mean of maps (h, w), each scaled to sum to 1, at the largest size."""
    size = max((tuple(m.shape) for m in maps), key=lambda shape: shape[0] * shape[1])
    total = torch.zeros(size)
    for weight, own in zip(weights, maps, strict=True):
        own = (own if tuple(own.shape) == size else resize_map(own, (size[0], size[1]))).clamp(min=0)
        mass = own.sum(dtype=torch.float64).item()
        total += weight * (own / mass if mass > 0 else torch.full_like(own, 1 / own.numel()))
    return total


class _Shared:
    """One pass over a source for several readers, each of which may be some frames ahead of the others."""

    def __init__(self, source: Frames, readers: int) -> None:
        self.source = source
        self._lock = threading.Lock()
        self._frames = iter(source.iterate())
        self._kept: deque[np.ndarray] = deque()
        self._first = 0  # number of the first kept frame
        self._next = [0] * readers  # number of the frame that each reader will need at the earliest
        self._problem: Exception | None = None

    def frame(self, reader: int, number: int) -> np.ndarray | None:
        """Return a frame; None behind the last one. A reader's numbers grow."""
        with self._lock:
            while number >= self._first + len(self._kept):
                if self._problem is not None:
                    raise self._problem
                try:
                    self._kept.append(next(self._frames))
                except StopIteration:
                    return None
                except Exception as error:  # every reader is to hear of it
                    self._problem = error
                    raise
            frame = self._kept[number - self._first]
            self._next[reader] = number + 1
            while self._kept and min(self._next) > self._first:
                self._kept.popleft()
                self._first += 1
            return frame

    def close(self) -> None:
        with self._lock:
            close = getattr(self._frames, "close", None)
            if close is not None:
                close()


class _View:
    """What one reader sees of a shared source."""

    def __init__(self, shared: _Shared, reader: int) -> None:
        self._shared, self._reader = shared, reader

    def __len__(self) -> int:
        return len(self._shared.source)

    @property
    def size(self) -> tuple[int, int]:
        return self._shared.source.size

    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        number = start
        while stop is None or number < stop:
            frame = self._shared.frame(self._reader, number)
            if frame is None:
                return
            yield frame
            number += 1
