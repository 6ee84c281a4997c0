"""Where the picture and the maps of each frame go: files of every kind behind two small interfaces."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, Self, get_args

import numpy as np

from saliency.errors import InputError
from saliency.io.frame_source import FrameSource
from saliency.io.maps import to_grey, write_density
from saliency.io.picture_writer import PictureWriter
from saliency.io.video_writer import VideoWriter

MapFormat = Literal["png", "png16", "npy", "npz", "mp4"]
MAP_FORMATS: tuple[str, ...] = get_args(MapFormat)


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
    map_format: MapFormat = "png"
    peak: float | None = None


def outputs_in(folder: Path, source: FrameSource, maps: MapFormat | None = None, peak: float | None = None) -> Outputs:
    """Return the usual outputs: ``NAME_saliency.mp4`` (``.png`` of a still) and ``NAME_maps`` in a folder.

    NAME is that of the source without its suffix.

    Args:
        folder: where to write.
        source: what is shown.
        maps: format of the maps; None writes none.
        peak: see `Outputs`.
    """
    name = source_name(source)
    places = {"npz": f"{name}_maps.npz", "mp4": f"{name}_maps.mp4"}
    return Outputs(
        picture=folder / f"{name}_saliency.{'png' if source.still else 'mp4'}",
        maps=None if maps is None else folder / places.get(maps, f"{name}_maps"),
        map_format=maps or "png",
        peak=peak,
    )


def outputs_at(path: Path, source: FrameSource, maps: MapFormat | None = None, peak: float | None = None) -> Outputs:
    """Return the outputs whose painted video or picture is one named file; maps get its name with ``_maps``.

    Args:
        path: ends in ``.mp4``, or in ``.png`` for a still.
        source: what is shown.
        maps: format of the maps; None writes none.
        peak: see `Outputs`.

    Raises:
        InputError: the ending does not suit the source.
    """
    wanted = ".png" if source.still else ".mp4"
    if path.suffix.lower() != wanted:
        kind = "a picture" if source.still else "a video"
        raise InputError(f"--out {path}: {source.path} is {kind}, so what is written ends in {wanted}")
    ending = f".{maps}" if maps in ("npz", "mp4") else ""
    place = None if maps is None else path.with_name(f"{path.stem}_maps{ending}")
    return Outputs(picture=path, maps=place, map_format=maps or "png", peak=peak)


def source_name(source: FrameSource) -> str:
    """Return the name of a source's file without its suffix, or of its folder."""
    path = source.path.resolve()
    return path.stem if path.is_file() else path.name


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
        audio_from=source.sound,
        audio_offset=source.start,
        variable_rate=times is not None,
        pixel_aspect=source.pixel_aspect,
    )


class MapWriter(Protocol):
    """Takes the map of each frame in order; a context manager."""

    def write(self, number: int, density: np.ndarray) -> None:
        """Write the map (H, W) of frame `number`, counted from 0."""
        ...

    def __enter__(self) -> Self:
        """Start."""
        ...

    def __exit__(self, *_: object) -> None:
        """Finish: what was written can be read."""
        ...


def open_maps(outputs: Outputs, source: FrameSource) -> MapWriter | None:
    """Return the writer of the maps; None if none are wanted."""
    if outputs.maps is None:
        return None
    if outputs.map_format == "npz":
        return _Archive(outputs.maps)
    if outputs.map_format == "mp4":
        return _GreyVideo(outputs.maps, source, outputs.peak)
    return _Folder(outputs.maps, outputs.map_format, outputs.peak)


class _Folder:
    """One file a frame: ``0001.png``, ``0002.png``, ..."""

    def __init__(self, folder: Path, kind: Literal["png", "png16", "npy"], peak: float | None) -> None:
        self._folder, self._kind, self._peak = folder, kind, peak

    def write(self, number: int, density: np.ndarray) -> None:
        path = self._folder / f"{number + 1:04d}.{self._kind.removesuffix('16')}"
        write_density(path, density, self._peak, bits=16 if self._kind == "png16" else 8)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Every file is complete already."""


class _Archive:
    """One ``.npz`` with an array a frame, named ``0001``, ``0002``, ...: `numpy.load` reads one at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.name}.part")
        try:
            self._file = zipfile.ZipFile(self._temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror}); choose another --out") from error

    def write(self, number: int, density: np.ndarray) -> None:
        try:
            with self._file.open(f"{number + 1:04d}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(density, dtype=np.float32), allow_pickle=False)
        except OSError as error:
            raise InputError(f"{self._path}: cannot be written on ({error.strerror})") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        written = bool(self._file.namelist())
        try:
            self._file.close()
        finally:
            if written:
                self._temporary.replace(self._path)
            else:
                self._temporary.unlink(missing_ok=True)


class _GreyVideo:
    """A video of the maps in grey, without sound."""

    def __init__(self, path: Path, source: FrameSource, peak: float | None) -> None:
        self._times = varying_times(source)
        self._peak = peak
        self._writer = VideoWriter(path, source.fps, source.size, variable_rate=self._times is not None, crf=12)

    def write(self, number: int, density: np.ndarray) -> None:
        grey = np.repeat(to_grey(density, self._peak)[:, :, None], 3, axis=2)
        self._writer.write(grey, None if self._times is None else float(self._times[number]))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()


def varying_times(source: FrameSource) -> np.ndarray | None:
    """Return the times of the frames if they are not those of a constant rate to within half a frame."""
    times = source.timestamps
    if times is None or len(times) < 2:
        return None
    even = np.arange(len(times)) / source.fps
    return times if np.abs(times - even).max() * source.fps > 0.5 else None
