"""Fixations of other frames, the negatives of the shuffled AUC, drawn without any state."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from saliency.data.video import AnnotatedVideo
from saliency.evaluation.protocols import Shuffled


class FixationPool:
    """The fixations of all evaluated frames, each read once, on first use, and kept as coordinates.

    What a frame is given depends on (seed, video, frame) and the list of evaluated frames alone, so that a
    resumed or sharded evaluation gives the same numbers. Safe to use from several threads.

    Args:
        videos: all videos of the evaluation, also those that another process scores.
        frames: video id -> its evaluated frames.
        shuffled: the rule.
        seed: of the draws.
    """

    def __init__(
        self, videos: Sequence[AnnotatedVideo], frames: Mapping[str, Sequence[int]], shuffled: Shuffled, seed: int
    ) -> None:
        self.shuffled = shuffled
        self.seed = seed
        self._videos = sorted(videos, key=lambda video: video.id)
        self._position = {video.id: i for i, video in enumerate(self._videos)}
        self._frames = [list(frames[video.id]) for video in self._videos]
        self._start = np.cumsum([0, *(len(f) for f in self._frames)])
        self._points: dict[tuple[int, int], np.ndarray] = {}
        self._unions: dict[int, np.ndarray] = {}

    def others(self, video: AnnotatedVideo, frame: int, fixations: np.ndarray) -> np.ndarray:
        """The negatives of one frame.

        Args:
            video: the frame's video.
            frame: 0-based frame.
            fixations: (H, W) bool, the frame's own fixations.

        Returns:
            (M, 2) int64 (row, column) within (H, W); unique pixels, except under the scheme ``"all"``.
        """
        current = self._position[video.id]
        size = (fixations.shape[0], fixations.shape[1])
        if self.shuffled.scheme == "video":
            union = self._union(current, size)
            own = fixations.take(union[:, 0] * size[1] + union[:, 1])
            return union[~own] if own.any() else union
        if self.shuffled.scheme == "all":
            chosen = [(v, f) for v, frames in enumerate(self._frames) for f in frames if (v, f) != (current, frame)]
        else:
            chosen = self._draw(current, frame)
        points = [_rescale(self.points(v, f), self._size(v), size) for v, f in chosen]
        joined = np.concatenate(points) if points else np.zeros((0, 2), np.int64)
        if self.shuffled.scheme == "all":
            return joined
        flat = np.unique(joined[:, 0] * size[1] + joined[:, 1])
        return np.stack(np.divmod(flat, size[1]), axis=1)

    def fixations(self, video: AnnotatedVideo, frame: int) -> np.ndarray:
        """Return the fixation map of one frame, bool (H, W).

        Raises:
            InputError: it is missing, unreadable or of the wrong size.
        """
        position = self._position[video.id]
        if (position, frame) not in self._points:
            return self._read(position, frame)
        fixations = np.zeros(video.size, bool)
        rows, columns = self.points(position, frame).T
        fixations[rows, columns] = True
        return fixations

    def points(self, video: int, frame: int) -> np.ndarray:
        """(M, 2) int64 (row, column) of one frame's fixations; `video` is a position in the order of ids."""
        if (video, frame) not in self._points:
            self._read(video, frame)
        return self._points[video, frame].astype(np.int64)

    def _read(self, video: int, frame: int) -> np.ndarray:
        fixations = self._videos[video].fixations(frame)
        self._videos[video].check_map("fixation", frame, fixations)
        self._points[video, frame] = pixels(fixations).astype(np.int16)
        return fixations

    def fill(self, threads: int | None = None) -> None:
        """Read all points now, before the pool is sent to other processes."""
        wanted = [(v, f) for v, frames in enumerate(self._frames) for f in frames]
        with ThreadPoolExecutor(threads or min(8, os.cpu_count() or 1)) as executor:
            for _ in executor.map(lambda which: self.points(*which), wanted):
                pass

    def _draw(self, current: int, frame: int) -> list[tuple[int, int]]:
        """Draw the other frames of a frame as (video position, frame)."""
        name = f"{self.seed}\0{self._videos[current].id}\0{frame}".encode()
        rng = np.random.default_rng(int.from_bytes(hashlib.sha256(name).digest()[:8], "little"))
        if self.shuffled.one_per_video:
            others = [v for v in range(len(self._videos)) if v != current or self.shuffled.exclude == "none"]
            chosen = rng.permutation(others)[: self.shuffled.frames]
            return [(int(v), self._frames[v][rng.integers(len(self._frames[v]))]) for v in chosen if self._frames[v]]
        start, stop = int(self._start[current]), int(self._start[current + 1])
        total = int(self._start[-1])
        if self.shuffled.exclude == "video":
            eligible = total - (stop - start)
        else:
            eligible, start, stop = total, total, total
        drawn = rng.choice(eligible, size=min(self.shuffled.frames, eligible), replace=False) if eligible else []
        chosen = []
        for position in drawn:
            position = int(position) + (stop - start if position >= start else 0)  # step over the current video
            v = int(np.searchsorted(self._start, position, side="right")) - 1
            chosen.append((v, self._frames[v][position - int(self._start[v])]))
        return chosen

    def _union(self, video: int, size: tuple[int, int]) -> np.ndarray:
        """(M, 2) int64 (row, column), every pixel fixated in any evaluated frame of the video, once."""
        found = self._unions.get(video)
        if found is None:
            fixated = np.zeros(size, bool)
            for frame in self._frames[video]:
                rows, columns = _rescale(self.points(video, frame), self._size(video), size).T
                fixated[rows, columns] = True
            found = pixels(fixated)
            self._unions = {video: found}  # videos come one after the other: the last is enough
        return found

    def _size(self, video: int) -> tuple[int, int]:
        return self._videos[video].size


def pixels(mask: np.ndarray) -> np.ndarray:
    """Return the True pixels of (H, W), (M, 2) int64 (row, column): `numpy.argwhere`, several times faster."""
    return np.stack(np.divmod(np.flatnonzero(mask), mask.shape[1]), axis=1)


def _rescale(points: np.ndarray, size: tuple[int, int], new: tuple[int, int]) -> np.ndarray:
    """Move (M, 2) pixel positions from one image size to another: the pixel's centre decides."""
    if tuple(size) == tuple(new):
        return points
    scaled = (2 * points + 1) * np.array(new) // (2 * np.array(size))
    return np.minimum(scaled, np.array(new) - 1)
