"""Small annotated videos that exist in memory only, for the tests of the evaluation."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saliency.datasets.folder import Folder
from saliency.datasets.video import AnnotatedVideo

SIZE = (36, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class GazeVideo(AnnotatedVideo):
    """Observers whose gaze drifts; frames in `blank` have no gaze at all."""

    gaze: np.ndarray = field(repr=False)

    def fixations(self, i: int) -> np.ndarray:
        fixated = np.zeros(self.size, bool)
        for x, y in self.gaze[:, i]:
            if 0 <= x < self.size[1] and 0 <= y < self.size[0]:  # False for NaN
                fixated[int(y), int(x)] = True
        return fixated

    def density(self, i: int) -> np.ndarray:
        rows, columns = np.indices(self.size)
        density = np.zeros(self.size, np.float32)
        for x, y in self.gaze[:, i]:
            if not np.isnan(x):
                density += np.exp(-((columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2) / 8)
        return density

    def observers(self) -> np.ndarray:
        return self.gaze


@pytest.fixture
def gaze_video(tmp_path: Path) -> Callable[..., GazeVideo]:
    def make(
        name: str = "001",
        frames: int = 6,
        size: tuple[int, int] = SIZE,
        observers: int = 5,
        blank: tuple[int, ...] = (),
        pictures: bool = False,
    ) -> GazeVideo:
        rng = np.random.default_rng(int(name))
        centre = rng.uniform(0.3, 0.7, 2) * size[::-1]
        gaze = centre + rng.normal(0, 4, (observers, frames, 2))
        gaze = np.clip(gaze, 0, np.array(size[::-1]) - 0.01).astype(np.float32)
        gaze[:, list(blank)] = np.nan
        path = tmp_path / "video" / name
        if pictures:
            path.mkdir(parents=True)
            for i in range(frames):
                frame = rng.integers(0, 255, (*size, 3), dtype=np.uint8)
                Image.fromarray(frame).save(path / f"{i + 1:04d}.png")
        return GazeVideo(id=name, path=path, num_frames=frames, size=size, gaze=gaze)

    return make


@pytest.fixture
def mini_like(tmp_path: Path) -> list[AnnotatedVideo]:
    """Two videos of the folder data set, which worker processes can import (unlike the class above)."""
    root = tmp_path / "own"
    rng = np.random.default_rng(0)
    (root / "gaze").mkdir(parents=True)
    for name, frames in (("1", 3), ("2", 4)):
        (root / "videos" / name).mkdir(parents=True)
        lines = ["observer,frame,x,y"]
        for i in range(frames):
            Image.fromarray(rng.integers(0, 255, (36, 64, 3), dtype=np.uint8)).save(
                root / "videos" / name / f"{i + 1:04d}.png"
            )
            lines += [f"{k},{i},{rng.uniform(0, 64):.2f},{rng.uniform(0, 36):.2f}" for k in range(4)]
        (root / "gaze" / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return Folder(root=root).videos("test")
