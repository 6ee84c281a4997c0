"""Tiny videos and annotated videos, made on the fly."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest

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
