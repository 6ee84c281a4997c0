"""Tiny videos and annotated videos, made on the fly."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from saliency.datasets.video import AnnotatedVideo
from saliency.errors import InputError

HEIGHT, WIDTH = 48, 64


def level(i: int) -> int:
    """Grey level of frame i: tells the frames of a video of up to 60 frames apart after coding."""
    return 8 + 4 * i


def grey_frame(i: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.full((height, width, 3), level(i), dtype=np.uint8)


def write_video(path: Path, num_frames: int, height: int = HEIGHT, width: int = WIDTH) -> Path:
    """Encode frames that are uniformly grey, mpeg4 in AVI as in DHF1K."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30, options={"qmin": "1", "qmax": "2"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size, stream.bit_rate = 5, 10_000_000  # grey levels stay within 1
        for i in range(num_frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey_frame(i, height, width), "rgb24")))
        container.mux(stream.encode())
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class DotVideo(AnnotatedVideo):
    """One fixation a frame, at x = i, y = i // 2; `broken` frames cannot be read, `blank` ones are empty."""

    broken: frozenset[int] = frozenset()
    blank: frozenset[int] = frozenset()

    def fixations(self, i: int) -> np.ndarray:
        fixated = np.zeros(self.size, dtype=bool)
        if i not in self.blank:
            fixated[i // 2, i] = True
        return fixated

    def density(self, i: int) -> np.ndarray:
        if i in self.broken:
            raise InputError(f"map {i} of {self.id} cannot be read; replace it")
        density = np.zeros(self.size, dtype=np.float32)
        if i not in self.blank:
            density[max(0, i // 2 - 1) : i // 2 + 2, max(0, i - 1) : i + 2] = 1
        return density


@pytest.fixture(name="level")
def level_fixture() -> Callable[[int], int]:
    return level


@pytest.fixture
def make_video() -> Callable[..., Path]:
    return write_video


@pytest.fixture
def dot_videos(tmp_path: Path) -> Callable[..., list[AnnotatedVideo]]:
    def make(*lengths: int, **kwargs) -> list[AnnotatedVideo]:
        return [
            DotVideo(
                id=f"{k:03d}",
                path=write_video(tmp_path / f"{k:03d}.AVI", n),
                num_frames=n,
                size=(HEIGHT, WIDTH),
                **kwargs,
            )
            for k, n in enumerate(lengths)
        ]

    return make


def write_maps(folder: Path, stems: list[str], height: int = HEIGHT, width: int = WIDTH, suffix: str = ".png") -> None:
    """Write maps whose frame i has its only fixation at x = i, y = i // 2, as `DotVideo`."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, stem in enumerate(stems):
        values = np.zeros((height, width), dtype=np.uint8)
        values[i // 2, i] = 255
        if suffix == ".png":
            Image.fromarray(values).save(folder / f"{stem}.png")
        else:
            savemat(folder / f"{stem}.mat", {"I": values // 255})


def write_frames(folder: Path, stems: list[str], height: int = HEIGHT, width: int = WIDTH) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i, stem in enumerate(stems):
        Image.fromarray(grey_frame(i, height, width)).save(folder / f"{stem}.png")


@pytest.fixture
def dhf1k_tree(tmp_path: Path) -> Callable[..., Path]:
    """Make a tree in DHF1K's layout: video number -> number of frames."""

    def make(
        lengths: dict[int, int], *, videos: bool = True, images: bool = False, hidden: tuple[int, ...] = ()
    ) -> Path:
        root = tmp_path / "DHF1K"
        for number, n in lengths.items():
            stems = [f"{i:04d}" for i in range(1, n + 1)]
            annotation = root / "annotation" / f"{number:04d}"
            if videos:
                write_video(root / "video" / f"{number:03d}.AVI", n)
            if images:
                write_frames(annotation / "images", stems)
            if number not in hidden:
                write_maps(annotation / "maps", stems)
                write_maps(annotation / "fixation", stems)
                write_maps(annotation / "fixation" / "maps", stems, suffix=".mat")
        return root

    return make


@pytest.fixture
def shot_tree(tmp_path: Path) -> Callable[..., Path]:
    """Make a tree in the layout of Hollywood-2 or UCF Sports.

    ``part/folder`` -> (prefix of the files, digits, first number, frames, (H, W)).
    """

    def make(shots: dict[str, tuple[str, int, int, int, tuple[int, int]]]) -> Path:
        root = tmp_path / "shots"
        for folder, (prefix, digits, first, n, size) in shots.items():
            stems = [f"{prefix}{i:0{digits}d}" for i in range(first, first + n)]
            write_frames(root / folder / "images", stems, *size)
            write_maps(root / folder / "maps", stems, *size)
            write_maps(root / folder / "fixation", stems, *size)
            write_maps(root / folder / "fixation" / "maps", stems, *size, suffix=".mat")
        return root

    return make


@pytest.fixture(name="write_maps")
def write_maps_fixture() -> Callable[..., None]:
    return write_maps


@pytest.fixture(name="write_frames")
def write_frames_fixture() -> Callable[..., None]:
    return write_frames
