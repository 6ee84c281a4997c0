"""Your own videos with maps, fixations or gaze.

::

    videos/cat.mp4                    or videos/cat/00001.png .. (frames)
    maps/cat/00001.png ..             density maps (optional with gaze)
    fixations/cat/00001.png ..        fixation maps, or .mat with variable I (optional with gaze)
    gaze/cat.csv                      columns observer,frame,x,y or observer,time,x,y

Maps are numbered from any first number without gaps, one per frame. Where there is gaze, fixations and
density come from it unless files give them. In gaze files frames count from 0, times are in seconds from the
start of the video, and x, y are pixels of the video (0, 0 is the upper left corner of the picture). Where the tracker
saw no eye they are empty or NaN, or exactly 0,0 or -1,-1, which is no look either. `saliency gaze import` makes such
files of eye trackers' recordings, and notes a degree of visual angle of each video in ``gaze/viewing.json``.
"""

import csv
import fnmatch
import glob
import json
import logging
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import numpy as np

from saliency.data.gaze_file import VIEWING
from saliency.data.map_files import image_size
from saliency.data.targets import HOUSE, Sampling
from saliency.data.video import AnnotatedVideo
from saliency.errors import InputError, nearest
from saliency.gaze.gaze_samples import CLOCK_NAMES, CLOCKS, EPOCH, are_shares, without_lost
from saliency.gaze.recording import DHF1K_SIGMA, density_map, fixation_map, is_inside
from saliency.io.frames import Decoder, FrameSource, open_frames
from saliency.io.images import IMAGE_SUFFIXES, list_images, numeric_order
from saliency.io.maps import MAP_FILES, read_density, read_fixations
from saliency.types import InputSpec

log = logging.getLogger(__name__)

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
UNEVEN = 0.25
"""Frames last unequally long if one starts so much of a frame off its place."""

