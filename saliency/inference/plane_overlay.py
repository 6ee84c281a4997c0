"""Show saliency maps on pictures as films store them: half the numbers of RGB, and no way there and back."""

from collections.abc import Mapping

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from saliency.io.maps import to_grey
from saliency.io.pictures import Matrix, Planes, pixels, planes_of

_COARSE = 2
"""Maps are coloured at their own size, but at least at half the picture's: colours between two of a palette that turns
sharply, such as jet, are others than those of the levels between."""


class PlaneOverlay:
    """Paints the maps of one film, in one thread.

    Every plane becomes ``frame * keep + add`` with factors that depend on the map. These are looked up at the map's
    size and then enlarged, as a small picture with Y, U, V and transparency.
    """

    def __init__(self, keep: np.ndarray, add: Mapping[Matrix, np.ndarray], peak: float | None) -> None:
        """Make it.

        Args:
            keep: what is kept of the frame at each level of the map, uint8 (256,), 255 for all.
            add: what is added to Y, U, V, uint8 (3, 256), by the matrix of the planes.
            peak: map value of the highest level; None: each map's own maximum.
        """
        # each level's V, U, Y and transparency as one number: pixels of FFmpeg's format vuya
        self._tables = {
            matrix: np.stack([*add_planes[::-1], keep], axis=1).view(np.int32).reshape(1, 256)
            for matrix, add_planes in add.items()
        }
        self._keep, self._peak = keep, peak
        self._refine, self._enlarge, self._enlarge_keep = VideoReformatter(), VideoReformatter(), VideoReformatter()

    def paint(self, planes: Planes, film: Planes, matrix: Matrix, *, small: np.ndarray) -> None:
        """Paint a map on a frame.

        Args:
            planes: of the frame.
            film: where the painted planes are written; may be `planes`.
            matrix: of both.
            small: map (h, w) >= 0 of any size up to (H, W).
        """
        height, width = planes[0].shape
        level = to_grey(small, self._peak)
        fine = max(len(level), height // _COARSE), max(level.shape[1], width // _COARSE)
        if fine != level.shape:
            level = pixels(_resized(self._refine, _grey_picture(level), fine, "gray").planes[0])
        colour = av.VideoFrame(level.shape[1], level.shape[0], "vuya")
        cv2.LUT(level, self._tables[matrix], dst=pixels(colour.planes[0], np.int32))
        colour = _resized(self._enlarge, colour, (height, width), "yuva420p")
        half = (height // 2, width // 2)
        coarse = _resized(self._enlarge_keep, _grey_picture(cv2.LUT(level, self._keep)), half, "gray")
        keep, coarse = pixels(colour.planes[3]), pixels(coarse.planes[0])
        for plane, out, share, add in zip(planes, film, (keep, coarse, coarse), planes_of(colour), strict=True):
            cv2.multiply(plane, share, dst=out, scale=1 / 255)
            cv2.add(out, add, dst=out)


def _grey_picture(grey: np.ndarray) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(grey, format="gray")


# OpenCV resizes too, but in threads that spin for half a millisecond once they are done.
def _resized(reformatter: VideoReformatter, picture: av.VideoFrame, size: tuple[int, int], kind: str) -> av.VideoFrame:
    return reformatter.reformat(picture, width=size[1], height=size[0], format=kind, threads=1)
