"""Show a saliency map on its frame."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from saliency.errors import InputError, nearest
from saliency.io.maps import to_grey

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
    _add_planes: np.ndarray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (0 <= self.opacity <= 1 and 0 <= self.dimming <= 1):
            raise ValueError(f"opacity and dimming must lie in [0, 1], got {self.opacity} and {self.dimming}")
        if self.peak is not None and not 0 < self.peak < math.inf:
            raise ValueError(f"peak must be a number above 0, got {self.peak}")
        value = np.linspace(0, 1, 256)
        share = self.opacity * value**0.75  # of the colour: faint attention is to be seen, too
        keep = (1 - share) * (1 - self.dimming * (1 - value))  # of the frame
        # 16-bit fixed point with 8 fractional bits: the blend of a pixel is (frame * keep + add) / 256
        object.__setattr__(self, "_keep", np.rint(keep * 256).astype(np.uint16))
        object.__setattr__(self, "_add", np.floor(share[:, None] * colours(self.palette) * 256).astype(np.uint16))
        # Black, which dimming adds to the frame, is not 0 in the planes; the half rounds.
        black = (256 - self._keep - 256 * share) * _planes_of(np.zeros((1, 3)))
        painted = share * 256 * _planes_of(colours(self.palette)) + black + 128
        object.__setattr__(self, "_add_planes", painted.astype(np.uint16))

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

    def paint_planes(self, planes: Sequence[np.ndarray], small: np.ndarray) -> None:
        """Paint a map on the planes of a picture, in place: `paint` for half the numbers and no way back from RGB.

        Mixing colours and turning them into Y, U, V can change places, so the pictures are those of `paint` but for
        rounding: 0.5 levels of brightness on average, since `paint` rounds down. The map is scaled to levels of colour
        at its own size and then enlarged, at most a level of 255 away.

        Args:
            planes: Y (H, W), U and V (H / 2, W / 2), uint8, BT.709, limited range; H and W even.
            small: map (h, w) >= 0 of any size up to (H, W).
        """
        height, width = planes[0].shape
        level = cv2.resize(to_grey(small, self.peak), (width, height), interpolation=cv2.INTER_LINEAR)
        coarse = cv2.resize(level, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        for plane, levels, add in zip(planes, (level, coarse, coarse), self._add_planes, strict=True):
            _blend(plane, plane, levels, self._keep[None], add[None])


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


def _planes_of(colour: np.ndarray) -> np.ndarray:
    """Y, U, V (3, N) of RGB colours (N, 3) in [0, 255], as BT.709 defines them for limited range."""
    red, green, blue = (colour / 255).T
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return np.stack([16 + 219 * luma, 128 + 224 * (blue - luma) / 1.8556, 128 + 224 * (red - luma) / 1.5748])


def side_by_side(*pictures: np.ndarray) -> np.ndarray:
    """Put pictures (H, W, 3) of equal height next to each other, (H, sum of W, 3)."""
    return np.concatenate(pictures, axis=1)
