"""Turn a video and a predictor into an overlay video and files of maps, in one pass and bounded memory."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from saliency.errors import InputError
from saliency.inference.overlay import Overlay, side_by_side
from saliency.inference.predictor import Predictor
from saliency.io.frames import FrameSource
from saliency.io.maps import write_density
from saliency.io.transforms import resize_map
from saliency.io.video_writer import VideoWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What `render` wrote.

    Attributes:
        frames: number of frames, the same in the video and in the folder of maps.
        video: the overlay video; None if not even the first frame could be decoded.
        maps: the folder of maps, if any were asked for.
        problem: what is wrong with the source, in one line; None if it was read to its end without damage.
            What was written before the damage is complete and playable.
    """

    frames: int
    video: Path | None
    maps: Path | None
    problem: str | None


def render(
    source: FrameSource,
    predictor: Predictor,
    folder: Path,
    *,
    overlay: Overlay | None = None,
    maps: Literal["png", "npy"] | None = None,
    beside: bool = False,
    on_frame: Callable[[], None] = lambda: None,
) -> Rendered:
    """Write ``NAME_saliency.mp4`` and, if asked for, ``NAME_maps/0001.png`` ... into a folder.

    NAME is that of the source without its suffix. The video has the source's size, frame rate (times of frames
    if they vary), shape of pixels, duration and sound. A map file holds the map of one frame, resized to the
    source's size, and is numbered from 1. Files of an earlier call with the same name are replaced.

    Args:
        source: the frames.
        predictor: makes the maps.
        folder: where to write; made if missing.
        overlay: how maps are painted; its `peak` also scales PNG maps.
        maps: format of the map files; None writes none.
        beside: show the frame left of the overlay, which doubles the width.
        on_frame: called after each frame.

    Raises:
        InputError: nothing can be written there. Damage of the source is not raised but reported in the result.
    """
    overlay = overlay or Overlay()
    name = source.path.resolve().stem if source.path.is_file() else source.path.resolve().name
    video_path = folder / f"{name}_saliency.mp4"
    maps_folder = None if maps is None else folder / f"{name}_maps"
    _prepare(folder, maps_folder)

    height, width = source.size
    times = _varying_times(source)
    tap = _Tap(source)
    done = 0
    writer = VideoWriter(
        video_path,
        source.fps,
        (height, width * 2 if beside else width),
        audio_from=source.path,
        audio_offset=source.start,
        variable_rate=times is not None,
        pixel_aspect=source.pixel_aspect,
    )
    with writer:
        for number, small in predictor.maps(tap):
            frame = tap.take(number)
            density = resize_map(small, source.size).clamp_(min=0).numpy()  # (H, W)
            painted = overlay.paint(frame, density)
            if beside:
                painted = side_by_side(frame, painted)
            writer.write(painted, None if times is None else float(times[number]))
            if maps_folder is not None:
                write_density(maps_folder / f"{number + 1:04d}.{maps}", density, overlay.peak)
            done += 1
            on_frame()
        writer.close(complete=tap.problem is None)

    return Rendered(
        frames=done,
        video=video_path if done else None,
        maps=maps_folder,
        problem=tap.problem or _damage(source, done),
    )


class _Tap:
    """A source that keeps the frames it hands on until they are taken, and ends at damage instead of raising."""

    def __init__(self, source: FrameSource) -> None:
        self._source = source
        self._kept: dict[int, np.ndarray] = {}
        self.problem: str | None = None

    def __len__(self) -> int:
        return len(self._source)

    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield and keep frames."""
        number = start
        try:
            for frame in self._source.iterate(start, stop):
                self._kept[number] = frame
                number += 1
                yield frame
        except InputError as error:
            self.problem = str(error)

    def take(self, number: int) -> np.ndarray:
        """Return a frame that was yielded; it is no longer kept."""
        return self._kept.pop(number)


def _prepare(folder: Path, maps_folder: Path | None) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if maps_folder is not None:
            maps_folder.mkdir(exist_ok=True)
            for old in maps_folder.iterdir():  # or a shorter video would seem to have more maps than frames
                if re.fullmatch(r"\d{4,}\.(png|npy)", old.name):
                    old.unlink()
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to ({error.strerror}); choose another --out") from error


def _varying_times(source: FrameSource) -> np.ndarray | None:
    """Return the times of the frames if they are not those of a constant rate to within half a frame."""
    times = source.timestamps
    if times is None or len(times) < 2:
        return None
    even = np.arange(len(times)) / source.fps
    return times if np.abs(times - even).max() * source.fps > 0.5 else None


def _damage(source: FrameSource, decoded: int) -> str | None:
    if source.announced not in (None, decoded):
        return (
            f"{source.path}: {decoded} frames could be decoded but its header announces {source.announced}; "
            "the file is damaged or incomplete"
        )
    if source.corrupt_frames:
        return f"{source.path}: {source.corrupt_frames} of {decoded} frames are damaged"
    return None
