"""From the originals of OSIE, EyeCrowd and Scene to the neutral form that `saliency.datasets.stills` reads.

A photograph wider than 640 pixels is made 640 wide (Lanczos, JPEG quality 85); smaller ones are copied as they are.
The authors' pixels count from 1, ours from 0, and a picture's edges lie half a pixel outside of its outer pixels'
centres: with the scale s, x becomes ``(x - 0.5) * s - 0.5``.
"""

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

import saliency
from saliency.errors import InputError

SPLITS = Path(saliency.__file__).parent / "assets" / "splits"
WIDTH = 640
QUALITY = 85

Viewing = tuple[int, NDArray[np.float64]]
"""A viewer, and (k, 3): x, y of the fixations in the authors' pixels, duration in milliseconds."""


def convert_osie(originals: Path, folder: Path) -> None:
    """Convert OSIE; called by `saliency.preparation.downloads.get`."""
    _convert("osie", originals, folder, _by_subject(originals / "data/eye/fixations.mat"))


def convert_crowd(originals: Path, folder: Path) -> None:
    """Convert EyeCrowd."""
    _convert("crowd", originals, folder, _by_subject(originals / "data/eye/fixations.mat"))


def convert_scene(originals: Path, folder: Path) -> None:
    """Convert Scene."""
    names = sorted(path.name for path in (originals / "data/stimuli").glob("*.jpg"))
    _convert("scene", originals, folder, _by_table(originals / "data/tidy/fixations.mat", names))


def _by_subject(path: Path) -> dict[str, list[Viewing]]:
    """Cells with the name of a photograph and, for each subject, fix_x, fix_y and fix_duration (ms)."""
    found = {}
    for cell in _load(path).ravel():
        viewings = []
        for viewer, subject in enumerate(np.atleast_1d(cell.subjects).ravel()):
            columns = [np.atleast_1d(getattr(subject, key)) for key in ("fix_x", "fix_y", "fix_duration")]
            viewings.append((viewer, np.stack(columns, axis=1).astype(np.float64)))
        found[str(cell.img)] = viewings
    return found


def _by_table(path: Path, names: list[str]) -> dict[str, list[Viewing]]:
    """A table of cells, a row for each photograph and a column for each viewer: y, x, latency (s), duration (s)."""
    table = _load(path)
    if table.ndim != 2 or len(table) != len(names):
        raise InputError(f"{path}: has {len(table)} rows, but there are {len(names)} photographs")
    found = {}
    for name, row in zip(names, table, strict=True):
        cells = [(viewer, np.asarray(cell, dtype=np.float64).reshape(-1, 4)) for viewer, cell in enumerate(row)]
        found[name] = [(viewer, cell[:, [1, 0, 3]] * (1, 1, 1000)) for viewer, cell in cells if len(cell)]
    return found


def _load(path: Path) -> NDArray[Any]:
    try:
        return np.asarray(loadmat(path, squeeze_me=True, struct_as_record=False)["fixations"])
    except (OSError, ValueError, KeyError, NotImplementedError, MatReadError) as error:
        raise InputError(f"{path}: cannot be read as the authors' table of fixations ({error})") from error


def _convert(name: str, originals: Path, folder: Path, gaze: dict[str, list[Viewing]]) -> None:
    with (SPLITS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        splits = {row["image"]: row["split"] for row in csv.DictReader(file)}
    (folder / "images").mkdir()
    pictures = sorted(path for path in (originals / "data/stimuli").iterdir() if path.name in splits)
    if lost := next((path.name for path in pictures if not gaze.get(path.name)), None):
        raise InputError(f"{name}: the authors' table has no fixations on {lost}; get the originals again")
    sizes, columns = [], []
    for index, path in enumerate(pictures):
        before, after = _copy_picture(path, folder / "images" / path.name)
        sizes.append((path.name, *after[::-1], *before[::-1]))
        columns += list(_rows(index, gaze[path.name], before, after))
    table = np.concatenate(columns)
    arrays: dict[str, Any] = {"images": np.array([path.name for path in pictures])}
    arrays |= {key: table[:, i].astype(np.int16) for i, key in enumerate(("image", "viewer", "order"))}
    arrays |= {key: table[:, i + 3].astype(np.float32) for i, key in enumerate(("x", "y", "duration_ms"))}
    np.savez_compressed(folder / "fixations.npz", **arrays)
    titles = ("image", "width", "height", "original_width", "original_height")
    _write_csv(folder / "images.csv", titles, sizes)
    _write_csv(folder / "split.csv", ("image", "split"), [(path.name, splits[path.name]) for path in pictures])
    shutil.copyfile(originals / "LICENSE", folder / "LICENSE")


def _rows(
    index: int, viewings: list[Viewing], before: tuple[int, int], after: tuple[int, int]
) -> Iterator[NDArray[Any]]:
    """Rows image, viewer, order, x, y, duration of the fixations within the picture."""
    scale = np.array(after[::-1]) / np.array(before[::-1])
    for viewer, fixations in viewings:
        points = (fixations[:, :2] - 0.5) * scale - 0.5
        inside = ((points >= -0.5) & (points < np.array(after[::-1]) - 0.5)).all(axis=1)
        count = int(inside.sum())
        head = np.column_stack((np.full(count, index), np.full(count, viewer), np.arange(count)))
        yield np.column_stack((head, points[inside], fixations[inside, 2]))


def _copy_picture(path: Path, target: Path) -> tuple[tuple[int, int], tuple[int, int]]:
    """Copy a photograph, made smaller if it is wide; return its (H, W) before and after."""
    with Image.open(path) as image:
        width, height = image.size
        if width <= WIDTH:
            shutil.copyfile(path, target)
            return (height, width), (height, width)
        size = (WIDTH, round(height * WIDTH / width))
        image.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(target, quality=QUALITY)
    return (height, width), (size[1], size[0])


def _write_csv(path: Path, titles: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([titles, *rows])
