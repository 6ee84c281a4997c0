"""What viewers of photographs know of one another: the yardstick for models."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from saliency.data.still_video import StillVideo
from saliency.data.video import AnnotatedVideo
from saliency.errors import InputError
from saliency.gaze.recording import density_map, fixation_map


@dataclass(frozen=True, slots=True, kw_only=True)
class StillViewers:
    """Some viewers' fixations on a photograph predict those of its other viewers.

    Attributes:
        name: what tables call it.
        predict: ``"one"``: a viewer drawn for each photograph predicts all others; ``"half"``: one half, drawn,
            predicts the other.
        seed: of the draw.
    """

    name: str
    predict: Literal["one", "half"] = "one"
    seed: int = 0

    @property
    def metadata(self) -> Mapping[str, object]:
        """How it was made."""
        return {"predict": self.predict, "seed": self.seed}

    def maps(self, video: AnnotatedVideo, frames: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
        """Yield the density of those who predict."""
        still = _still(video)
        points = self._split(still)[0]
        density = torch.from_numpy(density_map(points, still.size, still.sigma))
        for frame in frames:
            yield frame, density

    def truth(self, video: AnnotatedVideo, frame: int) -> tuple[np.ndarray, np.ndarray, int]:
        """Density and fixations of those who are predicted, and the points outside the image: none."""
        still = _still(video)
        points = self._split(still)[1]
        return density_map(points, still.size, still.sigma), fixation_map(points, still.size), 0

    def _split(self, still: StillVideo) -> tuple[np.ndarray, np.ndarray]:
        gaze = still.gaze()
        viewers = np.unique(gaze.viewers)
        if len(viewers) < 2:
            raise InputError(f"photograph {still.id} has gaze of one viewer only; leave '{self.name}' out")
        digest = hashlib.sha256(f"{self.seed}\0{still.id}".encode()).digest()
        order = np.random.default_rng(int.from_bytes(digest[:8], "little")).permutation(viewers)
        first = np.isin(gaze.viewers, order[: 1 if self.predict == "one" else len(order) // 2])
        return gaze.points[first], gaze.points[~first]


def _still(video: AnnotatedVideo) -> StillVideo:
    if not isinstance(video, StillVideo):
        raise InputError(f"video {video.id} is no photograph; score viewers of videos with other-observers")
    return video
