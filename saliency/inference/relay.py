"""One source after the other, with full batches: what the end of one leaves room for is filled from the next.

Short clips so cost no more than one long one. Everything stays in order, and a source's own maps do not depend on
the others but for rounding (a batch of another size may round otherwise).
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from saliency.errors import InputError
from saliency.inference.predictor import Frames, Predictor
from saliency.inference.shared import SharedFrames, View

READERS = 2
"""Of each source: one for the model, one for what is painted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A source that waits for its turn.

    Attributes:
        frames: with `READERS` readers; the first is the relay's.
        every: each so manieth frame is predicted.
    """

    frames: SharedFrames
    every: int = 1


class Relay:
    """Makes the maps of sources in the order in which they come.

    `maps` is called once for each source, in the order of `upcoming`, with something that reads it a second time.
    """

    def __init__(self, predictor: Predictor, upcoming: Callable[[], Entry | None]) -> None:
        """Make a relay.

        Args:
            predictor: the model.
            upcoming: gives the next source; None when there is none. Called when a batch needs it, at the latest by
                `maps`.
        """
        self._predictor, self._upcoming = predictor, upcoming
        self._made = self._all()

    def maps(self, source: Frames, *, every: int = 1) -> Iterator[tuple[int, Tensor]]:
        """Yield number and map of the next source's predicted frames.

        Args:
            source: reads along: frame i has been read when map i is yielded.
            every: as `Entry` said.
        """
        reading, read = source.iterate(), 0
        for made in self._made:
            if made is None:  # the end of this source
                break
            number, map_ = made
            while read <= number and next(reading, None) is not None:
                read += 1
            yield number, map_
        for _ in reading:  # damage is noticed at the end of reading
            pass

    def close(self) -> None:
        """Let go of what is held."""
        self._made.close()

    def _all(self) -> Generator[tuple[int, Tensor] | None, None, None]:
        """The maps of all sources in order, None after the last of each."""
        waiting = _Waiting()
        limit = self._predictor.batch_size
        while (entry := self._upcoming()) is not None:
            room = limit - waiting.clips
            batches = self._predictor.batches(_Whole(View(entry.frames, 0)), every=entry.every, first=room or None)
            for numbers, clips in batches:
                if not waiting.takes(clips, limit):
                    yield from waiting.compute(self._predictor)
                waiting.add(numbers, clips, keep=waiting.clips + len(clips) < limit)
                if waiting.clips == limit:
                    yield from waiting.compute(self._predictor)
            waiting.end()
            if not waiting.clips:
                yield from waiting.compute(self._predictor)
        yield from waiting.compute(self._predictor)


class _Waiting:
    """Clips that wait for a full batch, and where their sources end."""

    def __init__(self) -> None:
        self._numbers: list[int | None] = []  # None ends a source
        self._parts: list[Tensor] = []

    @property
    def clips(self) -> int:
        return sum(map(len, self._parts))

    def takes(self, clips: Tensor, limit: int) -> bool:
        """Whether clips fit into the batch, by shape and number."""
        return not self._parts or (self._parts[0].shape[1:] == clips.shape[1:] and self.clips + len(clips) <= limit)

    def add(self, numbers: Sequence[int], clips: Tensor, *, keep: bool) -> None:
        """Add clips, as copies if they are to be kept while others are made."""
        self._numbers += numbers
        self._parts.append(clips.clone() if keep else clips)

    def end(self) -> None:
        """Note that a source ends here."""
        self._numbers.append(None)

    def compute(self, predictor: Predictor) -> Iterator[tuple[int, Tensor] | None]:
        """Yield the maps of what waits."""
        numbers, parts = self._numbers, self._parts
        self._numbers, self._parts = [], []
        of_one = len(parts) == 1  # else the clips of several batches, which share no frames that are known
        clips = parts[0] if of_one else torch.cat(parts) if parts else None
        shift = predictor.shift([number for number in numbers if number is not None]) if of_one else 0
        maps = iter(() if clips is None else predictor.compute(clips, shift))
        for number in numbers:
            yield None if number is None else (number, next(maps))


class _Whole:
    """A view that ends at damage; whoever reads the source for the pictures hears of it too."""

    def __init__(self, view: View) -> None:
        self._view = view

    def __len__(self) -> int:
        return len(self._view)

    @property
    def size(self) -> tuple[int, int]:
        return self._view.size

    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        try:
            yield from self._view.iterate(start, stop)
        except InputError:
            return
