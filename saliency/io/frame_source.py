"""What every reader of frames offers: `FrameSource`."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from saliency.io.pictures import Picture


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
        still: whether it is one picture and no video.
    """

    path: Path
    fps: float
    size: tuple[int, int]
    rotation: int = 0
    pixel_aspect: Fraction = Fraction(1)
    start: float = 0.0
    corrupt_frames: int = 0
    still: bool = False

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

    def pictures(self, start: int = 0, stop: int | None = None) -> Iterator[Picture]:
        """Yield what `iterate` does, each frame together with the planes that it was decoded to, if they are usual."""
        for frame in self.iterate(start, stop):
            yield Picture(rgb=frame)

    @abstractmethod
    def close(self) -> None:
        """Free the decoder; the source cannot be used afterwards. Calling it twice is harmless."""

    @property
    def announced(self) -> int | None:
        """Number of frames the file's header promises; fewer decoded frames mean damage.

        None where the header says nothing that can be compared.
        """
        return None

    def shortfall(self, frames: int) -> str | None:
        """Say what the file's header promises beyond what was found, in words that follow the file's name.

        Args:
            frames: number of frames that were decoded.

        Returns:
            None if nothing is missing, as far as the header tells.
        """
        if self.announced in (None, frames):
            return None
        return f"{frames} frames could be decoded but its header announces {self.announced}"

    @property
    def timestamps(self) -> np.ndarray | None:
        """Seconds of each frame after the first, float64 (n,); None where the file does not say."""
        return None

    @property
    def sound(self) -> Path | None:
        """The file that may hold the video's sound; None where there can be none."""
        return None if self.still or not self.path.is_file() else self.path

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
