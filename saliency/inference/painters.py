"""Ways to show a map: its colours alone, a line around what is looked at most, beside the frame.

Every painter, `saliency.inference.overlay.Overlay` among them, turns a frame and its map into one picture.
"""

import math
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import cv2
import numpy as np

from saliency.errors import InputError
from saliency.inference.overlay import Overlay, colours, side_by_side
from saliency.io.maps import to_grey
from saliency.io.pictures import Matrix, Planes

_LEVELS = 1024


class Painter(Protocol):
    """Turns a frame and its map into a picture."""

    def size(self, frame: tuple[int, int]) -> tuple[int, int]:
        """Return (H, W) of the pictures made of frames of a size (H, W)."""
        ...

    def paint(self, frame: np.ndarray, density: np.ndarray) -> np.ndarray:
        """Return the picture, uint8 (H', W', 3), of a frame uint8 (H, W, 3) RGB and its map (H, W) >= 0."""
        ...


class OnPlanes(Protocol):
    """Paints on the pictures of one film as they are stored."""

    def paint(self, planes: Planes, film: Planes, matrix: Matrix, *, small: np.ndarray) -> None:
        """Write into `film` the planes of a frame with a map (h, w) >= 0, no larger than it; both may be the same."""
        ...


@runtime_checkable
class PlanePainter(Protocol):
    """A painter that can also paint on pictures as films store them, which is faster."""

    def on_planes(self) -> OnPlanes:
        """Return what paints on the pictures of one film."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMap:
    """Paints the map alone.

    Attributes:
        peak: map value drawn in the hottest colour; None: each frame's own maximum.
        palette: name of the colours, see `saliency.inference.overlay.PALETTES`; black stands for none.
    """

    peak: float | None = None
    palette: str = "heat"

    def size(self, frame: tuple[int, int]) -> tuple[int, int]:
        """Return the frame's size."""
        return frame

    def paint(self, frame: np.ndarray, density: np.ndarray) -> np.ndarray:
        """Return the map in colours."""
        level = to_grey(density, self.peak)  # (H, W)
        table = colours(self.palette).astype(np.float64)
        table[:32] *= np.linspace(0, 1, 32)[:, None]  # no attention is black in every palette
        return np.take(np.rint(table).astype(np.uint8), level, axis=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contour:
    """Draws a line around the smallest part of the picture that holds a share of the attention.

    Attributes:
        share: of the attention inside the line, in (0, 1).
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"share must lie between 0 and 1, got {self.share}")

    def size(self, frame: tuple[int, int]) -> tuple[int, int]:
        """Return the frame's size."""
        return frame

    def paint(self, frame: np.ndarray, density: np.ndarray) -> np.ndarray:
        """Return the frame with the line drawn on it."""
        picture = np.ascontiguousarray(frame).copy()
        inside = smallest_part(density, self.share).astype(np.uint8)
        found, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        thick = max(1, round(min(frame.shape[:2]) / 240))
        cv2.drawContours(picture, found, -1, (20, 20, 20), 3 * thick, cv2.LINE_AA)
        cv2.drawContours(picture, found, -1, (255, 225, 40), thick, cv2.LINE_AA)
        return picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Shows the frame left of what another painter makes.

    Attributes:
        painter: makes the right half.
    """

    painter: Painter

    def size(self, frame: tuple[int, int]) -> tuple[int, int]:
        """Return a size as high as the frame and wider by it."""
        height, width = self.painter.size(frame)
        return height, width + frame[1]

    def paint(self, frame: np.ndarray, density: np.ndarray) -> np.ndarray:
        """Return both, side by side."""
        return side_by_side(frame, self.painter.paint(frame, density))


Style = Literal["overlay", "heat", "contour"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a map is shown, as asked for by name.

    Attributes:
        style: the map painted on the frame, the map alone, or a line on the frame.
        beside: show the frame left of it.
        colours: name of the colour map, see `saliency.inference.overlay.PALETTES`.
        opacity: of the overlay at its peak, in [0, 1].
        peak: map value drawn in the hottest colour; None: each frame's own maximum.
        top: percent of the attention inside the line.
    """

    style: Style = "overlay"
    beside: bool = False
    colours: str = "heat"
    opacity: float = 0.6
    peak: float | None = None
    top: float = 50.0

    def painter(self) -> Painter:
        """Return what paints so.

        Raises:
            InputError: a value is out of range or a name unknown.
        """
        if not 0 <= self.opacity <= 1:
            raise InputError(f"--opacity must lie between 0 and 1, got {self.opacity:g}")
        if self.peak is not None and not 0 < self.peak < math.inf:
            raise InputError(f"--peak must be a number above 0, got {self.peak:g}")
        colours(self.colours)  # an unknown name is refused whatever the style
        if not 0 < self.top < 100:
            raise InputError(f"--top must lie between 0 and 100 percent, got {self.top:g}")
        painter: Painter
        if self.style == "heat":
            painter = HeatMap(peak=self.peak, palette=self.colours)
        elif self.style == "contour":
            painter = Contour(share=self.top / 100)
        else:
            painter = Overlay(peak=self.peak, opacity=self.opacity, palette=self.colours)
        return Beside(painter=painter) if self.beside else painter


def smallest_part(density: np.ndarray, share: float) -> np.ndarray:
    """Return where a map is highest: the fewest pixels that hold a share of its sum, bool (H, W).

    Values are told apart in 1,024 steps up to the maximum; pixels of one step are taken together.

    Args:
        density: (H, W) >= 0.
        share: in (0, 1).
    """
    top = float(density.max(initial=0))
    if top <= 0:
        return np.zeros(density.shape, dtype=bool)
    step = (density * ((_LEVELS - 1) / top)).astype(np.uint16)
    held = np.bincount(step.ravel(), weights=density.ravel(), minlength=_LEVELS)
    from_top = held[::-1].cumsum()
    needed = int(np.searchsorted(from_top, share * from_top[-1]))
    return step >= _LEVELS - 1 - min(needed, _LEVELS - 1)
