"""Made-up videos of any size and number: what a training run costs can be measured before its data has arrived.

Frames and ground truth mean nothing, and reading them costs nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saliency.data.targets import HOUSE, Sampling
from saliency.data.video import AnnotatedVideo
from saliency.errors import InputError
from saliency.io.frames import FrameSource
from saliency.types import InputSpec


class SyntheticFrames(FrameSource):
    """Frames of one picture."""

    def __init__(self, num_frames: int, size: tuple[int, int]) -> None:
        self.path, self.fps, self.size, self.count = Path("synthetic"), 30.0, size, num_frames
        self.picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)

    def __len__(self) -> int:
        return self.count

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Return the picture for each index."""
        return np.repeat(self.picture[None], len(self._checked(indices)), axis=0)  # (n, H, W, 3)

    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield the picture for each frame."""
        for _ in range(start, self.count if stop is None else stop):
            yield self.picture

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticVideo(AnnotatedVideo):
    """A video in which everybody always looks at the centre."""

    def open(self) -> FrameSource:
        """Return the frames."""
        return SyntheticFrames(self.num_frames, self.size)

    def density(self, i: int) -> np.ndarray:
        """Return a Gaussian at the centre, float32 (H, W)."""
        (height, width), y, x = self.size, *np.indices(self.size)
        radius = 2 * ((y - height / 2) ** 2 + (x - width / 2) ** 2) / height**2
        return np.exp(-8 * radius).astype(np.float32)

    def fixations(self, i: int) -> np.ndarray:
        """Return the centre pixel, bool (H, W)."""
        fixated = np.zeros(self.size, bool)
        fixated[self.size[0] // 2, self.size[1] // 2] = True
        return fixated


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthetic:
    """Made-up videos; the defaults are those of DHF1K.

    Attributes:
        train: number of training videos.
        val: number of validation videos.
        frames: of each video; DHF1K has 582,605 in 1,000 videos.
        size: (H, W) in pixels.
        sampling: the target rules of training and validation.
    """

    train: int = 600
    val: int = 100
    frames: int = 583
    size: tuple[int, int] = (360, 640)
    sampling: Sampling = HOUSE

    def videos(self, split: str) -> list[AnnotatedVideo]:
        """Return the videos of ``train`` or ``val``.

        Raises:
            InputError: there is no such split.
        """
        counts = {"train": self.train, "val": self.val}
        if split not in counts:
            raise InputError(f"made-up data has no split '{split}'; it has train and val")
        return [
            SyntheticVideo(id=f"{split}-{n:04d}", path=Path("synthetic"), num_frames=self.frames, size=self.size)
            for n in range(counts[split])
        ]

    def view(self, spec: InputSpec) -> InputSpec:
        """Return the model's own clip."""
        return spec
