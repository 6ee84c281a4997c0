"""The centre prior where there is no training video to fit it on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from saliency.data.video import AnnotatedVideo
from saliency.errors import InputError
from saliency.evaluation.baselines import gaussian, moments, of_moments


@dataclass(frozen=True, slots=True, kw_only=True)
class OthersPrior:
    """A Gaussian for each video, with the mean and covariance of the fixations of all other videos that are scored.

    No video is fitted on itself, so the floor is an honest one. A single video gets a Gaussian in the middle of the
    picture, a quarter of its width and height wide.

    Attributes:
        videos: those that are scored.
        every: read every so many frames of them.
        name: what tables call it.
    """

    videos: Sequence[AnnotatedVideo]
    every: int = 10
    name: str = "centre prior"
    _moments: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def metadata(self) -> Mapping[str, object]:
        """How it was made."""
        fitted = "for each video on the others" if len(self.videos) > 1 else "a quarter of the picture wide"
        return {"fitted": fitted, "videos": len(self.videos), "every": self.every}

    def maps(self, video: AnnotatedVideo, frames: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
        """Yield the video's map."""
        map = self._map(video)
        for frame in frames:
            yield frame, map

    def _map(self, video: AnnotatedVideo) -> Tensor:
        if len(self.videos) < 2:
            return gaussian(np.array([0.5, 0.5]), np.diag([1 / 16, 1 / 16]))
        for other in self.videos:
            if other.id not in self._moments:
                self._moments[other.id] = moments(other, self.every)
        others = [own for other, own in self._moments.items() if other != video.id]
        sums = np.sum(others, axis=0)
        if not sums[0]:
            raise InputError(f"no video besides {video.id} has a fixation; leave the centre prior out")
        return gaussian(*of_moments(sums))
