"""The differences that a plan for a study starts from: of viewers on videos, of videos, or of seeds."""

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from saliency.datasets.folder import Folder, FolderVideo
from saliency.errors import InputError
from saliency.evaluation.baselines import gaussian
from saliency.evaluation.result import SUMMARY_FILE, Result
from saliency.gaze.recording import density_map, is_inside

FRAMES = 30
"""So many frames of a video are looked at, evenly spaced."""
WIDTH = 256
"""Pixels of the maps on which looks are scored."""
COLUMNS = ("viewer", "video", "difference")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pilot:
    """Differences that were measured.

    Attributes:
        about: what they are, in a phrase.
        unit: what a column is: ``"video"`` or ``"seed"``.
        table: (viewers, columns), NaN where there is none; one row where there are no viewers.
    """

    about: str
    unit: str
    table: np.ndarray

    @property
    def has_viewers(self) -> bool:
        """Whether the differences are those of single viewers."""
        return len(self.table) > 1


def read_pilots(sources: Sequence[Path]) -> list[Pilot]:
    """Read the differences that a command line names.

    Args:
        sources: a ``study.json`` (a pilot for each of its comparisons; the unit is the seed), a table with the columns
            viewer, video and difference, a folder with ``videos/`` and ``gaze/``, or two results of
            `saliency evaluate` (a pilot for each metric; the unit is the video).

    Raises:
        InputError: they are none of these.
    """
    if len(sources) == 2:
        return _results(sources)
    if len(sources) != 1:
        raise InputError(f"name one study, table or folder with gaze, or two results to compare; got {len(sources)}")
    path = sources[0]
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.is_file():
        return [_table(path)] if path.suffix.lower() == ".csv" else _study(path)
    if (path / SUMMARY_FILE).is_file():
        raise InputError(f"{path} is one result; name a second one to compare it with")
    if not (path / "gaze").is_dir():
        raise InputError(f"{path} holds no gaze/; name a folder with videos/ and gaze/, a study.json, or a table")
    return [_gaze(path)]


