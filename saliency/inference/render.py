"""Turn a video and a predictor into an overlay video and files of maps, in one pass and bounded memory."""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from torch import Tensor

from saliency.errors import InputError
from saliency.inference.density import NOT_FINITE
from saliency.inference.outputs import Outputs, open_maps, open_picture, varying_times
from saliency.inference.overlay import Overlay
from saliency.inference.painters import Painter, PlanePainter
from saliency.inference.predictor import Frames
from saliency.io.behind import Behind
from saliency.io.frames import FrameSource
from saliency.io.partial import partial_path
from saliency.io.picture_writer import PictureWriter
from saliency.io.pictures import Picture
from saliency.io.transforms import resize_map
from saliency.io.video_writer import VideoWriter


class MapMaker(Protocol):
    """What is needed of a `saliency.inference.predictor.Predictor`."""

    def maps(self, source: Frames) -> Iterator[tuple[int, Tensor]]:
        """Yield the number and the map (h, w) >= 0 of each frame in order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A frame that was done.

    Attributes:
        number: counted from 0.
        frame: uint8 (H, W, 3) RGB.
        map: its map at the model's size, float32 (h, w) >= 0.
    """

    number: int
    frame: np.ndarray
    map: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What `render` wrote.

    Attributes:
        frames: number of frames, the same in the video and in the maps.
        picture: the painted video, or picture of a still; None if none was asked for or not even the first frame could
            be decoded.
        maps: the folder or file of maps, if any were asked for.
        problem: what is wrong with the source, in one line; None if it was read to its end without damage. With a
            problem `picture` and `maps` are called ``NAME.partial``, playable and readable, and what an earlier call
            had completed is still there.
    """

    frames: int
    picture: Path | None
    maps: Path | None
    problem: str | None


def render(
    source: FrameSource,
    predictor: MapMaker,
    outputs: Outputs,
    *,
    painter: Painter | None = None,
    on_frame: Callable[[Seen], None] = lambda seen: None,
) -> Rendered:
    """Write a painted video (or picture of a still) and, if asked for, maps.

    The video has the source's size, frame rate (times of frames if they vary), shape of pixels, duration and sound.
    The map of a frame is resized to the source's size; numbers in names count from 1. Files of an earlier call with
    the same name are replaced by complete ones; until then, and after an error, what there is has ``.partial`` in its
    name.

    Args:
        source: the frames.
        predictor: makes the maps.
        outputs: what to write; folders are made if missing.
        painter: how maps are shown; default `Overlay`.
        on_frame: called after each frame was predicted; painting and writing follow in other threads.

    Raises:
        InputError: nothing can be written there, it would replace the source or what is not of an earlier call, or a
            map holds NaN or infinity. Damage of the source is not raised but reported in the result.
    """
    painter = painter or Overlay(peak=outputs.peak)
    _prepare(outputs, source)
    times = varying_times(source)
    tap = _Tap(source)
    done = 0
    with contextlib.ExitStack() as opened:
        maps = open_maps(outputs, source)
        if maps is not None:
            opened.enter_context(maps)
        pictures = on_planes = None
        if outputs.picture is not None:
            pictures = opened.enter_context(open_picture(outputs.picture, source, painter.size(source.size), times))
        if isinstance(pictures, VideoWriter) and isinstance(painter, PlanePainter):
            on_planes = painter.on_planes()
        painting = opened.enter_context(Behind())  # left before the files are closed
        mapping = opened.enter_context(Behind(1 if maps is None else maps.threads))
        for number, small in predictor.maps(tap):
            values = small.numpy()
            if not (math.isfinite(values.min()) and math.isfinite(values.max())):  # both NaN if any value is
                raise InputError(NOT_FINITE.format(number))
            picture = tap.take(number)
            time = None if times is None else float(times[number])
            fits = small.shape[0] <= source.size[0] and small.shape[1] <= source.size[1]
            density = None
            if fits and on_planes is not None and isinstance(pictures, VideoWriter):
                painting.do(pictures.write_painted, picture, partial(on_planes.paint, small=values), time)
            elif pictures is not None:
                density = resize_map(small, source.size).clamp_(min=0).numpy()  # (H, W)
                painting.do(_paint, pictures, painter, picture.rgb, density, time)
            if maps is not None:
                if density is None:
                    density = resize_map(small, source.size).clamp_(min=0).numpy()
                mapping.do(maps.write, number, density)
            done += 1
            on_frame(Seen(number=number, frame=picture.rgb, map=values))
        painting.finish()
        mapping.finish()
        problem = tap.problem or _damage(source, done)
        for writer in (pictures, maps):
            if writer is not None:
                writer.close(complete=problem is None)

    whole = problem is None
    return Rendered(
        frames=done,
        picture=None if pictures is None or not done else outputs.picture if whole else pictures.partial,
        maps=None if maps is None or not done else outputs.maps if whole else maps.partial,
        problem=problem,
    )


def _paint(
    pictures: VideoWriter | PictureWriter, painter: Painter, frame: np.ndarray, density: np.ndarray, time: float | None
) -> None:
    """Paint and encode a frame."""
    pictures.write(painter.paint(frame, density), time)


class _Tap:
    """A source that keeps the frames it hands on until they are taken, and ends at damage instead of raising."""

    def __init__(self, source: FrameSource) -> None:
        self._source = source
        self._kept: dict[int, Picture] = {}
        self.problem: str | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the frames."""
        return self._source.size

    def __len__(self) -> int:
        return len(self._source)

    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield and keep frames."""
        number = start
        try:
            for picture in self._source.pictures(start, stop):
                self._kept[number] = picture
                number += 1
                yield picture.rgb
        except InputError as error:
            self.problem = str(error)

    def take(self, number: int) -> Picture:
        """Return a frame that was yielded; it is no longer kept."""
        return self._kept.pop(number)


def _prepare(outputs: Outputs, source: FrameSource) -> None:
    """Make the folders; refuse to write over the source."""
    given = [path for path in (source.path, source.sound) if path is not None and path.exists()]
    for path in (outputs.picture, outputs.maps):
        if path is None:
            continue
        for place in (path, partial_path(path)):
            if place.exists() and any(place.samefile(each) for each in given):
                raise InputError(f"{place}: is the source itself; choose another --out")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{path.parent}: cannot be written to ({error.strerror}); choose another --out") from error


def _damage(source: FrameSource, decoded: int) -> str | None:
    if missing := source.shortfall(decoded):
        return f"{source.path}: {missing}; the file is damaged or incomplete"
    if source.corrupt_frames:
        return f"{source.path}: {source.corrupt_frames} of {decoded} frames are damaged"
    return None
