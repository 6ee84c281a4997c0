"""Images, and a folder of them as the frames of a video."""

import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from saliency.errors import InputError
from saliency.io.atomic import replacing
from saliency.io.frame_source import FrameSource

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})
FOLDER_FPS = 30.0
"""A folder of images has no frame rate; DHF1K's 30 is assumed."""

MAX_PIXELS = 100_000_000
"""Larger images are refused: they are more likely an attack or a mistake than a frame."""


class ImageFolder(FrameSource):
    """A folder of equally large images in numeric order of their names, or one image."""

    def __init__(self, path: Path, fps: float = FOLDER_FPS) -> None:
        self.path = path
        self.fps = fps
        self.still = not path.is_dir()
        self._files = [path] if self.still else list_images(path)
        if not self._files:
            files = sorted(file.name for file in path.iterdir() if file.is_file() and file.name[0] != ".")
            remedy = f"one of its files, such as {path / files[0]}" if files else "a video or a folder of images"
            raise InputError(f"{path}: has no images ({' '.join(sorted(IMAGE_SUFFIXES))}); name {remedy}")
        self.size = read_image(self._files[0]).shape[:2]

    def __len__(self) -> int:
        return len(self._files)

    @property
    def files(self) -> Sequence[Path]:
        """The image of each frame."""
        return tuple(self._files)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Load images, each once; see `FrameSource.read`."""
        wanted = self._checked(indices)
        out = np.empty((len(wanted), *self.size, 3), dtype=np.uint8)  # (n, H, W, 3)
        first_row: dict[int, int] = {}
        for row, i in enumerate(wanted):
            out[row] = out[first_row[i]] if i in first_row else self._image(i)
            first_row.setdefault(i, row)
        return out

    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield images in order; see `FrameSource.iterate`."""
        for i in range(*self._range(start, stop)):
            yield self._image(i)

    def close(self) -> None:
        """Nothing is kept open."""

    def _image(self, i: int) -> np.ndarray:
        image = read_image(self._files[i])
        if image.shape[:2] != self.size:
            found, wanted = image.shape[:2], self.size
            raise InputError(
                f"{self._files[i]}: is {found[1]}x{found[0]} but the first image of the folder is "
                f"{wanted[1]}x{wanted[0]}; all frames of a video must be equally large"
            )
        return image


def list_images(folder: Path) -> list[Path]:
    """Return the images of a folder (not of its sub-folders), numbers in names compared as numbers."""
    files = [f for f in folder.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES and f.is_file()]
    return sorted((f for f in files if not f.name.startswith(".")), key=lambda f: numeric_order(f.name))


def numeric_order(name: str) -> list[tuple[int, int, str]]:
    """Sorting key under which ``frame_2`` stands before ``frame_10``."""
    parts = re.split(r"(\d+)", name)
    return [(1, int(p), p) if p.isdecimal() else (0, 0, p) for p in parts]


def _quietly_opened(path: Path) -> Image.Image:
    with warnings.catch_warnings():  # Pillow warns of large images; `read_image` refuses them
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(path)


def write_image(path: Path, picture: np.ndarray) -> None:
    """Write a picture, uint8 (H, W) or RGB (H, W, 3), whole or not at all.

    Raises:
        OSError: it cannot be written; an older file of that name stays as it was.
    """
    with replacing(path) as temporary:
        Image.fromarray(picture).save(temporary)


def read_image(path: Path) -> np.ndarray:
    """Read an image as upright RGB, uint8 (H, W, 3); 16-bit images keep their upper 8 bits.

    Raises:
        InputError: the file is no image, is damaged or has more than `MAX_PIXELS` pixels.
    """
    try:
        with _quietly_opened(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise InputError(f"{path}: is {image.width}x{image.height} pixels; scale it down first")
            if image.mode.startswith("I;16") or image.mode == "I":
                grey = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
                return np.repeat(grey[:, :, None], 3, axis=2)
            image = ImageOps.exif_transpose(image)
            return np.array(image.convert("RGB"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such image") from error
    except InputError:
        raise
    except Exception as error:  # whatever a decoder of damaged files stumbles over
        raise InputError(f"{path}: is not an image that can be read ({error})") from error
