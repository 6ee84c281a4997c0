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
from torch import Tensor, nn

from saliency.io.prefetch import prefetch
from saliency.io.transforms import make_clip, resize_frames
from saliency.types import InputSpec

_CHUNK = 8
"""Frames brought to the device and resized together."""

_READ_THROUGH = 32
"""Up to so many unneeded frames between two clips are decoded; over more of them the reader seeks."""


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

    The map of target frame ``t`` is ``model(clip)`` for the clip of the frames ``spec.frames(t, n)``, where the
    first and last frame of the video are repeated outside of it, whatever the batch size.
    """

    def __init__(
        self,
        model: nn.Module,
        spec: InputSpec,
        device: str | torch.device = "cpu",
        batch_size: int = 8,
        autocast: torch.dtype | None = None,
    ) -> None:
        """Make a predictor.

        Args:
            model: (B, 3, T, h, w) -> (B, h', w'). Moved to `device`, and put in evaluation mode by `maps`,
                which does not put it back.
            spec: the model's input.
            device: where to compute.
            batch_size: clips computed together, at least 1.
            autocast: lower precision to compute in, e.g. ``torch.bfloat16``; None keeps the model's own.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self.device = torch.device(device)
        self.model = model.to(self.device)
        self.spec = spec
        self.batch_size = batch_size
        self.autocast = autocast

    def maps(self, source: Frames, targets: Sequence[int] | None = None) -> Iterator[tuple[int, Tensor]]:
        """Yield (frame number, map) for every target frame in increasing order.

        Args:
            source: the video.
            targets: strictly increasing frame numbers; None: every frame. In that case the video's length need
                not be known: the frames are taken as they come.

        Yields:
            The frame number and its map (h', w'), float32 on the CPU, at the model's resolution.

        Raises:
            IndexError: a target is not a frame of the video.
            InputError: a frame cannot be decoded; maps are yielded only for batches completed before.
            ValueError: targets do not increase, or the model's output has a wrong shape.
        """
        if self.spec.keep_shape:
            spec = replace(self.spec.fitted(source.size), keep_shape=False)
            fitted = Predictor(self.model, spec, self.device, self.batch_size, self.autocast)
            yield from fitted.maps(source, targets)
            return
        self.model.eval()
        if targets is None:
            yield from self._run(source, _Run(targets=None, start=0, stop=None))
            return
        targets, count = [int(t) for t in targets], len(source)
        if any(a >= b for a, b in pairwise(targets)):
            raise ValueError("targets must increase strictly")
        if targets and (targets[0] < 0 or targets[-1] >= count):
            raise IndexError(f"targets {targets[0]}..{targets[-1]} are outside a video of {count} frames")
        for run in _split(targets, self.spec.offsets, count):
            yield from self._run(source, run)

    def _run(self, source: Frames, run: "_Run") -> Iterator[tuple[int, Tensor]]:
        targets = run.targets or range(2**62)  # cut to the video's length when its end is reached
        extent = self.batch_size - 1  # frames between the first and the last target of a batch
        if run.targets is not None:
            ends = [*run.targets[extent:], *[run.targets[-1]] * extent]
            extent = max(end - begin for begin, end in zip(run.targets, ends, strict=False))
        first, last = self.spec.offsets[0], self.spec.offsets[-1]
        buffer = _SlidingBuffer(
            capacity=extent + max(last, 0) - first + 1 + _CHUNK,
            size=self.spec.size,
            device=self.device,
            start=targets[0] + first,
        )
        done = 0
        stream = self._stream(source, run, buffer.start)
        try:
            for part in stream:
                buffer.append(part.frames)
                if part.ended and run.targets is None:
                    targets = range(part.seen)
                while done < len(targets):
                    batch = targets[done : done + self.batch_size]
                    if not (batch[-1] < part.seen and batch[-1] + last < buffer.end):
                        break
                    clips = buffer.clips([t + first for t in batch], self.spec)
                    yield from zip(batch, self._predict(clips), strict=True)
                    done += len(batch)
                    if done < len(targets):
                        buffer.forget(targets[done] + first)
                if done == len(targets):
                    return
        finally:
            stream.close()

    @torch.no_grad()
    def _predict(self, clips: Tensor) -> Tensor:
        """Turn uint8 clips (B, T, 3, h, w) into float32 maps (B, h', w') on the CPU."""
        inputs = make_clip(clips, self.spec)  # (B, 3, T, h, w)
        with torch.autocast(self.device.type, dtype=self.autocast, enabled=self.autocast is not None):
            out = self.model(inputs)
        if out.ndim != 3 or len(out) != len(clips):
            raise ValueError(f"the model gave {tuple(out.shape)}, expected ({len(clips)}, height, width)")
        return out.float().cpu()

    def _stream(self, source: Frames, run: "_Run", begin: int) -> Generator["_Part", None, None]:
        """Yield the resized frames from number `begin` on, without end.

        Numbers before the first frame of the video stand for copies of the first, numbers after the last for
        copies of the last.
        """
        seen = run.start
        latest: Tensor | None = None
        for frames in self._resized(source, run):  # (n, 3, h, w)
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

    def _resized(self, source: Frames, run: "_Run") -> Iterator[Tensor]:
        """Yield the frames of a run as uint8 (n, 3, h, w) on the device, n up to `_CHUNK`."""
        group: list[np.ndarray] = []
        for frame in prefetch(source.iterate(run.start, run.stop), depth=2 * _CHUNK):
            group.append(frame)
            if len(group) == _CHUNK:
                yield self._resize(group)
                group = []
        if group:
            yield self._resize(group)

    def _resize(self, frames: list[np.ndarray]) -> Tensor:
        pixels = torch.from_numpy(np.stack(frames)).to(self.device)  # (n, H, W, 3)
        return resize_frames(pixels, self.spec.size)


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
