"""A photograph and where people looked at it, as a video of equal frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from saliency.data.still_frames import StillFrames
from saliency.data.video import AnnotatedVideo
from saliency.errors import InputError
from saliency.gaze.recording import density_map, fixation_map
from saliency.io.frame_source import FrameSource


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
        self.check_frame(i)
        return density_map(self.gaze().points, self.size, self.sigma)

    def fixations(self, i: int) -> np.ndarray:
        """Return the fixation map, the same for every frame, bool (H, W)."""
        self.check_frame(i)
        return fixation_map(self.gaze().points, self.size)


class StillData(Protocol):
    """A set of photographs (see `datasets/stills.py`)."""

    @property
    def name(self) -> str:
        """What it is called in names of samples and messages."""
        ...

    def videos(self, split: str) -> Sequence[AnnotatedVideo]:
        """Return the videos of a split, in a fixed order; those that are no `StillVideo` are left alone."""
        ...


def stills(data: StillData, split: str) -> list[StillVideo]:
    """Return the photographs of a split."""
    return [video for video in data.videos(split) if isinstance(video, StillVideo)]


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
    except Exception as error:  # whatever a decoder of damaged files stumbles over
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
