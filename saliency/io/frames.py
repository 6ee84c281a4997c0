"""Frames of any local video file or folder of images, exact to the frame.

``open_frames(path)`` gives a `FrameSource`. Frame ``i`` is always the ``i``-th picture that decoding the
file from its beginning produces, upright, as RGB. How each backend keeps that promise:

* ``"pyav"`` (default): an index of presentation times is read from the packets without decoding; a frame is
  reached by seeking to the keyframe before it and matching times. If the frame does not turn up, the search
  starts one keyframe earlier. Files whose packet times cannot be trusted (AVI with B-frames, transport
  streams, VP8, ...) are counted by decoding them once and read from the beginning.
* ``"decord"``, ``"torchcodec"`` (optional packages): refuse the files they are known to misread,
  see `saliency.io.optional_backends`.
* a folder of images, or one image, is read whatever the backend.

A source belongs to the process that opened it: open it inside the worker.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np

from saliency.errors import InputError

Backend = Literal["pyav", "decord", "torchcodec"]


class FrameSource(ABC):
    """The frames of one video. Use it as a context manager, in the process that opened it.

    Attributes:
        path: the file or folder.
        fps: mean frames per second, > 0.
        size: (H, W) in pixels of the upright frames.
        rotation: degrees (0, 90, 180, 270), counter-clockwise, by which stored pictures are turned to be
            upright. Already applied to everything returned.
        pixel_aspect: width of a pixel divided by its height as shown; 1 for nearly all videos.
        start: time in seconds of the first frame on the file's own clock, which its sound shares.
        corrupt_frames: frames returned so far which the decoder flagged as damaged and concealed.
    """

    path: Path
    fps: float
    size: tuple[int, int]
    rotation: int = 0
    pixel_aspect: Fraction = Fraction(1)
    start: float = 0.0
    corrupt_frames: int = 0

    @abstractmethod
    def __len__(self) -> int:
        """Number of frames."""

    @abstractmethod
    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Return the frames at `indices` (any order, repeats allowed), uint8 (n, H, W, 3) RGB.

        Raises:
            IndexError: an index is outside ``[0, len)``.
            InputError: a frame cannot be decoded.
        """

    @abstractmethod
    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield frames ``start``, ``start + 1``, ... before `stop` (None: to the end), uint8 (H, W, 3) RGB.

        Independent of `read`: both may be used in turns. Memory does not grow with the video.

        Raises:
            IndexError: `start` or `stop` is outside the video.
            InputError: a frame cannot be decoded, or the video ends before it should.
        """

    @abstractmethod
    def close(self) -> None:
        """Free the decoder; the source cannot be used afterwards. Calling it twice is harmless."""

    @property
    def announced(self) -> int | None:
        """Number of frames the file's header promises; fewer decoded frames mean damage.

        None where the header says nothing that can be compared.
        """
        return None

    @property
    def timestamps(self) -> np.ndarray | None:
        """Seconds of each frame after the first, float64 (n,); None where the file does not say."""
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _checked(self, indices: Sequence[int]) -> list[int]:
        count = len(self)
        for i in indices:
            if not 0 <= i < count:
                raise IndexError(f"{self.path}: frame {i} is outside the video of {count} frames")
        return [int(i) for i in indices]

    def _range(self, start: int, stop: int | None) -> tuple[int, int]:
        count = len(self)
        end = count if stop is None else stop
        if not 0 <= start <= end <= count:
            raise IndexError(f"{self.path}: frames {start}..{stop} are outside the video of {count} frames")
        return start, end


def open_frames(
    path: str | Path,
    backend: Backend = "pyav",
    *,
    expected: int | None = None,
    threads: int = 1,
    fps: float | None = None,
) -> FrameSource:
    """Open a local video file, an image, or a folder of images.

    Args:
        path: what to open. Addresses (``http://``), playlists and device names are refused.
        backend: decoder of video files.
        expected: number of frames the video must have, e.g. the number of its annotations.
        threads: decoder threads (``"pyav"`` only); 1 in data-loading workers, 0 for as many as FFmpeg likes.
        fps: frame rate of a folder of images (default 30); for a video file it must be None.

    Raises:
        InputError: the path does not exist, is not a video, has no video stream, needs a package that is not
            installed, cannot be read exactly by this backend, or has not the expected number of frames.
    """
    # here, because the backends are frame sources themselves, and some need packages that are not always there
    from saliency.io.images import FOLDER_FPS, IMAGE_SUFFIXES, ImageFolder

    path = _local(path)
    if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
        source: FrameSource = ImageFolder(path, fps=FOLDER_FPS if fps is None else fps)
    elif fps is not None:
        raise InputError(f"{path}: is a video file with its own frame rate; leave fps out")
    elif backend == "pyav":
        from saliency.io.pyav_frames import PyAVFrames

        source = PyAVFrames(path, threads=threads)
    elif backend == "decord":
        from saliency.io.optional_backends import DecordFrames

        source = DecordFrames(path)
    elif backend == "torchcodec":
        from saliency.io.optional_backends import TorchCodecFrames

        source = TorchCodecFrames(path)
    else:
        raise InputError(f"unknown decoder backend {backend!r}; choose pyav, decord or torchcodec")

    if expected is not None and len(source) != expected:
        found = len(source)
        source.close()
        raise InputError(f"{path}: has {found} frames where {expected} are expected; get the file again")
    return source


def _local(path: str | Path) -> Path:
    text = os.fspath(path)
    if "://" in text:
        raise InputError(f"{text}: only local files can be opened; download it first")
    path = Path(text)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if not (path.is_dir() or path.is_file()):
        raise InputError(f"{path}: is neither a regular file nor a folder")
    return path