OUTSIDE_LIMIT = 0.2
"""Share of gaze points outside of the picture beyond which the file is refused: its units must be wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderVideo(AnnotatedVideo):
    """One of your videos.

    Attributes:
        fps: frames per second, for gaze that is given by time.
        times: start of each frame in seconds where frames do not last equally long; None: all last 1 / `fps`.
        maps: density map files, one per frame; empty: made from the gaze.
        fixation_files: fixation map files, one per frame; empty: made from the gaze.
        gaze: gaze file.
        sigma: standard deviation in pixels of the density maps made from gaze.
    """

    fps: float
    times: tuple[float, ...] | None = None
    maps: tuple[Path, ...] = ()
    fixation_files: tuple[Path, ...] = ()
    gaze: Path | None = None
    sigma: float

    def density(self, i: int) -> np.ndarray:
        """Return the density map of frame `i`, float32 (H, W)."""
        self.check_frame(i)
        if self.maps:
            return read_density(self.maps[i])
        return density_map(self._points(i), self.size, self.sigma)

    def fixations(self, i: int) -> np.ndarray:
        """Return the fixation map of frame `i`, bool (H, W)."""
        self.check_frame(i)
        if self.fixation_files:
            return read_fixations(self.fixation_files[i])
        return fixation_map(self._points(i), self.size)

    def observers(self) -> np.ndarray | None:
        """Return the gaze, float32 (observers, num_frames, 2) x, y in pixels, NaN where absent; None without gaze."""
        if self.gaze is None:
            return None
        return _read_gaze(self.gaze, self.num_frames, self.times or self.fps, self.size).points

    def viewers(self) -> tuple[str, ...]:
        """Return what the observers are called, in the order of `observers`; empty without gaze."""
        if self.gaze is None:
            return ()
        return _read_gaze(self.gaze, self.num_frames, self.times or self.fps, self.size).viewers

    def points_outside(self, i: int) -> int:
        """Return how many points of the gaze file lie outside of the picture during frame `i`."""
        if self.gaze is None or self.fixation_files:
            return 0
        return int(_read_gaze(self.gaze, self.num_frames, self.times or self.fps, self.size).outside[i])

    def _points(self, i: int) -> np.ndarray:
        gaze = self.observers()
        if gaze is None:
            raise InputError(f"video {self.id} has no ground truth; add maps and fixations, or gaze")
        return gaze[:, i]


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder of your own videos.

    Attributes:
        root: folder that holds ``videos`` and the ground truth.
        splits: split -> names of its videos without suffix, with ``*`` as a wildcard, separated by commas.
        sigma: standard deviation of density maps made from gaze, in frame widths; None: one degree of visual angle
            where ``gaze/viewing.json`` says it, else DHF1K's.
        decoder: package that decodes the videos.
        sampling: the target rules of training and validation.
    """

    root: Path
    splits: dict[str, str] = field(default_factory=lambda: {"test": "*"})
    sigma: float | None = None
    decoder: Decoder = "pyav"
    sampling: Sampling = HOUSE

    def videos(self, split: str) -> list[AnnotatedVideo]:
        """Return the videos of a split, in the order of their names.

        Raises:
            InputError: unknown split, no video, or maps that do not fit the frames.
        """
        there = self.names()
        return [self.video(name, there[name]) for name in self.chosen(split, tuple(there))]

    def chosen(self, split: str, names: Sequence[str]) -> list[str]:
        """Return which of these videos belong to a split, in their order.

        Raises:
            InputError: unknown split, or a name or pattern that none of them has.
        """
        if split not in self.splits:
            raise InputError(
                f"{self.root} has no split '{split}'; name its videos in `splits`{nearest(split, self.splits)}"
            )
        patterns = [pattern.strip() for pattern in self.splits[split].split(",") if pattern.strip()]
        for pattern in patterns:
            if not fnmatch.filter(names, pattern):
                known = f"{self.root / 'videos'}: holds no video called '{pattern}'"
                raise InputError(f"{known}{nearest(pattern, names)}")
        return [name for name in names if any(fnmatch.fnmatchcase(name, p) for p in patterns)]

    def view(self, spec: InputSpec) -> InputSpec:
        """Return the clip a model gets: its own."""
        return spec

    def names(self) -> dict[str, Path]:
        """Return the name and the file, or folder of frames, of each video.

        Raises:
            InputError: there is no folder of videos, or two of them have one name.
        """
        folder = self.root / "videos"
        if not folder.is_dir():
            raise InputError(f"{folder}: is missing; put videos, or folders of frames, there")
        there: dict[str, Path] = {}
        for path in sorted(folder.iterdir()):
            if path.is_dir() or path.suffix.lower() in VIDEO_SUFFIXES:
                if path.stem in there:
                    raise InputError(f"{path}: has the same name as {there[path.stem]}; rename one of them")
                there[path.stem] = path
        return there

    def video(self, name: str, path: Path) -> FolderVideo:
        """Describe one video.

        Raises:
            InputError: it cannot be decoded, or its maps do not fit its frames.
        """
        with open_frames(path, decoder=self.decoder) as source:
            num_frames, size, fps, times = len(source), source.size, source.fps, uneven(source)
        maps = map_list(self.root / "maps" / name, num_frames, size)
        fixations = map_list(self.root / "fixations" / name, num_frames, size)
        gaze = self.root / "gaze" / f"{name}.csv"
        has_gaze = gaze.is_file()
        if bool(maps) != bool(fixations) and not has_gaze:
            lacking = "fixations" if maps else "maps"
            raise InputError(f"{self.root / lacking / name}: is missing and there is no {gaze}; add one of them")
        return FolderVideo(
            id=name,
            path=path,
            num_frames=num_frames,
            size=size,
            decoder=self.decoder,
            annotated=bool(maps) or has_gaze,
            may_be_empty=True,
            fps=fps,
            times=times,
            maps=maps,
            fixation_files=fixations,
            gaze=gaze if has_gaze else None,
            sigma=(degree_of(self.root, name) if self.sigma is None else self.sigma) * size[1],
        )


