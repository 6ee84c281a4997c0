"""Write one picture where a video would be written."""

from pathlib import Path
from typing import Self

import numpy as np
from PIL import Image

from saliency.errors import InputError
from saliency.io.atomic import replacing


class PictureWriter:
    """Takes one frame and writes it as PNG, whole or not at all. Use it as a context manager.

    Attributes:
        path: the file to write.
        partial: the same: a picture is written in one step.
        frames: number of frames written so far, 0 or 1.
    """

    def __init__(self, path: str | Path) -> None:
        """Start a picture.

        Args:
            path: ends in ``.png``; its folder must exist.

        Raises:
            InputError: another ending.
        """
        self.path = self.partial = Path(path)
        self.frames = 0
        if self.path.suffix.lower() != ".png":
            raise InputError(f"{path}: a picture is written as .png")

    def write(self, frame: np.ndarray, time: float | None = None) -> None:
        """Write the frame, uint8 (H, W, 3) RGB.

        Args:
            frame: the picture.
            time: not used; a picture has none.

        Raises:
            InputError: it cannot be written.
            ValueError: there is one already.
        """
        if self.frames:
            raise ValueError(f"{self.path}: a picture holds one frame")
        try:
            with replacing(self.path) as temporary:
                Image.fromarray(frame).save(temporary, format="PNG", compress_level=3)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror or error})") from error
        self.frames = 1

    def close(self, complete: bool = True) -> None:
        """Nothing is left to do."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left to do."""
