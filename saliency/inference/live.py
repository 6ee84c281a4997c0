"""Maps while the frames still come: from a camera or a stream, with a latency that is known.

A model that looks ahead wants frames that do not exist yet. `Live` waits for `lookahead` of them and lets the newest
frame stand for the rest, just as the last frame of a video stands for those behind its end: the map of frame t is,
bit for bit, that of the video that ends with frame ``t + lookahead``.
"""

import time as clock
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from saliency.errors import InputError
from saliency.inference.density import Map, Size, check_size, to_map
from saliency.inference.predictor import Predictor
from saliency.inference.trust import Trust
from saliency.io.transforms import resize_frames
from saliency.types import InputSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long the map of a frame takes.

    Attributes:
        frames: that are waited for behind the frame.
        seconds: in which they come, at the mean frame rate so far; None before the second frame.
        computing: mean seconds in which a map is computed; None before the first map.
    """

    frames: int
    seconds: float | None
    computing: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A frame that may still be needed: its resized picture uint8 (3, h, w), and its time in seconds."""

    picture: Tensor
    time: float


class Live:
    """Takes the frames of one stream in order and gives their maps; `Model.live` makes one.

    It keeps the resized frames of one clip, however long the stream is. One thread feeds it; several streams of one
    model each have their own.
    """

    def __init__(
        self, predictor: Predictor, *, lookahead: int = 0, size: Size = "source", trust: Trust | None = None
    ) -> None:
        """Begin a stream.

        Args:
            predictor: computes one clip at a time.
            lookahead: frames that are waited for behind a frame before its map is made.
            size: of the maps: that of the frames, the one the model computes, or (H, W).
            trust: how confidence is read off; None: it is not.

        Raises:
            InputError: `lookahead` is negative, or `size` is none.
        """
        if lookahead < 0:
            raise InputError(f"lookahead must be at least 0, got {lookahead}")
        check_size(size)
        self._predictor, self._lookahead, self._trust = predictor, lookahead, trust
        self._size: Size = size
        earliest = min(predictor.spec.offsets[0], lookahead)
        self._held: deque[_Held] = deque(maxlen=lookahead - earliest + 1)
        self._spec: InputSpec | None = None  # the clip for frames of the size that comes, known with the first one
        self._shape: tuple[int, ...] = ()
        self._seen, self._made, self._computing = 0, 0, 0.0
        self._begin, self._timed = 0.0, False  # of the first frame: its time, and whether the caller gave it
        self._finished = False

    @property
    def latency(self) -> Latency:
        """How long a map takes, as far as it is known."""
        seconds = None
        if self._seen > 1:
            seconds = self._lookahead * self._held[-1].time / (self._seen - 1)
        return Latency(
            frames=self._lookahead, seconds=seconds, computing=self._computing / self._made if self._made else None
        )

    def push(self, frame: np.ndarray, time: float | None = None) -> Map | None:
        """Take the next frame.

        Args:
            frame: uint8 (H, W, 3) RGB, all of one size; it may be changed afterwards.
            time: its seconds on the caller's clock; None: it is taken when it arrives. Given always or never.

        Returns:
            The map of the frame `lookahead` frames before, timed from the first frame on; None for the first
            `lookahead` frames.

        Raises:
            InputError: no such frame, another size than before, a time that does not grow, a map that is not finite,
                or the stream is finished.
        """
        if self._finished:
            raise InputError("the stream was finished; begin another one with model.live()")
        frame = np.asarray(frame)
        spec = self._expected(frame)
        seconds = self._seconds(time)
        pixels = torch.from_numpy(np.ascontiguousarray(frame)[None]).to(self._predictor.device)  # (1, H, W, 3)
        self._held.append(_Held(picture=resize_frames(pixels, spec.size)[0], time=seconds))
        self._seen += 1
        if self._seen <= self._lookahead:
            return None
        return self._map(spec)

    def finish(self) -> Iterator[Map]:
        """End the stream.

        Yields:
            The maps of the last `lookahead` frames, those that still waited for frames.

        Raises:
            InputError: a map is not finite.
        """
        self._finished = True
        return self._rest()

    def _rest(self) -> Iterator[Map]:
        while self._spec is not None and self._made < self._seen:
            yield self._map(self._spec)

    def _map(self, spec: InputSpec) -> Map:
        """Compute the next map from the frames at hand."""
        begin, number = clock.perf_counter(), self._made
        first, size = self._seen - len(self._held), self._size
        frames = [self._held[i - first].picture for i in spec.frames(number, self._seen)]
        small = self._predictor.compute(torch.stack(frames)[None])[0]  # clip (1, T, 3, h, w)
        found = to_map(
            small,
            frame=number,
            time=self._held[number - first].time,
            size=(self._shape[0], self._shape[1]) if size == "source" else size,
            trust=self._trust,
        )
        self._made += 1
        self._computing += clock.perf_counter() - begin
        return found

    def _expected(self, frame: np.ndarray) -> InputSpec:
        """Return the clip of frames like this one."""
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0:
            raise InputError(f"a frame must be uint8 (height, width, 3), got {frame.dtype} {frame.shape}")
        if self._spec is None:
            spec = self._predictor.spec
            self._spec = replace(spec.fitted((frame.shape[0], frame.shape[1])), keep_shape=False)
            self._shape = frame.shape
            self._predictor.engine.expect(self._spec.size, None)
        if frame.shape != self._shape:
            raise InputError(
                f"frame {self._seen} has the size {frame.shape[:2]}, those before {self._shape[:2]}; begin another "
                "stream with model.live()"
            )
        return self._spec

    def _seconds(self, time: float | None) -> float:
        """Return the seconds of the next frame after the first one."""
        now = clock.monotonic() if time is None else float(time)
        if not self._seen:
            self._begin, self._timed = now, time is not None
        if self._timed != (time is not None):
            raise InputError("give the time of every frame of a stream, or of none")
        seconds = now - self._begin
        if not np.isfinite(seconds) or (time is not None and self._seen and seconds <= self._held[-1].time):
            raise InputError(f"frame {self._seen} has the time {time}; times of frames must grow")
        return seconds
