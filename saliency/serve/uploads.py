"""What is found in an uploaded file before anything is computed, and pictures of it to draw regions on."""

import io
import re
from dataclasses import dataclass
from pathlib import Path

import cv2
from PIL import Image

from saliency.errors import InputError
from saliency.io.frames import open_frames
from saliency.serve.limits import MOST_PIXELS, Limits

_SHOWN = 1280
"""Longest side in pixels of the pictures to draw on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What an uploaded file holds.

    Attributes:
        width: of the upright picture in pixels.
        height: of it.
        frames: how many there are.
        fps: mean frames per second.
        still: whether it is one picture.
    """

    width: int
    height: int
    frames: int
    fps: float
    still: bool


def safe_name(name: str) -> str:
    """Return a name for an uploaded file: its own as far as any disk takes it, without folders."""
    base = re.split(r"[/\\]", name)[-1]
    path = Path(re.sub(r"[^\w .()-]", "_", base).strip(" .") or "video")
    return f"{path.stem[:60]}{path.suffix[:10]}"


def inspect(path: Path, limits: Limits) -> Found:
    """Open an uploaded file and return what is in it.

    Raises:
        InputError: it is no video or picture, or larger or longer than the limits.
    """
    with open_frames(path) as source:
        height, width = source.size
        if height * width > MOST_PIXELS:
            raise InputError(
                f"{path}: its frames of {width}x{height} pixels are too large for this page; scale it down"
            )
        seconds = len(source) / source.fps
        if not source.still and seconds > limits.seconds:
            raise InputError(
                f"{path}: lasts {seconds:.1f} seconds and this page takes up to {limits.seconds:g}; cut out the part "
                "that matters, or run `saliency report` on your own computer, which has no limit"
            )
        return Found(width=width, height=height, frames=len(source), fps=source.fps, still=source.still)


def picture(path: Path, frame: int) -> bytes:
    """Return a frame as a JPEG whose longest side has at most `_SHOWN` pixels.

    Raises:
        InputError: there is no such frame, or it cannot be decoded.
    """
    with open_frames(path) as source:
        if not 0 <= frame < len(source):
            raise InputError(f"{path}: has no frame {frame}; its frames are 0 to {len(source) - 1}")
        pixels = source.read([frame])[0]
    scale = min(1.0, _SHOWN / max(pixels.shape[:2]))
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    held = io.BytesIO()
    Image.fromarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)).save(held, format="JPEG", quality=88)
    return held.getvalue()
