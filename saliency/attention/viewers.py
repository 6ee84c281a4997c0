"""What each viewer did with a region: how long, how soon, how often."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saliency.attention.regions import Region


@dataclass(frozen=True, slots=True, kw_only=True)
class Visits:
    """One viewer and one region, to within a frame.

    Attributes:
        viewer: name or number.
        region: its name.
        dwell: seconds of looks inside.
        share: of the viewer's seconds with a look, while the region was in the picture; NaN without.
        first: seconds from the region's first frame to the first look inside; NaN if there was none.
        visits: how often gaze came in; a lost eye between two looks inside is no leaving.
    """

    viewer: str
    region: str
    dwell: float
    share: float
    first: float
    visits: int

    @property
    def revisits(self) -> int:
        """How often gaze came back."""
        return max(0, self.visits - 1)


def visits(gaze: np.ndarray, viewers: Sequence[str], regions: Sequence[Region], starts: np.ndarray) -> list[Visits]:
    """Measure every viewer on every region.

    Args:
        gaze: (observers, frames, 2) x, y in pixels, NaN where absent.
        viewers: their names.
        regions: where they are in each frame.
        starts: (frames + 1,) seconds at which frames start, and the end of the last.
    """
    lengths = np.diff(starts)
    found = []
    for region in regions:
        shapes = [region.at(frame) for frame in range(gaze.shape[1])]
        there = np.array([shape is not None for shape in shapes])
        for viewer, points in zip(viewers, gaze, strict=True):
            seen = np.isfinite(points).all(axis=1) & there
            inside = np.array(
                [
                    s and shape is not None and shape.contains(x, y)
                    for s, shape, (x, y) in zip(seen, shapes, points, strict=True)
                ],
                dtype=bool,
            )
            looks = inside[seen]  # without the lost frames between
            came = int(looks[:1].sum() + (looks[1:] & ~looks[:-1]).sum())
            dwell, time = float(lengths[inside].sum()), float(lengths[seen].sum())
            first = float(starts[inside.argmax()] - starts[there.argmax()]) if inside.any() else float("nan")
            found.append(
                Visits(
                    viewer=viewer,
                    region=region.name,
                    dwell=dwell,
                    share=dwell / time if time else float("nan"),
                    first=first,
                    visits=came,
                )
            )
    return found
