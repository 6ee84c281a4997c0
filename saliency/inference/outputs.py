"""Where the picture and the maps of each frame go: files of every kind behind two small interfaces."""

import itertools
import json
import logging
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, Self

import numpy as np

from saliency.errors import InputError, nearest
from saliency.io.atomic import write_atomic
from saliency.io.behind import MANY
from saliency.io.frame_source import FrameSource
from saliency.io.maps import MAP_FILES, to_grey, write_density
from saliency.io.partial import Partial, fitting
from saliency.io.picture_writer import PictureWriter
from saliency.io.video_writer import Sound, VideoWriter

log = logging.getLogger(__name__)

FOLDERS: Mapping[str, tuple[str, Literal[8, 16]]] = {
    "png": (".png", 8),
    "png16": (".png", 16),
    **{suffix[1:]: (suffix, 8) for suffix in MAP_FILES if suffix != ".png"},
}
"""Formats of a folder with one map a frame: name -> suffix and, of pictures, bits."""

MAP_FORMATS = (*FOLDERS, "npz", "mp4")
"""Formats of maps: those of a folder, and those of one file of all."""

MARK = ".maps.json"
"""In a folder of maps: how many of which kind were written. Files that it does not account for are never removed."""
HALF_MARK = r"\.\.maps\.\w{8}\.json"
"""What is left of a mark in whose writing the process was killed, see `saliency.io.atomic.replacing`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """What is written of a source.

    Attributes:
        picture: the painted video (``.mp4``), or picture (``.png``) of a still; None writes none.
        maps: a folder of maps, one a frame (``png``, ``png16``, ``npy``), or one file of all (``.npz``, ``.mp4``);
            None writes none.
        map_format: how maps are written.
        peak: map value that is white; None: each frame's own maximum. NPY and NPZ keep values as they are.
    """

    picture: Path | None
    maps: Path | None = None
    map_format: str = "png"
    peak: float | None = None


def outputs_in(
    folder: Path,
    source: FrameSource,
    maps: str | None = None,
    peak: float | None = None,
    *,
    name: str = "",
    picture: bool = True,
) -> Outputs:
    """Return the usual outputs: ``NAME_saliency.mp4`` (``.png`` of a still) and ``NAME_maps`` in a folder.

    Args:
        folder: where to write.
        source: what is shown.
        maps: format of the maps; None writes none.
        peak: see `Outputs`.
        name: NAME; default: that of the source without its suffix.
        picture: whether the painted video or picture is written.

    Raises:
        InputError: there is no such format of maps.
    """
    name = name or source_name(source)
    maps = None if maps is None else known_format(maps)
    places = {"npz": f"{name}_maps.npz", "mp4": f"{name}_maps.mp4"}
    return Outputs(
        picture=folder / f"{name}_saliency.{'png' if source.still else 'mp4'}" if picture else None,
        maps=None if maps is None else folder / places.get(maps, f"{name}_maps"),
        map_format=maps or "png",
        peak=peak,
    )


def outputs_at(path: Path, source: FrameSource, maps: str | None = None, peak: float | None = None) -> Outputs:
    """Return the outputs whose painted video or picture is one named file; maps get its name with ``_maps``.

    Args:
        path: ends in ``.mp4``, or in ``.png`` for a still.
        source: what is shown.
        maps: format of the maps; None writes none.
        peak: see `Outputs`.

    Raises:
        InputError: the ending does not suit the source, or there is no such format of maps.
    """
    wanted = ".png" if source.still else ".mp4"
    if path.suffix.lower() != wanted:
        kind = "a picture" if source.still else "a video"
        raise InputError(f"--out {path}: {source.path} is {kind}, so what is written ends in {wanted}")
    maps = None if maps is None else known_format(maps)
    ending = f".{maps}" if maps in ("npz", "mp4") else ""
    place = None if maps is None else path.with_name(f"{path.stem}_maps{ending}")
    return Outputs(picture=path, maps=place, map_format=maps or "png", peak=peak)


def known_format(name: str) -> str:
    """Return the name of a format of maps.

    Raises:
        InputError: it is none of `MAP_FORMATS`.
    """
    if name not in MAP_FORMATS:
        raise InputError(f"maps are written as {', '.join(MAP_FORMATS)}, not as '{name}'{nearest(name, MAP_FORMATS)}")
    return name


def source_name(source: FrameSource) -> str:
    """Return the name of a source's file without its suffix, or of its folder; a long one is cut short."""
    path = source.path.resolve()
    return fitting(path.stem if path.is_file() else path.name)


