"""Photographs and where people looked at them: OSIE, EyeCrowd and Scene in one neutral form.

``saliency data get osie``, ``crowd`` and ``scene`` bring the sets into ``real_gaze/`` below the data folder. Any
folder of the same form does for your own photographs::

    images/1001.jpg ..       the photographs, of any sizes
    images.csv               image,width,height (further columns are left alone)
    fixations.npz            images: names; per fixation: image (index into images), viewer, order, x, y, duration_ms
    split.csv                image,split: train or val. Images that it does not name are the test part

x, y are pixels of the image with pixel centres at whole numbers, 0-based: the picture spans -0.5 .. width - 0.5.
In the house's gaze points (`saliency.gaze.recording`) a pixel's centre lies at a half; `StillVideo` adds it.

A photograph is a video of `frames` equal frames, all of them looked at alike: the fixations of the whole viewing.

osie: Xu et al., "Predicting human gaze beyond pixels", Journal of Vision 14(1):28, 2014.
crowd: Jiang, Xu, Zhao, "Saliency in Crowd", ECCV 2014. scene: Liang et al., IEEE SMC 2015.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from saliency.data.still_frames import StillFrames
from saliency.data.targets import Sampling, Targets
from saliency.data.video import AnnotatedVideo
from saliency.errors import InputError, nearest
from saliency.gaze.recording import density_map, fixation_map
from saliency.io.data_folder import find_data
from saliency.io.frame_source import FrameSource
from saliency.types import InputSpec

Name = Literal["osie", "crowd", "scene"]

SIGMAS: dict[str, float] = {"osie": 24 / 800, "crowd": 26 / 1024, "scene": 24 / 800}
"""Standard deviation of the density maps in image widths: about 1 degree of visual angle in each laboratory."""


@dataclass(frozen=True, slots=True)
class Fixations:
    """The fixations on one photograph.

    Attributes:
        points: (k, 2) float32 x, y in pixels; a pixel's centre lies at a half (the house's convention).
        viewers: (k,) int64, who.
        order: (k,) int64, 0-based, within viewer and photograph.
        duration: (k,) float32, milliseconds.
    """

    points: NDArray[np.float32]
    viewers: NDArray[np.int64]
    order: NDArray[np.int64]
    duration: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class StillVideo(AnnotatedVideo):
    """A photograph as a video of equal frames.

    Attributes:
        root: folder of the set, whose fixations are read once and shared.
        sigma: standard deviation of the density maps in pixels.
    """

    root: Path
    sigma: float

    def open(self) -> FrameSource:
        """Open the photograph; every frame is the same.

        Raises:
            InputError: it cannot be read, or has another size than its fixations.
        """
        source = StillFrames(self.path, self.num_frames)
        self.check(source)
        return source

    def gaze(self) -> Fixations:
        """Return all fixations on the photograph."""
        return read_fixations(self.root)[self.path.name]

    def density(self, i: int) -> np.ndarray:
        """Return the density map, the same for every frame, float32 (H, W)."""
        self._inside(i)
        return density_map(self.gaze().points, self.size, self.sigma)

    def fixations(self, i: int) -> np.ndarray:
        """Return the fixation map, the same for every frame, bool (H, W)."""
        self._inside(i)
        return fixation_map(self.gaze().points, self.size)

    def _inside(self, i: int) -> None:
        if not 0 <= i < self.num_frames:
            raise IndexError(f"frame {i} is outside photograph {self.id} of {self.num_frames} frames")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stills:
    """A set of photographs with fixations.

    Attributes:
        name: ``"osie"``, ``"crowd"``, ``"scene"``, or a name for your own.
        root: folder of the set; default: ``real_gaze/NAME`` below the folder named by SALIENCY_DATA.
        sigma: standard deviation of density maps in image widths; default: the set's own, else OSIE's.
        frames: length of the videos of equal frames.
        sampling: the target rules of training and validation.
    """

    name: str = "osie"
    root: Path | None = None
    sigma: float | None = None
    frames: int = 1
    sampling: Sampling = field(default_factory=lambda: Sampling(val=Targets(short="last", lead=10**6)))

    @property
    def folder(self) -> Path:
        """The folder of the set.

        Raises:
            MissingData: there is no `root` and the set was not downloaded.
        """
        return self.root or find_data(self.name, f"real_gaze/{self.name}", "fixations.npz")

    def videos(self, split: str) -> list[AnnotatedVideo]:
        """Return the photographs of a split in the order of their names.

        Args:
            split: ``"train"``, ``"val"`` or ``"test"``: those that ``split.csv`` does not name.

        Raises:
            InputError: a file is missing or damaged, or the split is unknown or empty.
        """
        if split not in ("train", "val", "test"):
            known = ("train", "val", "test")
            raise InputError(f"{self.name} has no split '{split}'; it has {', '.join(known)}{nearest(split, known)}")
        root = self.folder
        sizes, splits, gaze = read_sizes(root), read_splits(root), read_fixations(root)
        names = [name for name in sizes if splits.get(name, "test") == split]
        if not names:
            raise InputError(f"{root}: holds no photograph of the split '{split}'")
        if lost := next((name for name in names if name not in gaze), None):
            raise InputError(f"{root / 'fixations.npz'}: has no fixation on {lost}; complete the data set")
        sigma = self.sigma if self.sigma is not None else SIGMAS.get(self.name, SIGMAS["osie"])
        return [
            StillVideo(
                id=Path(name).stem,
                path=root / "images" / name,
                num_frames=self.frames,
                size=sizes[name],
                root=root,
                sigma=sigma * sizes[name][1],
            )
            for name in names
        ]

    def view(self, spec: InputSpec) -> InputSpec:
        """Return the clip a model gets: its own."""
        return spec


def read_sizes(root: Path) -> dict[str, tuple[int, int]]:
    """Return the (H, W) of every photograph of a set, by name.

    Raises:
        InputError: ``images.csv`` is missing or does not say it.
    """
    rows = _read_csv(root / "images.csv", ("image", "width", "height"))
    try:
        return {name: (int(height), int(width)) for name, width, height in rows}
    except ValueError as error:
        raise InputError(f"{root / 'images.csv'}: a width or height is no whole number ({error})") from error


def read_splits(root: Path) -> dict[str, str]:
    """Return the split of every photograph that ``split.csv`` names.

    Raises:
        InputError: the file is missing or names a split twice or by an unknown word.
    """
    rows = _read_csv(root / "split.csv", ("image", "split"))
    splits = dict(rows)
    if len(splits) < len(rows):
        raise InputError(f"{root / 'split.csv'}: names a photograph twice; each belongs to one split")
    if wrong := next((s for s in splits.values() if s not in ("train", "val", "test")), None):
        raise InputError(f"{root / 'split.csv'}: '{wrong}' is no split; use train, val or test")
    return splits


@lru_cache(maxsize=8)
def read_fixations(root: Path) -> dict[str, Fixations]:
    """Return the fixations on every photograph of a set, by name; read once.

    Raises:
        InputError: ``fixations.npz`` is missing, damaged or lacks an array.
    """
    path = root / "fixations.npz"
    try:
        with np.load(path, allow_pickle=False) as archive:
            names, image = archive["images"], archive["image"].astype(np.int64)
            points = np.stack((archive["x"], archive["y"]), axis=1).astype(np.float32) + np.float32(0.5)
            columns = [archive[key] for key in ("viewer", "order", "duration_ms")]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise InputError(f"{path}: is missing, damaged or lacks an array ({error}); fetch it again") from error
    lengths = {len(image), len(points), *(len(column) for column in columns)}
    if len(lengths) > 1 or (len(image) and not 0 <= image.min() <= image.max() < len(names)):
        raise InputError(f"{path}: its arrays do not fit each other; fetch it again")
    inside = np.isfinite(points).all(axis=1)
    order = np.argsort(image[inside], kind="stable")
    image, points = image[inside][order], points[inside][order]
    who, nth, duration = (column[inside][order] for column in columns)
    edges = np.searchsorted(image, np.arange(len(names) + 1))
    return {
        str(name): Fixations(points[a:b], who[a:b].astype(np.int64), nth[a:b].astype(np.int64), duration[a:b])
        for name, a, b in zip(names, edges[:-1], edges[1:], strict=True)
        if b > a
    }


def _read_csv(path: Path, columns: Sequence[str]) -> list[tuple[str, ...]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if missing := [name for name in columns if name not in (reader.fieldnames or [])]:
                raise InputError(f"{path}: has no column {', '.join(missing)}")
            return [tuple(row[name] for name in columns) for row in reader]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); complete the data set") from error