def _study(path: Path) -> list[Pilot]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        effects = {**content["against_control"], **content["contrasts"]}
        seeds = {name: np.array(effect["seeds"], dtype=np.float64) for name, effect in effects.items()}
        metric = str(content["metric"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: is no study.json of this project ({type(error).__name__}: {error})") from error
    for name, values in seeds.items():
        if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
            raise InputError(f"{path}: {name} has {values.size} seed(s); one seed says nothing of spread")
    return [Pilot(about=f"{name}, {metric}", unit="seed", table=values[None]) for name, values in seeds.items()]


def _results(folders: Sequence[Path]) -> list[Pilot]:
    first, second = (Result.load(folder) for folder in folders)
    if first.data_hash() != second.data_hash() or first.protocol != second.protocol:
        raise InputError(f"{folders[0]} and {folders[1]} scored other frames, or by other rules; evaluate both alike")
    pilots = []
    for metric in first.protocol.metrics:
        a, b = first.per_video(metric), second.per_video(metric)
        values = np.array([a[video] - b[video] for video in a])
        if np.isfinite(values).sum() > 1:
            about = f"{first.name} - {second.name}, {metric}"
            pilots.append(Pilot(about=about, unit="video", table=values[np.isfinite(values)][None]))
    if not pilots:
        raise InputError(f"{folders[0]} and {folders[1]} share fewer than 2 scored videos; that says nothing of spread")
    return pilots


def _table(path: Path) -> Pilot:
    cells: dict[tuple[str, str], float] = {}
    try:
        reader = csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines())
        rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a table ({error})") from error
    if not set(COLUMNS) <= set(reader.fieldnames or ()):
        found = ", ".join(reader.fieldnames or ()) or "none"
        raise InputError(f"{path}: needs the columns {', '.join(COLUMNS)}; it has {found}")
    for number, row in enumerate(rows, 1):
        key = (row["viewer"], row["video"])
        if key in cells:
            raise InputError(f"{path}, row {number}: a second difference of viewer {key[0]} on video {key[1]}")
        cells[key] = _number(row["difference"], f"{path}, row {number}")
    return Pilot(about=path.name, unit="video", table=_arranged(cells))


def _number(text: Any, where: str) -> float:
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: the difference is {text!r}, expected a number; leave the line out if it is missing")
    return value


def _gaze(root: Path) -> Pilot:
    """How much better the other viewers tell where a viewer looks than a Gaussian fitted on other videos, in NSS."""
    videos = [v for v in Folder(root=root).videos("test") if isinstance(v, FolderVideo) and v.gaze is not None]
    looks = {video.id: _sampled(video) for video in videos}
    cells = {}
    for video in videos:
        others = np.concatenate([_relative(v, looks[v.id]) for v in videos if v is not video] or [np.empty((0, 2))])
        if len(others) < 3:
            raise InputError(f"{root}: no other video than {video.id} has gaze; a plan needs at least 2 videos")
        centre = gaussian(others.mean(axis=0), np.cov(others.T) + 1e-6 * np.eye(2)).numpy()
        for viewer, value in zip(video.viewers(), _gains(video, looks[video.id], centre), strict=True):
            if np.isfinite(value):
                cells[viewer, video.id] = float(value)
    return Pilot(about=f"{root.name}: other viewers - centre prior, nss", unit="video", table=_arranged(cells))


def _sampled(video: FolderVideo) -> np.ndarray:
    """Return the looks (observers, frames, 2) in `FRAMES` frames, NaN outside of the picture."""
    points = video.observers()
    assert points is not None
    frames = np.unique(np.linspace(0, points.shape[1] - 1, FRAMES).round().astype(int))
    points = points[:, frames].astype(np.float64)
    inside = is_inside(points.reshape(-1, 2), video.size).reshape(points.shape[:2])
    points[~inside] = np.nan
    return points


def _relative(video: FolderVideo, looks: np.ndarray) -> np.ndarray:
    """Return all looks (k, 2) in widths and heights."""
    flat = looks.reshape(-1, 2) / [video.size[1], video.size[0]]
    return flat[np.isfinite(flat).all(axis=1)]


def _gains(video: FolderVideo, looks: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return each viewer's mean gain (observers,) in NSS; NaN without a look that others can be asked about."""
    scale = min(1.0, WIDTH / video.size[1])
    size = (max(1, round(video.size[0] * scale)), max(1, round(video.size[1] * scale)))
    small = looks * [size[1] / video.size[1], size[0] / video.size[0]]
    gains: list[list[float]] = [[] for _ in looks]
    for points in small.transpose(1, 0, 2):  # (observers, 2) of a frame
        there = np.flatnonzero(np.isfinite(points).all(axis=1))
        for viewer in there if len(there) > 1 else ():
            others = density_map(points[there[there != viewer]], size, video.sigma * scale)
            gains[viewer].append(_nss(others, points[viewer], size) - _nss(centre, points[viewer], size))
    return np.array([np.mean(own) if own else np.nan for own in gains])


def _nss(values: np.ndarray, point: np.ndarray, size: tuple[int, int]) -> float:
    """Return a map's value at a point, in its standard deviations from its mean."""
    row, column = int(point[1] * values.shape[0] / size[0]), int(point[0] * values.shape[1] / size[1])
    return float((values[row, column] - values.mean()) / values.std())


def _arranged(cells: dict[tuple[str, str], float]) -> np.ndarray:
    """Return a table (viewers, videos) of cells, NaN where there is none."""
    viewers = {name: i for i, name in enumerate(dict.fromkeys(viewer for viewer, _ in cells))}
    videos = {name: i for i, name in enumerate(dict.fromkeys(video for _, video in cells))}
    table = np.full((len(viewers), len(videos)), np.nan)
    for (viewer, video), value in cells.items():
        table[viewers[viewer], videos[video]] = value
    return table
