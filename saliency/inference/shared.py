"""One pass over a source for several readers: every frame is decoded once."""

import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import numpy as np

from saliency.inference.predictor import Frames
from saliency.io.frame_source import FrameSource
from saliency.io.pictures import Picture


class SharedFrames:
    """One pass over a source for several readers, each of which may be some frames ahead of the others."""

    def __init__(self, source: Frames, readers: int) -> None:
        self.source = source
        self._lock = threading.Lock()
        self._pictures = _pictures(source)
        self._kept: deque[Picture] = deque()
        self._first = 0  # number of the first kept frame
        self._next = [0] * readers  # number of the frame that each reader will need at the earliest
        self._problem: Exception | None = None

    def picture(self, reader: int, number: int) -> Picture | None:
        """Return a frame; None behind the last one. A reader's numbers grow."""
        with self._lock:
            while number >= self._first + len(self._kept):
                if self._problem is not None:
                    raise self._problem
                try:
                    self._kept.append(next(self._pictures))
                except StopIteration:
                    return None
                except Exception as error:  # every reader is to hear of it
                    self._problem = error
                    raise
            picture = self._kept[number - self._first]
            self._next[reader] = number + 1
            while self._kept and min(self._next) > self._first:
                self._kept.popleft()
                self._first += 1
            return picture

    def close(self) -> None:
        """Stop reading; the source stays open."""
        with self._lock:
            self._pictures.close()


def _pictures(source: Frames) -> Generator[Picture, None, None]:
    if isinstance(source, FrameSource):
        yield from source.pictures()
    else:
        for frame in source.iterate():
            yield Picture(rgb=frame)


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
        for picture in self.pictures(start, stop):
            yield picture.rgb

    def pictures(self, start: int = 0, stop: int | None = None) -> Iterator[Picture]:
        """Yield the frames and their planes, see `FrameSource.pictures`, as `iterate` does."""
        number = start
        while stop is None or number < stop:
            picture = self._shared.picture(self._reader, number)
            if picture is None:
                return
            yield picture
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

    def pictures(self, start: int = 0, stop: int | None = None) -> Iterator[Picture]:
        """Yield the frames of the pass and their planes; see `View.pictures`."""
        return self._view.pictures(start, stop)

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
