"""Annotated videos whose maps are a video too, and whose fixations are one JSON file: AViMoS, NTIRE 2026, CrowdSAL.

Maps are read from the video as they are needed; nothing is unpacked.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from saliency.data.video import AnnotatedVideo
from saliency.errors import InputError
from saliency.io.frame_source import FrameSource
from saliency.io.frames import open_frames

TOGETHER = 8
"""Neighbouring maps that are decoded at once."""

SHAPES_ALIKE = 0.01
"""By how much the shapes (W / H) of a video and of its maps may differ, as a share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapVideo(AnnotatedVideo):
    """A video with a video of its density maps and a JSON file of its fixations.

    `size` is that of the maps, in whose pixels the fixations are; the frames may have another size of the same shape.

    Attributes:
        maps: the video of the maps, one frame for each of the video.
        points: JSON file, for each frame a list of ``[row, column]``, repeats included.
    """

    maps: Path
    points: Path

    def density(self, i: int) -> np.ndarray:
        """Return the density map of frame `i`, float32 (H, W) in [0, 1]: the mean over the channels of its picture.

        Eight bits of a map are read, whatever the video stores.
        """
        self._check_frame(i)
        first = i - i % TOGETHER
        return _maps(self.maps, _state(self.maps), first, self.num_frames)[i - first].astype(np.float32) / 255

    def fixations(self, i: int) -> np.ndarray:
        """Return the fixation map of frame `i`, bool (H, W)."""
        fixated = np.zeros(self.size, dtype=bool)
        fixated[tuple(self.repeated_points(i).T)] = True
        return fixated

    def repeated_points(self, i: int) -> np.ndarray:
        """Return the fixations of frame `i`, int64 (M, 2) row, column, repeats included."""
        self._check_frame(i)
        frames = _points(self.points, _state(self.points))
        if len(frames) != self.num_frames:
            raise InputError(
                f"{self.points}: has fixations of {len(frames)} frames, video {self.id} has {self.num_frames}; "
                "get the annotation again"
            )
        found = frames[i]
        if len(found) and (found.min() < 0 or (found >= self.size).any()):
            raise InputError(
                f"{self.points}: frame {i} has a fixation outside the map of {self.size[0]}x{self.size[1]} (HxW), "
                f"{found[((found < 0) | (found >= self.size)).any(axis=1)][0].tolist()}; "
                "expected [row, column] of each"
            )
        return found

    def check(self, source: FrameSource) -> None:
        """Refuse frames that cannot be those of the maps: another number or another shape."""
        if len(source) != self.num_frames:
            raise InputError(
                f"{self.path}: {len(source)} frames can be decoded but video {self.id} has {self.num_frames} maps; "
                "replace the file with a complete copy"
            )
        shape = source.size[1] / source.size[0] * self.size[0] / self.size[1]
        if abs(shape - 1) > SHAPES_ALIKE:
            raise InputError(
                f"{self.path}: frames are {source.size[0]}x{source.size[1]} (HxW) but the maps of video {self.id} "
                f"{self.size[0]}x{self.size[1]}, another shape; get both again"
            )

    def _check_frame(self, i: int) -> None:
        self.check_frame(i)
        if not self.annotated:
            raise InputError(f"video {self.id} has no ground truth; take a split that is annotated")


def map_video(id: str, path: Path, maps: Path, points: Path) -> MapVideo:
    """Describe a video; without a file of maps it is taken to have no ground truth. No frame is decoded.

    Raises:
        InputError: the video is missing, or one of maps and fixations is there without the other.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing; complete the data set")
    annotated = maps.is_file()
    if annotated != points.is_file():
        lost, there = (points, maps) if annotated else (maps, points)
        raise InputError(f"{lost} is missing beside {there}; complete the data set")
    with open_frames(maps if annotated else path) as source:
        frames, size = len(source), source.size
    return MapVideo(id=id, path=path, num_frames=frames, size=size, annotated=annotated, maps=maps, points=points)


def _state(path: Path) -> tuple[int, int]:
    """What changes when a file is replaced."""
    try:
        found = path.stat()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); complete the data set") from error
    return found.st_size, found.st_mtime_ns


@lru_cache(maxsize=4)
def _maps(path: Path, state: tuple[int, int], first: int, count: int) -> np.ndarray:
    """Decode neighbouring maps, uint8 (n, H, W); `state` tells when the file was replaced."""
    del state
    with open_frames(path, expected=count) as source:
        frames = source.read(range(first, min(first + TOGETHER, count)))  # (n, H, W, 3)
    if (frames[..., 0] == frames[..., 1]).all() and (frames[..., 0] == frames[..., 2]).all():
        return frames[..., 0]
    return np.rint(frames.mean(axis=-1)).astype(np.uint8)


@lru_cache(maxsize=8)
def _points(path: Path, state: tuple[int, int]) -> Sequence[np.ndarray]:
    """Read the fixations of all frames, each int64 (M, 2)."""
    del state
    try:
        frames = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not JSON that can be read ({error}); get the annotation again") from error
    if not isinstance(frames, list):
        raise InputError(f"{path}: holds {type(frames).__name__}, expected a list with a list of fixations per frame")
    found = []
    for i, frame in enumerate(frames):
        points = _pairs(frame)
        if points is None:
            raise InputError(f"{path}: frame {i} is no list of whole [row, column]; get the annotation again")
        found.append(points)
    return found


def _pairs(frame: object) -> np.ndarray | None:
    """The fixations of a frame as int64 (M, 2); None if they are not pairs of whole numbers."""
    if frame == []:
        return np.zeros((0, 2), dtype=np.int64)
    try:
        points = np.array(frame, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    if points.ndim != 2 or points.shape[-1] != 2 or not (points == np.rint(points)).all():
        return None
    return points.astype(np.int64)
