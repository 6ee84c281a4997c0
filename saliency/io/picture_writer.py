"""Write one picture where a video would be written."""

from pathlib import Path
from typing import Self

import numpy as np
from PIL import Image

from saliency.errors import InputError


class PictureWriter:
    """Takes one frame and writes it as PNG, under a temporary name until it is complete. Use it as a context manager.

    Attributes:
        path: the file to write.
        frames: number of frames written so far, 0 or 1.
    """

    def __init__(self, path: str | Path) -> None:
        """Start a picture.

        Args:
            path: ends in ``.png``; its folder must exist.

        Raises:
            InputError: another ending.
        """
        self.path = Path(path)
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
        temporary = self.path.with_name(f".{self.path.name}.part")
        try:
            Image.fromarray(frame).save(temporary, format="PNG", compress_level=3)
            temporary.replace(self.path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise InputError(f"{self.path}: cannot be written ({error.strerror or error})") from error
        self.frames = 1

    def close(self, complete: bool = True) -> None:
        """Nothing is left to do."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left to do."""
