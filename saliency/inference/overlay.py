"""Show a saliency map on its frame."""

import math
from dataclasses import dataclass, field

import cv2
import numpy as np

from saliency.errors import InputError, nearest
from saliency.inference.plane_overlay import PlaneOverlay
from saliency.io.maps import to_grey
from saliency.io.pictures import Matrix

# Dark violet over red and orange to light yellow: brightness grows steadily, so the order of values survives
# grey printing and colour blindness. Thirteen colours of the CC0 colour map "inferno" from its 2nd quarter on.
_ANCHORS = np.array(
    [
        (66, 10, 104),
        (87, 16, 110),
        (106, 23, 110),
        (126, 30, 109),
        (147, 38, 103),
        (168, 46, 95),
        (188, 55, 84),
        (207, 68, 70),
        (221, 81, 58),
        (237, 105, 37),
        (248, 136, 13),
        (251, 178, 24),
        (246, 226, 94),
    ],
    dtype=np.float64,
)


_LUMA: dict[Matrix, tuple[float, float]] = {"bt709": (0.2126, 0.0722), "bt601": (0.299, 0.114)}
"""Shares of red and blue in the brightness."""

_STRIP = 32 * 1024
"""Pixels blended at once: few enough for a processor's cache."""

_BY_OPENCV = {
    "viridis": cv2.COLORMAP_VIRIDIS,
    "magma": cv2.COLORMAP_MAGMA,
    "plasma": cv2.COLORMAP_PLASMA,
    "turbo": cv2.COLORMAP_TURBO,
    "jet": cv2.COLORMAP_JET,
}
PALETTES = ("heat", *_BY_OPENCV, "grey")
"""Names of colour maps: ``heat`` is our own, ``grey`` goes from black to white, OpenCV has the others."""


def colours(palette: str = "heat") -> np.ndarray:
    """Return the colour of each of 256 values, uint8 (256, 3) RGB.

    Args:
        palette: a name of `PALETTES`.

    Raises:
        InputError: there is no such colour map.
    """
    grey = np.arange(256, dtype=np.uint8)[:, None]  # (256, 1)
    if palette == "grey":
        return np.repeat(grey, 3, axis=1)
    if palette in _BY_OPENCV:
        return cv2.applyColorMap(grey, _BY_OPENCV[palette])[:, 0, ::-1].copy()  # OpenCV's order is BGR
    if palette != "heat":
        raise InputError(f"no colour map '{palette}'{nearest(palette, PALETTES)}; there are {', '.join(PALETTES)}")
    places = np.linspace(0, 1, len(_ANCHORS))
    values = np.linspace(0, 1, 256)
    return np.stack([np.interp(values, places, _ANCHORS[:, c]) for c in range(3)], axis=1).round().astype(np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """Paints maps on frames.

    Where the map is low the frame shows, a little dimmed; where it is high the colour does. So a picture without
    any attention looks like the frame, not like a blue haze.

    Attributes:
        peak: map value drawn in the hottest colour of every frame; None: each frame's own maximum. A fixed
            peak lets frames be compared and does not flicker; the own maximum always shows where to look first.
        opacity: share of the colour at the peak, in [0, 1].
        dimming: share of brightness the frame loses where the map is 0, in [0, 1].
        palette: name of the colour map, see `PALETTES`.
    """

    peak: float | None = None
    opacity: float = 0.6
    dimming: float = 0.25
    palette: str = "heat"
    _keep: np.ndarray = field(init=False, repr=False, compare=False)
    _add: np.ndarray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (0 <= self.opacity <= 1 and 0 <= self.dimming <= 1):
            raise ValueError(f"opacity and dimming must lie in [0, 1], got {self.opacity} and {self.dimming}")
        if self.peak is not None and not 0 < self.peak < math.inf:
            raise ValueError(f"peak must be a number above 0, got {self.peak}")
        share, keep = self._shares()
        # 16-bit fixed point with 8 fractional bits: the blend of a pixel is (frame * keep + add) / 256; the half rounds
        object.__setattr__(self, "_keep", np.rint(keep * 256).astype(np.uint16))
        object.__setattr__(self, "_add", np.floor(share[:, None] * colours(self.palette) * 256 + 128).astype(np.uint16))

    def size(self, frame: tuple[int, int]) -> tuple[int, int]:
        """Return the frame's size: that of the pictures."""
        return frame

    def paint(self, frame: np.ndarray, density: np.ndarray) -> np.ndarray:
        """Return the frame with the map painted on it, uint8 (H, W, 3).

        Args:
            frame: uint8 (H, W, 3) RGB.
            density: map (H, W) >= 0 of the same size.

        Raises:
            ValueError: the sizes differ.
        """
        if frame.shape[:2] != density.shape:
            raise ValueError(f"frame {frame.shape[:2]} and map {density.shape} must be equally large")
        level = cv2.merge([to_grey(density, self.peak)] * 3)  # (H, W, 3)
        picture = np.empty_like(frame)
        _blend(picture, frame, level, self._keep.reshape(1, 256, 1).repeat(3, axis=2), self._add[None])
        return picture

    def on_planes(self) -> PlaneOverlay:
        """Return what paints on the planes of one film's pictures: `paint` for half the numbers.

        Mixing colours and turning them into Y, U, V can change places, so the pictures are those of `paint` but for
        rounding: on average half a level of brightness, by which the way through RGB darkens.
        """
        share, keep = self._shares()
        keep = np.rint(255 * keep)
        black = (1 - keep / 255 - share) * np.array([[16], [128], [128]])  # dimming adds it; it is not 0 in the planes
        add: dict[Matrix, np.ndarray] = {}
        for matrix in _LUMA:
            painted = share * _planes_of(colours(self.palette), matrix) + black
            add[matrix] = np.rint(painted).clip(0, 255).astype(np.uint8)
        return PlaneOverlay(keep.astype(np.uint8), add, self.peak)

    def _shares(self) -> tuple[np.ndarray, np.ndarray]:
        """Share of the colour and of the frame at each of 256 levels of the map."""
        value = np.linspace(0, 1, 256)
        share = self.opacity * value**0.75  # of the colour: faint attention is to be seen, too
        return share, (1 - share) * (1 - self.dimming * (1 - value))


def _blend(picture: np.ndarray, frame: np.ndarray, level: np.ndarray, keep: np.ndarray, add: np.ndarray) -> None:
    """Write (frame * keep + add) / 256 into `picture`, with the factors of each level, in strips."""
    rows = max(1, _STRIP // frame.shape[1])
    for top in range(0, frame.shape[0], rows):
        strip = slice(top, top + rows)
        blend = cv2.LUT(level[strip], keep)
        blend *= frame[strip]
        blend += cv2.LUT(level[strip], add)
        blend >>= 8
        picture[strip] = blend


def _planes_of(colour: np.ndarray, matrix: Matrix) -> np.ndarray:
    """Y, U, V (3, N), limited range, of RGB colours (N, 3) in [0, 255]."""
    red, green, blue = (colour / 255).T
    of_red, of_blue = _LUMA[matrix]
    luma = of_red * red + (1 - of_red - of_blue) * green + of_blue * blue
    return np.stack(
        [16 + 219 * luma, 128 + 112 * (blue - luma) / (1 - of_blue), 128 + 112 * (red - luma) / (1 - of_red)]
    )


def side_by_side(*pictures: np.ndarray) -> np.ndarray:
    """Put pictures (H, W, 3) of equal height next to each other, (H, sum of W, 3)."""
    return np.concatenate(pictures, axis=1)
