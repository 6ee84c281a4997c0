"""One image as the frames of a video."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from saliency.io.frame_source import FrameSource
from saliency.io.images import FOLDER_FPS, read_image


class StillFrames(FrameSource):
    """A video whose frames all are the same image."""

    def __init__(self, path: Path, num_frames: int, fps: float = FOLDER_FPS) -> None:
        self.path, self.fps = path, fps
        self._count = num_frames
        self._image = read_image(path)
        self.size = self._image.shape[:2]

    def __len__(self) -> int:
        return self._count

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Repeat the image; see `FrameSource.read`."""
        return np.repeat(self._image[None], len(self._checked(indices)), axis=0)  # (n, H, W, 3)

    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield the image again and again; see `FrameSource.iterate`."""
        for _ in range(*self._range(start, stop)):
            yield self._image.copy()

    def close(self) -> None:
        """Nothing is kept open."""
