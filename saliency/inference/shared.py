"""One pass over a source for several readers: every frame is decoded once."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from saliency.inference.predictor import Frames
from saliency.io.frame_source import FrameSource


class SharedFrames:
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
        """Stop reading; the source stays open."""
        with self._lock:
            close = getattr(self._frames, "close", None)
            if close is not None:
                close()


class View:
    """What one reader sees of a shared source."""

    def __init__(self, shared: SharedFrames, reader: int) -> None:
        self._shared, self._reader = shared, reader

    def __len__(self) -> int:
        return len(self._shared.source)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the frames."""
        return self._shared.source.size

    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield the frames from `start` on, which may not lie before one that was yielded."""
        number = start
        while stop is None or number < stop:
            frame = self._shared.frame(self._reader, number)
            if frame is None:
                return
            yield frame
            number += 1


class SharedSource(FrameSource):
    """A source as one of the readers of its only pass sees it: all that is known of it, its frames in order."""

    def __init__(self, source: FrameSource, shared: SharedFrames, reader: int) -> None:
        """Make it.

        Args:
            source: that of `shared`.
            shared: the pass.
            reader: which reader this is.
        """
        self._source, self._view = source, View(shared, reader)
        self.path, self.fps, self.size = source.path, source.fps, source.size
        self.rotation, self.pixel_aspect = source.rotation, source.pixel_aspect
        self.start, self.still = source.start, source.still

    def __len__(self) -> int:
        return len(self._source)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Return frames of the source; see `FrameSource.read`."""
        return self._source.read(indices)

    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield the frames of the pass; see `View.iterate`."""
        return self._view.iterate(start, stop)

    def close(self) -> None:
        """Whoever opened the source closes it."""

    def shortfall(self, frames: int) -> str | None:
        """Say what is missing; see `FrameSource.shortfall`."""
        return self._source.shortfall(frames)

    @property
    def corrupt_frames(self) -> int:
        """Damaged frames so far."""
        return self._source.corrupt_frames

    @property
    def timestamps(self) -> np.ndarray | None:
        """Times of the frames; see `FrameSource.timestamps`."""
        return self._source.timestamps

    @property
    def sound(self) -> Path | None:
        """The file that may hold sound; see `FrameSource.sound`."""
        return self._source.sound
