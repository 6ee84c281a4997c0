"""Pictures that are in memory already, as the frames of a video."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from saliency.errors import InputError
from saliency.io.frame_source import FrameSource

ARRAY_FPS = 30.0
"""Arrays have no frame rate; 30 is assumed unless told otherwise."""


class ArrayFrames(FrameSource):
    """Frames of a numpy array, a torch tensor, or a list of pictures; nothing is copied."""

    def __init__(self, frames: Any, *, fps: float | None = None) -> None:
        """Check the frames.

        Args:
            frames: uint8 RGB in [0, 255]: (T, H, W, 3), one picture (H, W, 3), or a list of pictures of one size;
                numpy, torch or Pillow.
            fps: frames per second, > 0; default 30.

        Raises:
            InputError: another shape or type, no frame at all, or pictures of different sizes.
        """
        if isinstance(frames, list | tuple):
            pictures = [_picture(frame, f"frame {i}") for i, frame in enumerate(frames)]
        else:
            array = _array(frames, "the array")
            if array.ndim == 3:
                array = array[None]  # (1, H, W, 3)
            if array.ndim != 4:
                raise InputError(f"the array has shape {array.shape}; give (T, H, W, 3), or one picture (H, W, 3)")
            pictures = [_picture(frame, "the array's frames") for frame in array[:1]] + list(array[1:])
        if not pictures:
            raise InputError("there is no frame in the array or list")
        sizes = {picture.shape[:2] for picture in pictures}
        if len(sizes) > 1:
            raise InputError(f"frames of different sizes {sorted(sizes)}; all frames of a video must be equally large")
        if fps is not None and not (np.isfinite(fps) and fps > 0):
            raise InputError(f"fps must be above 0, got {fps}")
        self.path, self.fps, self._pictures = Path("array"), fps or ARRAY_FPS, pictures
        self.size = pictures[0].shape[:2]

    def __len__(self) -> int:
        return len(self._pictures)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Return copies of frames; see `FrameSource.read`."""
        wanted = self._checked(indices)
        if not wanted:
            return np.empty((0, *self.size, 3), dtype=np.uint8)
        return np.stack([self._pictures[i] for i in wanted])  # (n, H, W, 3)

    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield the frames; see `FrameSource.iterate`."""
        for i in range(*self._range(start, stop)):
            yield self._pictures[i]

    def close(self) -> None:
        """The caller keeps the memory."""


def _array(values: Any, name: str) -> np.ndarray:
    """A view of what numpy, torch or Pillow gave."""
    if hasattr(values, "detach"):  # a tensor, without loading torch for those who have none
        values = values.detach().cpu().numpy()
    array = np.asarray(values)
    if array.dtype != np.uint8:
        hint = "; multiply values in [0, 1] by 255 first" if array.dtype.kind == "f" else ""
        raise InputError(f"{name} is {array.dtype}; give uint8 RGB in 0..255{hint}")
    return array


def _picture(values: Any, name: str) -> np.ndarray:
    array = _array(values, name)
    if array.ndim == 2:
        array = np.repeat(array[:, :, None], 3, axis=2)  # grey
    if array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        hint = "; put the colours last" if array.ndim == 3 and array.shape[0] == 3 else ""
        raise InputError(f"{name} has shape {array.shape}; give pictures (H, W, 3) RGB{hint}")
    return array