def open_picture(
    path: Path, source: FrameSource, size: tuple[int, int], times: np.ndarray | None
) -> "VideoWriter | PictureWriter":
    """Start the painted video or picture.

    Args:
        path: ends in ``.mp4``, or in ``.png`` for a still.
        source: what is shown; its sound is kept.
        size: (H, W) of the pictures.
        times: of the frames if their distances vary.

    Raises:
        InputError: a video has another ending, or nothing can be written there.
    """
    if source.still:
        return PictureWriter(path)
    return VideoWriter(
        path,
        source.fps,
        size,
        None if source.sound is None else Sound(path=source.sound, start=source.start),
        variable_rate=times is not None,
        pixel_aspect=source.pixel_aspect,
    )


class MapWriter(Protocol):
    """Takes the map of each frame; a context manager.

    Attributes:
        partial: where the maps are until all are there.
        threads: how many may call `write` at once; 1 wants the maps in order.
    """

    partial: Path
    threads: int

    def write(self, number: int, density: np.ndarray) -> None:
        """Write the map (H, W) of frame `number`, counted from 0."""
        ...

    def close(self, complete: bool = True) -> None:
        """Give what was written its name, or leave it, readable, under its partial name."""
        ...

    def __enter__(self) -> Self:
        """Start."""
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Close; an error means that not all maps are there."""
        ...


def open_maps(outputs: Outputs, source: FrameSource) -> MapWriter | None:
    """Return the writer of the maps; None if none are wanted.

    Raises:
        InputError: nothing can be written there, or what is there is not of an earlier call.
    """
    if outputs.maps is None:
        return None
    known_format(outputs.map_format)
    if outputs.map_format == "npz":
        return _Archive(outputs.maps)
    if outputs.map_format == "mp4":
        return _GreyVideo(outputs.maps, source, outputs.peak)
    return _Folder(outputs.maps, outputs.map_format, outputs.peak)


class _Maps:
    """What writers of maps share: a part that takes its name when it is complete."""

    threads = 1

    def __init__(self, path: Path, *, folder: bool = False) -> None:
        self.path = path
        self._part = Partial(path, folder=folder)
        self.partial = self._part.path
        self._written = 0

    def close(self, complete: bool = True) -> None:
        if not self._part.open:
            return
        try:
            self._complete()
            if not self._written:
                self._part.discard()
            elif complete:
                self._part.finish()
        except OSError as error:
            raise InputError(f"{self.path}: cannot be finished ({error.strerror or error})") from error
        finally:
            self._part.keep()

    def _complete(self) -> None:
        """Write what is still to be written."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            self.close(complete=error is None)
        except InputError:
            if error is None:
                raise
            log.debug("while finishing %s", self.path, exc_info=True)  # the first error is the one to show
        if error is not None and self._written and self.partial.exists():
            error.add_note(f"the {self._written} maps before it are in {self.partial}")


class _Folder(_Maps):
    """One file a frame: ``0001.png``, ``0002.png``, ...; a hidden file tells which are ours."""

    threads = MANY

    def __init__(self, folder: Path, kind: str, peak: float | None) -> None:
        _refuse_others(folder)
        super().__init__(folder, folder=True)
        self._kind, self._peak = kind, peak
        self._numbers: set[int] = set()
        try:
            _refuse_others(self.partial, broken_off=True)
            self._part.empty()
            self._mark()
        except (InputError, OSError) as error:
            self._part.keep()
            if isinstance(error, InputError):
                raise
            raise InputError(f"{folder}: cannot be written to ({error.strerror}); choose another --out") from error

    def write(self, number: int, density: np.ndarray) -> None:
        write_density(self.partial / _map_name(number, self._kind), density, self._peak, bits=FOLDERS[self._kind][1])
        self._numbers.add(number)

    def close(self, complete: bool = True) -> None:
        # Threads may have got further with later maps when one failed: what stays has no gaps.
        self._written = next(number for number in itertools.count() if number not in self._numbers)
        while self._numbers and max(self._numbers) >= self._written:
            (self.partial / _map_name(max(self._numbers), self._kind)).unlink(missing_ok=True)
            self._numbers.remove(max(self._numbers))
        super().close(complete)

    def _complete(self) -> None:
        self._mark()
        _refuse_others(self.path)  # hours may have passed

    def _mark(self) -> None:
        try:
            with write_atomic(self.partial / MARK) as file:
                json.dump({"kind": self._kind, "maps": self._written}, file)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror or error})") from error


