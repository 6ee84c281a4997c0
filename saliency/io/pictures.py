"""A frame as RGB and, where a film may keep them, as the planes that it was decoded to."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import av
import numpy as np
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange

Matrix = Literal["bt709", "bt601"]
"""How Y, U, V are made of red, green, blue."""

Planes: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]
"""A picture as films store it: Y (H, W), U and V (H / 2, W / 2), uint8 of limited range; H and W even."""

TAGS: dict[Matrix, int] = {"bt709": 1, "bt601": 6}
"""FFmpeg's and H.264's numbers of the matrices."""
_MATRICES: dict[int, Matrix] = {1: "bt709", 2: "bt601", 5: "bt601", 6: "bt601"}
"""FFmpeg's numbers of what frames are tagged with; 2 stands for none, which it turns into RGB as BT.601."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A frame.

    Attributes:
        rgb: uint8 (H, W, 3).
        stored: the same as it was decoded, which nobody may change; None unless it has the size of `rgb`, is upright
            and has `Planes`.
        matrix: of `stored`.
    """

    rgb: np.ndarray
    stored: av.VideoFrame | None = None
    matrix: Matrix | None = None


def matrix_of(frame: av.VideoFrame) -> Matrix | None:
    """Return the matrix of a frame whose planes are `Planes`; None if they are another kind of planes."""
    if frame.format.name != "yuv420p" or frame.width % 2 or frame.height % 2:
        return None
    if int(frame.color_range) not in (ColorRange.UNSPECIFIED, ColorRange.MPEG):
        return None
    upwards = any(plane.line_size < plane.width for plane in frame.planes)  # rows may be stored from the last one on
    return None if upwards else _MATRICES.get(int(frame.colorspace))


def planes_of(frame: av.VideoFrame) -> Planes:
    """View the first three planes of a frame, those of yuv420p."""
    y, u, v = (pixels(plane) for plane in frame.planes[:3])
    return y, u, v


def pixels(plane: VideoPlane, kind: type[np.uint8 | np.int32] = np.uint8) -> np.ndarray:
    """View a plane (H, W) whose pixels are numbers of a kind."""
    return np.frombuffer(memoryview(plane), kind).reshape(plane.height, -1)[:, : plane.width]