def uneven(source: FrameSource) -> tuple[float, ...] | None:
    """Return the start of each frame in seconds if frames do not last equally long; None if they do."""
    times = source.timestamps
    if times is None or np.abs(times - np.arange(len(times)) / source.fps).max() < UNEVEN / source.fps:
        return None
    return tuple(times.tolist())


def degree_of(root: Path, name: str) -> float:
    """Return one degree of visual angle in frame widths as ``gaze/viewing.json`` says it, else DHF1K's sigma.

    Raises:
        InputError: the file cannot be read.
    """
    path = root / "gaze" / VIEWING
    if not path.is_file():
        return float(DHF1K_SIGMA / 640)
    try:
        found = json.loads(path.read_text(encoding="utf-8")).get(name, {"degree": DHF1K_SIGMA / 640})
        return float(found["degree"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path}: does not say the degree of {name} ({error}); import its gaze again") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What a folder of videos holds, by the names of its files alone.

    Attributes:
        root: the folder.
        ready: names of the videos that have ground truth, in order.
        lacking: name of a video -> what it lacks.
        stray: gaze files and folders of maps that belong to no video.
    """

    root: Path
    ready: tuple[str, ...]
    lacking: dict[str, str]
    stray: tuple[Path, ...]

    def complaints(self) -> list[str]:
        """Say in a line each what is left out, and why."""
        lines = [f"{self.root / 'videos' / name}: left out, lacks {what}" for name, what in self.lacking.items()]
        return lines + [f"{path}: belongs to no video in {self.root / 'videos'}" for path in self.stray]

    def named(self, splits: Mapping[str, str]) -> dict[str, list[str]]:
        """Return the videos of each split, of those that are ready.

        Args:
            splits: as in `Folder.splits`.

        Raises:
            InputError: a video is not there, has no ground truth, or belongs to two splits.
        """
        folder = Folder(root=self.root, splits=dict(splits))
        there = (*self.ready, *self.lacking)
        found: dict[str, list[str]] = {}
        for split, text in splits.items():
            for word in (each.strip() for each in text.split(",")):
                if word in self.lacking:
                    raise InputError(
                        f"{self.root / 'videos' / word}: lacks {self.lacking[word]}; it cannot be in {split}"
                    )
            found[split] = [name for name in folder.chosen(split, there) if name in self.ready]
        for first, second in combinations(found, 2):
            if both := next((name for name in found[first] if name in found[second]), None):
                raise InputError(f"--splits: video {both} is in {first} and in {second}; name it once")
        return found


def inventory(root: Path) -> Inventory:
    """List the videos of a folder, what they lack, and what belongs to none of them.

    Raises:
        InputError: there is no folder of videos, or none of them has ground truth.
    """
    names = list(Folder(root=root).names())
    lacking: dict[str, str] = {}
    for name in names:
        has_maps, has_fixations = ((root / kind / name).is_dir() for kind in ("maps", "fixations"))
        if not (root / "gaze" / f"{name}.csv").is_file() and not (has_maps and has_fixations):
            beside = [f"{kind}/{name}" for kind, has in (("maps", has_maps), ("fixations", has_fixations)) if not has]
            lacking[name] = f"gaze/{name}.csv (or {' and '.join(beside)})"
    known = set(names)
    stray = [path for path in sorted((root / "gaze").glob("*.csv")) if path.stem not in known]
    stray += [p for kind in ("maps", "fixations") for p in sorted((root / kind).glob("*/")) if p.name not in known]
    ready = tuple(name for name in names if name not in lacking)
    if not ready:
        first = next(iter(lacking.items()), None)
        what = f"{first[0]} lacks {first[1]}" if first else f"put videos into {root / 'videos'}"
        raise InputError(f"{root}: holds no video with ground truth; {what}")
    return Inventory(root=root, ready=ready, lacking=lacking, stray=tuple(stray))


def as_patterns(names: Sequence[str]) -> str:
    """Return what `Folder.splits` takes for just these videos.

    Raises:
        InputError: a name holds a comma, which separates names.
    """
    if odd := next((name for name in names if "," in name), None):
        raise InputError(f"video '{odd}' has a comma in its name, which separates names; rename it")
    return ",".join(glob.escape(name) for name in names)


def map_list(folder: Path, num_frames: int, size: tuple[int, int]) -> tuple[Path, ...]:
    """List the map files of a video in the order of their numbers; empty if there is no such folder.

    Raises:
        InputError: not one per frame, a gap in the numbers, or another size than the video.
    """
    if not folder.is_dir():
        return ()
    others = (path for path in folder.iterdir() if path.suffix in (".mat", *MAP_FILES))
    files = list_images(folder) or sorted(others, key=lambda path: numeric_order(path.name))
    if len(files) != num_frames:
        raise InputError(f"{folder}: holds {len(files)} maps but the video has {num_frames} frames; give one per frame")
    numbers = [int(match[0]) if (match := re.search(r"\d+$", path.stem)) else None for path in files]
    for i, path in enumerate(files):
        if numbers[0] is None or numbers[i] != numbers[0] + i:
            raise InputError(f"{path}: its name does not end in the next number; number the maps without gaps")
    if files[0].suffix.lower() in IMAGE_SUFFIXES and image_size(files[0]) != tuple(size):
        raise InputError(f"{files[0]}: is {image_size(files[0])} (HxW) but the video {tuple(size)}; maps have its size")
    return tuple(files)


def read_gaze_csv(path: Path, num_frames: int, fps: float, size: tuple[int, int]) -> np.ndarray:
    """Read a gaze file: float32 (observers, num_frames, 2) x, y, NaN where absent.

    Several samples of an observer during a frame are averaged. Points outside of the picture, or after its
    end, and samples without a position (x and y NaN) are left out and counted in the log.

    Args:
        path: comma-separated, with a first line that names the columns observer, frame or time, x and y.
        num_frames: frames of the video.
        fps: frames per second, for files with times.
        size: (H, W) in pixels.

    Raises:
        InputError: a column is missing, a value is not a number or cannot be, there is no point, or many points lie
            outside.
    """
    return _read_gaze(path, num_frames, fps, size).points


@dataclass(frozen=True, slots=True)
class _Gaze:
    """What a gaze file says: the viewers' names, their points, and how many lie outside in each frame."""

    viewers: tuple[str, ...]
    points: np.ndarray
    outside: np.ndarray


@lru_cache(maxsize=8)
def _read_gaze(path: Path, num_frames: int, clock: float | tuple[float, ...], size: tuple[int, int]) -> _Gaze:
    """Read a gaze file as `read_gaze_csv` does.

    `clock` is the frames per second, or the start of each frame in seconds; the last lasts as long as the one before.
    """
    when, who_saw, values = _read_samples(path)
    names = {name: k for k, name in enumerate(sorted(set(who_saw)))}
    who = np.array([names[name] for name in who_saw], dtype=np.int64)
    if when == "time":
        _check_clock(path, values[:, 0], clock[-1] if isinstance(clock, tuple) else num_frames / clock)
    frame = _frames(values[:, 0], clock) if when == "time" else values[:, 0]
    values[:, 1:] = without_lost(values[:, 1:])
    seen = np.isfinite(values).all(axis=1)
    if not seen.any():
        raise InputError(f"{path}: holds no sample with a position; record it again or remove the file")
    if not seen.all():
        log.info("%s: %d of %d samples have no position and are left out", path, (~seen).sum(), len(values))
    if min(size) > 2 and are_shares(values[seen, 1:]):
        raise InputError(f"{path}: x and y lie within 0 and 1; give pixels of the video, not shares of its size")
    inside, during = is_inside(values[:, 1:], size), (frame >= 0) & (frame < num_frames)
    good = seen & inside & during
    if seen.sum() - good.sum() > OUTSIDE_LIMIT * seen.sum():
        raise InputError(
            f"{path}: {seen.sum() - good.sum()} of {seen.sum()} points lie outside of {size[1]}x{size[0]} pixels and "
            f"{num_frames} frames; x and y must be pixels of the video, frames count from 0"
        )
    if seen.sum() > good.sum():
        log.warning("%s: %d of %d points lie outside and are left out", path, seen.sum() - good.sum(), seen.sum())
    if not good.any():
        raise InputError(f"{path}: no point lies inside of the picture during its {num_frames} frames")
    gaze = np.zeros((len(names), num_frames, 2))
    count = np.zeros((len(names), num_frames, 1))
    at = (who[good], frame[good].astype(np.int64))
    np.add.at(gaze, at, values[good, 1:])
    np.add.at(count, at, 1)
    with np.errstate(invalid="ignore"):
        points = (gaze / count).astype(np.float32)
    points.setflags(write=False)  # shared between calls
    outside = np.bincount(frame[seen & during & ~inside].astype(np.int64), minlength=num_frames)
    return _Gaze(tuple(names), points, outside)


def _frames(time: np.ndarray, clock: float | tuple[float, ...]) -> np.ndarray:
    """The frame that is shown at each time, float64 (n,); before the first and after the last ones that are none."""
    if not isinstance(clock, tuple):
        return np.floor(time * clock)
    end = 2 * clock[-1] - clock[-2]
    return np.searchsorted([*clock, end], time, side="right") - 1.0


def _check_clock(path: Path, time: np.ndarray, duration: float) -> None:
    """Name times that are no seconds from the start of the video."""
    if len(time) and time.min() > EPOCH:
        raise InputError(f"{path}: times count from 1970 (epoch time); give seconds from the start of the video")
    for unit in ("ms", "us", "ns"):
        within = time / CLOCKS[unit] <= 1.5 * duration
        if len(time) and (time > 1.5 * duration).mean() > 0.5 and within.mean() > 0.5:
            raise InputError(f"{path}: times look like {CLOCK_NAMES[unit]}; give seconds from the start of the video")


def _read_samples(path: Path) -> tuple[str, list[str], np.ndarray]:
    """What a gaze file holds: ``"frame"`` or ``"time"``, each sample's observer, and (n, 3) frame or time, x, y.

    x and y are both NaN where the tracker saw no eye; everything else is finite.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            columns = [name.strip().lower() for name in next(reader, [])]
            when = "frame" if "frame" in columns else "time"
            wanted = ("observer", when, "x", "y")
            if missing := [name for name in wanted if name not in columns]:
                raise InputError(f"{path}: has no column {', '.join(missing)}; name them observer,frame,x,y")
            if twice := [name for name in wanted if columns.count(name) > 1]:
                raise InputError(f"{path}: has two columns called {twice[0]}; keep one")
            at = [columns.index(name) for name in wanted]
            observers, values = [], []
            for row in reader:
                if not row:
                    continue
                if len(row) != len(columns):
                    raise InputError(
                        f"{path}: line {reader.line_num} has {len(row)} cells, the first has {len(columns)}; "
                        "write numbers with a point, every cell"
                    )
                observer, *numbers = (row[column].strip() for column in at)
                observers.append(observer)
                if "" in numbers[1:]:  # no position
                    numbers[1:] = ["nan", "nan"]
                values.append([float(number) for number in numbers])
                _check_sample(path, reader.line_num, observer, when, *values[-1])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error}); save it as CSV in UTF-8") from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: line {reader.line_num}: a {when}, x or y is not a number ({error})") from error
    return when, observers, np.array(values, dtype=np.float64).reshape(-1, 3)


def _check_sample(path: Path, line: int, observer: str, when: str, time: float, x: float, y: float) -> None:
    where = f"{path}: line {line}"
    if not observer:
        raise InputError(f"{where}: names no observer; give each a name or number")
    if not math.isfinite(time) or (when == "frame" and time != int(time)):
        raise InputError(f"{where}: {when} is {time}; give a {'whole number' if when == 'frame' else 'number'}")
    if math.isinf(x) or math.isinf(y) or math.isnan(x) != math.isnan(y):
        raise InputError(f"{where}: position is {x}, {y}; give two numbers, or NaN twice where no eye was seen")
