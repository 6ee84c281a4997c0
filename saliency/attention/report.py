"""Write the report of one film: one folder with a page, a table, pictures and films."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from saliency.attention.crop import CropPath, fit_window, parse_aspect
from saliency.attention.film import Film, FilmMeter
from saliency.attention.notes import ModelNotes
from saliency.attention.page import Contents, Thumbnail, page
from saliency.attention.region_files import parse_regions
from saliency.attention.table import write_table
from saliency.errors import InputError
from saliency.inference.outputs import Outputs, open_picture, varying_times
from saliency.inference.painters import Painter
from saliency.inference.render import MapMaker, Seen, render
from saliency.io.atomic import write_atomic
from saliency.io.frame_source import FrameSource
from saliency.io.images import write_image

_SMALL = 560
"""Longest side in pixels of the thumbnails inside the page."""
_MOST_THUMBNAILS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a report is to hold, as written on a command line.

    Attributes:
        regions: as of `saliency.attention.region_files.parse_region`.
        crop: shape of the re-framed film, such as ``"9:16"``; None: there is none.
        thumbnails: how many.
        maps: format in which the maps are written, too: ``maps.npz``, ``maps.mp4`` or the folder ``maps``; None: they
            are not.
    """

    regions: Sequence[str] = ()
    crop: str | None = None
    thumbnails: int = 0
    maps: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What `write_report` wrote.

    Attributes:
        page: the page.
        film: what was measured.
        crop: the window's way; None if none was asked for.
        thumbnails: the chosen frames.
        problem: what is wrong with the source, in one line; None if it was read to its end without damage.
    """

    page: Path
    film: Film
    crop: CropPath | None
    thumbnails: Sequence[int]
    problem: str | None


def write_report(
    source: FrameSource,
    predictor: MapMaker,
    folder: Path,
    wishes: Wishes,
    *,
    notes: ModelNotes,
    painter: Painter | None = None,
    on_frame: Callable[[Seen], None] = lambda seen: None,
) -> Report:
    """Write ``report.html``, ``frames.csv``, ``overlay.mp4``, ``crop.mp4`` and ``thumb_N.png`` into a folder.

    A still gives ``overlay.png`` and ``crop.png``. The source is decoded once for everything that the maps are needed
    for, once more for the crop, whose way is known at the end only, and at each thumbnail.

    Args:
        source: the film.
        predictor: makes the maps.
        folder: made if missing; files of an earlier report are replaced.
        wishes: what to write beside page and table.
        notes: what is said of the model.
        painter: how maps are shown.
        on_frame: called after each frame of the first pass.

    Raises:
        InputError: a wish cannot be read or fulfilled (before anything is written), or nothing can be written there.
    """
    regions = parse_regions(wishes.regions, source.size, source.fps)
    window = None
    if wishes.crop is not None:
        window = fit_window(source.size, _stored(parse_aspect(wishes.crop), source))
    if not 0 <= wishes.thumbnails <= _MOST_THUMBNAILS:
        raise InputError(f"--thumbnails must lie between 0 and {_MOST_THUMBNAILS}, got {wishes.thumbnails}")
    ending = ".png" if source.still else ".mp4"
    meter = FilmMeter(source.size, source.fps, regions, notes.judge)

    def measure(seen: Seen) -> None:
        meter.add(seen.frame, seen.map)
        on_frame(seen)

    outputs = Outputs(
        picture=folder / f"overlay{ending}", maps=_place_of_maps(folder, wishes.maps), map_format=wishes.maps or "png"
    )
    written = render(source, predictor, outputs, painter=painter, on_frame=measure)
    if not written.frames or written.picture is None:
        raise InputError(written.problem or f"{source.path}: no frame could be decoded")
    film = meter.finish(source.timestamps)
    crop = None if window is None else film.crop(window)
    if crop is not None:
        _write_crop(source, crop, folder / f"crop{ending}", len(film))
    chosen = film.thumbnails(wishes.thumbnails)
    _forget(folder, written.picture, None if crop is None else f"crop{ending}", len(chosen))
    write_table(folder / "frames.csv", film, crop)
    contents = Contents(
        title=source.path.resolve().name,
        film=film,
        painted=written.picture,
        notes=notes,
        shape="" if wishes.crop is None else wishes.crop.strip(),
        crop=crop,
        crop_file=f"crop{ending}",
        thumbnails=[_write_thumbnail(source, frame, folder / f"thumb_{i}.png") for i, frame in enumerate(chosen, 1)],
        problem=written.problem,
    )
    with write_atomic(folder / "report.html") as file:
        file.write(page(contents))
    return Report(page=folder / "report.html", film=film, crop=crop, thumbnails=tuple(chosen), problem=written.problem)


def _place_of_maps(folder: Path, maps: str | None) -> Path | None:
    if maps is None:
        return None
    return folder / (f"maps.{maps}" if maps in ("npz", "mp4") else "maps")


def _stored(aspect: tuple[int, int], source: FrameSource) -> tuple[int, int]:
    """Return the shape in stored pixels of a shape as shown, where pixels are not square."""
    return aspect[0] * source.pixel_aspect.denominator, aspect[1] * source.pixel_aspect.numerator


def _write_crop(source: FrameSource, crop: CropPath, path: Path, count: int) -> None:
    times = varying_times(source)
    with open_picture(path, source, (crop.window.height, crop.window.width), times) as pictures:
        for number, frame in enumerate(source.iterate(0, count)):
            part = np.ascontiguousarray(crop.cut(number, frame))
            pictures.write(part, None if times is None else float(times[number]))


def _write_thumbnail(source: FrameSource, frame: int, path: Path) -> Thumbnail:
    picture = source.read([frame])[0]
    try:
        write_image(path, picture)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
    scale = min(1.0, _SMALL / max(picture.shape[:2]))
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    held = io.BytesIO()
    Image.fromarray(small).save(held, format="JPEG", quality=88)
    return Thumbnail(frame=frame, file=path.name, jpeg=held.getvalue())


def _forget(folder: Path, painted: Path, crop: str | None, thumbnails: int) -> None:
    """Take away what an earlier report left and this one does not write."""
    kept = {painted.name, crop, *(f"thumb_{i}.png" for i in range(1, thumbnails + 1))}
    for old in (*folder.glob("thumb_*.png"), *folder.glob("crop.*"), *folder.glob("overlay.*")):
        if old.name not in kept and old.suffix in (".png", ".mp4"):
            old.unlink()
