"""Saliency maps of a whole video from a model that sees one clip at a time.

Every frame is decoded once and resized once. The resized uint8 frames slide through a buffer on the device; the
clips of neighbouring target frames are overlapping views of it. Memory does not grow with the video.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from saliency.errors import InputError
from saliency.inference.engine import Engine
from saliency.io.prefetch import prefetch
from saliency.io.transforms import resize_frames
from saliency.types import InputSpec

_CHUNK = 8
"""Frames brought to the device and resized together."""

_READ_THROUGH = 32
"""Up to so many unneeded frames between two clips are decoded; over more of them the reader seeks."""


_WAITING = 32
"""Frames that may wait for their maps where only some are predicted; batches are made smaller for it."""


class Frames(Protocol):
    """What is needed of a `saliency.io.frames.FrameSource`."""

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the frames."""
        ...

    def __len__(self) -> int:
        """Number of frames."""
        ...

    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield frames uint8 (H, W, 3) RGB."""
        ...


class Predictor:
    """Runs a model over the frames of a video.

    The map of target frame ``t`` is the model's of the clip of the frames ``spec.frames(t, n)``, where the first and
    last frame of the video are repeated outside of it, whatever the batch size.
    """

    def __init__(self, engine: Engine, batch_size: int = 8) -> None:
        """Make a predictor.

        Args:
            engine: the model and how it computes.
            batch_size: clips computed at once, at least 1. Twice as many where neighbouring clips are computed
                together, which takes no more memory.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self.engine, self.batch_size = engine, batch_size * (2 if engine.together else 1)
        self.spec, self.device = engine.spec, engine.compute.device

    def maps(
        self, source: Frames, targets: Sequence[int] | None = None, every: int = 1
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield (frame number, map) for every target frame in increasing order.

        Args:
            source: the video.
            targets: strictly increasing frame numbers; None: every frame, or each `every`-th one. In that case the
                video's length need not be known: the frames are taken as they come.
            every: without `targets`, each so manieth frame from the first on, and the last one.

        Yields:
            The frame number and its map (h', w'), float32 on the CPU, at the model's resolution.

        Raises:
            IndexError: a target is not a frame of the video.
            InputError: a frame cannot be decoded (maps are yielded only for batches completed before), or the model
                cannot be made ready for this size.
            ValueError: targets do not increase, or the model's output has a wrong shape.
        """
        for numbers, clips in self.batches(source, targets, every):
            yield from zip(numbers, self.compute(clips, self.shift(numbers)), strict=True)

    def batches(
        self, source: Frames, targets: Sequence[int] | None = None, every: int = 1, first: int | None = None
    ) -> Iterator[tuple[Sequence[int], Tensor]]:
        """Yield what the model is to see, a batch at a time; see `maps`.

        Args:
            source: the video.
            targets: as of `maps`.
            every: as of `maps`.
            first: clips in the first batch, if they are to be fewer than in the others.

        Yields:
            The numbers of the target frames and their clips, uint8 (B, T, 3, h, w) on the device; they may be a view
            of memory that is written to when the next batch is asked for.
        """
        spec = self.spec
        if spec.keep_shape:
            spec = replace(spec.fitted(source.size), keep_shape=False)
        size = max(1, min(self.batch_size, _WAITING // every))
        cut = _Batches(size=size, first=min(first or size, size), every=every)
        self.engine.expect(spec.size, known_length(source) if targets is None else len(targets))
        if targets is None:
            yield from self._run(source, _Run(targets=None, start=0, stop=None), spec, cut)
            return
        targets, count = [int(t) for t in targets], len(source)
        if any(a >= b for a, b in pairwise(targets)):
            raise ValueError("targets must increase strictly")
        if targets and (targets[0] < 0 or targets[-1] >= count):
            raise IndexError(f"targets {targets[0]}..{targets[-1]} are outside a video of {count} frames")
        for run in _split(targets, spec.offsets, count):
            yield from self._run(source, run, spec, cut)

    def _run(
        self, source: Frames, run: "_Run", spec: InputSpec, cut: "_Batches"
    ) -> Iterator[tuple[Sequence[int], Tensor]]:
        targets: Sequence[int] = run.targets or range(0, 2**62, cut.every)  # the video's end is not known yet
        extent = cut.size * cut.every - 1  # frames from the one behind a batch to the last target of the next
        if run.targets is not None:
            ends = [*targets[cut.size - 1 :], *[targets[-1]] * (cut.size - 1)]
            extent = max(end - begin for begin, end in zip(targets, ends, strict=False))
        first, last = spec.offsets[0], spec.offsets[-1]
        buffer = _SlidingBuffer(
            capacity=extent + max(last, 0) - first + 1 + _CHUNK,
            size=spec.size,
            device=self.device,
            start=targets[0] + first,
        )
        done, size = 0, cut.first
        stream = self._stream(source, run, buffer.start, spec.size)
        try:
            for part in stream:
                buffer.append(part.frames)
                if part.ended and run.targets is None:
                    targets = _until(part.seen, cut.every)
                while done < len(targets):
                    batch = targets[done : done + size]
                    if not (batch[-1] < part.seen and batch[-1] + last < buffer.end):
                        break
                    yield batch, buffer.clips([t + first for t in batch], spec)
                    done, size = done + len(batch), cut.size
                    if done < len(targets):  # the video's last frame may become a target too
                        buffer.forget((batch[-1] + 1 if run.targets is None else targets[done]) + first)
                if done == len(targets):
                    return
        finally:
            stream.close()

    def shift(self, numbers: Sequence[int]) -> int:
        """Return how many frames the clips of targets lie apart; 0 where they do not lie evenly or skip frames."""
        steps = {b - a for a, b in pairwise(numbers)}
        return steps.pop() if len(steps) == 1 and self.spec.stride == 1 else 0

    def compute(self, clips: Tensor, shift: int = 0) -> Tensor:
        """Turn uint8 clips (B, T, 3, h, w) on the device into float32 maps (B, h', w') on the CPU.

        Args:
            clips: what is to be seen.
            shift: see `shift`.

        Raises:
            InputError: the model cannot be made ready for clips of this size.
            ValueError: the model's output has a wrong shape.
        """
        out = self.engine.network((clips.shape[-2], clips.shape[-1]), self.batch_size)(clips, shift)
        if out.ndim != 3 or len(out) != len(clips):
            raise ValueError(f"the model gave {tuple(out.shape)}, expected ({len(clips)}, height, width)")
        return out

    def _stream(self, source: Frames, run: "_Run", begin: int, size: tuple[int, int]) -> Generator["_Part", None, None]:
        """Yield the resized frames from number `begin` on, without end.

        Numbers before the first frame of the video stand for copies of the first, numbers after the last for
        copies of the last.
        """
        seen = run.start
        latest: Tensor | None = None
        for frames in self._resized(source, run, size):  # (n, 3, h, w)
            if latest is None and begin < run.start:
                for copies in _repeated(frames[:1], run.start - begin):
                    yield _Part(frames=copies, seen=seen, ended=False)
            latest = frames[-1:]
            useful = frames[max(begin - seen, 0) :]
            seen += len(frames)
            if len(useful):
                yield _Part(frames=useful, seen=seen, ended=False)
        if latest is None:
            return
        if begin >= seen:
            yield _Part(frames=latest[:0], seen=seen, ended=True)
        while True:
            yield _Part(frames=latest.expand(_CHUNK, -1, -1, -1), seen=seen, ended=True)

    def _resized(self, source: Frames, run: "_Run", size: tuple[int, int]) -> Iterator[Tensor]:
        """Yield the frames of a run as uint8 (n, 3, h, w) on the device, n up to `_CHUNK`."""
        group: list[np.ndarray] = []
        for frame in prefetch(source.iterate(run.start, run.stop), depth=2 * _CHUNK):
            group.append(frame)
            if len(group) == _CHUNK:
                yield self._resize(group, size)
                group = []
        if group:
            yield self._resize(group, size)

    def _resize(self, frames: list[np.ndarray], size: tuple[int, int]) -> Tensor:
        pixels = torch.from_numpy(np.stack(frames)).to(self.device)  # (n, H, W, 3)
        return resize_frames(pixels, size)


def known_length(source: Frames) -> int | None:
    """Return the number of frames; None of a camera or stream."""
    try:
        return len(source)
    except InputError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batches:
    """How targets are put together: `first` in the first batch, `size` in every other, each `every`-th frame."""

    size: int
    first: int
    every: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Targets served by one pass over the source's frames ``start`` to ``stop``."""

    targets: Sequence[int] | None
    start: int
    stop: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Some consecutive frames; `seen` is the number of the video's frames met so far."""

    frames: Tensor
    seen: int
    ended: bool


def _split(targets: Sequence[int], offsets: list[int], count: int) -> Iterator[_Run]:
    """Cut targets where so many frames between their clips are unneeded that seeking is cheaper."""
    first, last = offsets[0], offsets[-1]
    begin = 0
    for i in range(1, len(targets) + 1):
        if i < len(targets) and targets[i] + first - (targets[i - 1] + last) <= _READ_THROUGH:
            continue
        if i > begin:
            part = targets[begin:i]
            yield _Run(
                targets=part,
                start=min(max(part[0] + first, 0), count - 1),
                stop=min(max(part[-1] + max(last, 0) + 1, 1), count),
            )
        begin = i


def _until(count: int, every: int) -> Sequence[int]:
    """Return each `every`-th number below `count`, and the last one."""
    steps = range(0, count, every)
    return steps if every == 1 or steps[-1] == count - 1 else [*steps, count - 1]


def _repeated(frame: Tensor, times: int) -> Iterator[Tensor]:
    """Yield `times` copies of a frame (1, 3, h, w) in groups of at most `_CHUNK`."""
    while times > 0:
        group = min(times, _CHUNK)
        yield frame.expand(group, -1, -1, -1)
        times -= group


class _SlidingBuffer:
    """Consecutive frames on the device; old ones make room for new ones.

    Attributes:
        start: number of the first frame held.
        end: one more than the number of the last frame that was added.
    """

    def __init__(self, capacity: int, size: tuple[int, int], device: torch.device, start: int) -> None:
        self._frames = torch.empty((capacity, 3, *size), dtype=torch.uint8, device=device)
        self.start = start
        self.end = start

    def append(self, frames: Tensor) -> None:
        """Add frames uint8 (n, 3, h, w) behind `end`, except those that are already forgotten."""
        passed = min(max(self.start - self.end, 0), len(frames))
        self.end += len(frames)
        frames = frames[passed:]
        if len(frames):
            filled = self.end - self.start
            self._frames[filled - len(frames) : filled] = frames

    def forget(self, before: int) -> None:
        """Drop the frames with a number below `before`, also those still to come."""
        drop = before - self.start
        kept = self.end - before
        if drop > 0 and kept > 0:
            self._frames[:kept] = self._frames[drop : drop + kept].clone()
        self.start = max(self.start, before)

    def clips(self, numbers: list[int], spec: InputSpec) -> Tensor:
        """Return the clips beginning at the frames `numbers`, uint8 (B, T, 3, h, w).

        No pixel is copied if the numbers follow each other.
        """
        span = (spec.length - 1) * spec.stride + 1
        held = self._frames[: self.end - self.start]
        windows = held.unfold(0, span, 1)[..., :: spec.stride]  # (window, 3, h, w, T)
        rows = [n - self.start for n in numbers]
        neighbours = rows[-1] - rows[0] == len(rows) - 1
        chosen = windows[rows[0] : rows[-1] + 1] if neighbours else windows[rows]
        return rearrange(chosen, "b c h w t -> b t c h w")
