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
from pathlib import Path
from typing import Literal

from saliency.data.still_video import StillVideo, read_fixations
from saliency.data.targets import Sampling, Targets
from saliency.data.video import AnnotatedVideo
from saliency.errors import InputError, nearest
from saliency.io.data_folder import find_data
from saliency.types import InputSpec

Name = Literal["osie", "crowd", "scene"]

SIGMAS: dict[str, float] = {"osie": 24 / 800, "crowd": 26 / 1024, "scene": 24 / 800}
"""Standard deviation of the density maps in image widths: about 1 degree of visual angle in each laboratory."""


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
            held = ", ".join(sorted({splits.get(name, "test") for name in sizes}))
            raise InputError(f"{root}: holds no photograph of the split '{split}', only of {held or 'none'}")
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
    splits = {image: split for image, split in rows}
    if len(splits) < len(rows):
        raise InputError(f"{root / 'split.csv'}: names a photograph twice; each belongs to one split")
    if wrong := next((s for s in splits.values() if s not in ("train", "val", "test")), None):
        raise InputError(f"{root / 'split.csv'}: '{wrong}' is no split; use train, val or test")
    return splits


def _read_csv(path: Path, columns: Sequence[str]) -> list[tuple[str, ...]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if missing := [name for name in columns if name not in (reader.fieldnames or [])]:
                raise InputError(f"{path}: has no column {', '.join(missing)}")
            return [tuple(row[name] for name in columns) for row in reader]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); complete the data set") from error