def _map_name(number: int, kind: str) -> str:
    return f"{number + 1:04d}{FOLDERS[kind][0]}"


def _is_map(name: str, kind: str, count: int) -> bool:
    """Whether it is the name of one of so many maps."""
    digits = Path(name).stem
    number = int(digits) if digits.isascii() and digits.isdecimal() else 0
    return 0 < number <= count and name == _map_name(number - 1, kind)


def _names_in(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}); choose another --out") from error


def _refuse_others(folder: Path, *, broken_off: bool = False) -> None:
    """Refuse a folder that holds anything but the maps of an earlier call, perhaps one that was killed."""
    there = _names_in(folder)
    try:
        told = json.loads((folder / MARK).read_text(encoding="utf-8")) if MARK in there else {}
        count, kind = int(told.get("maps", 0)), str(told.get("kind", ""))
        count, kind = (count, kind) if kind in FOLDERS else (0, "")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to ({error.strerror}); choose another --out") from error
    except (ValueError, TypeError, AttributeError, OverflowError):
        count, kind = 0, ""
    if not broken_off:
        others = there - {MARK} - {_map_name(i, kind) for i in range(min(count, len(there)))}
    elif kind and not count:  # it does not know how many there are
        others = {name for name in there if not re.fullmatch(rf"\d{{4,}}\{FOLDERS[kind][0]}|\..*", name)}
    else:  # some may have been removed already
        others = {name for name in there - {MARK} if not _is_map(name, kind, count)}
        others = {name for name in others if not re.fullmatch(HALF_MARK, name)}
    if others:
        raise InputError(
            f"{folder}: holds {min(others)}, which is no map of an earlier call; move it away or choose another --out"
        )


class _Archive(_Maps):
    """One ``.npz`` with an array a frame, named ``0001``, ``0002``, ...: `numpy.load` reads one at a time."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            self._file = zipfile.ZipFile(self.partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        except OSError as error:
            super().close(complete=False)
            raise InputError(f"{path}: cannot be written ({error.strerror}); choose another --out") from error

    def write(self, number: int, density: np.ndarray) -> None:
        try:
            with self._file.open(f"{number + 1:04d}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(density, dtype=np.float32), allow_pickle=False)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written on ({error.strerror})") from error
        self._written += 1

    def _complete(self) -> None:
        try:
            self._file.close()
        except (OSError, ValueError) as error:  # ValueError: within a member that could not be written
            self.partial.unlink(missing_ok=True)  # without its end an archive cannot be read
            raise InputError(f"{self.path}: cannot be finished ({getattr(error, 'strerror', error)})") from error


class _GreyVideo:
    """A video of the maps in grey, without sound."""

    threads = 1

    def __init__(self, path: Path, source: FrameSource, peak: float | None) -> None:
        self._times = varying_times(source)
        self._peak = peak
        self._writer = VideoWriter(path, source.fps, source.size, variable_rate=self._times is not None, crf=12)
        self.partial = self._writer.partial

    def write(self, number: int, density: np.ndarray) -> None:
        grey = np.repeat(to_grey(density, self._peak)[:, :, None], 3, axis=2)
        self._writer.write(grey, None if self._times is None else float(self._times[number]))

    def close(self, complete: bool = True) -> None:
        self._writer.close(complete)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._writer.__exit__(kind, error, None)


def varying_times(source: FrameSource) -> np.ndarray | None:
    """Return the times of the frames if they are not those of a constant rate to within half a frame."""
    times = source.timestamps
    if times is None or len(times) < 2:
        return None
    even = np.arange(len(times)) / source.fps
    return times if np.abs(times - even).max() * source.fps > 0.5 else None
