"""What is evaluated: anything that gives a saliency map for a frame."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from saliency.data.video import AnnotatedVideo

Progress = Callable[[int, int], None]
"""Called with the number of frames done and the number of all frames."""


class MapSource(Protocol):
    """Whatever gives a saliency map for a frame: a model, a baseline, a folder of maps."""

    @property
    def name(self) -> str:
        """What tables call it; unique within an evaluation."""
        ...

    def maps(self, video: AnnotatedVideo, frames: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
        """Yield (frame, (h, w) real map) for each of `frames`, in their (increasing) order."""
        ...


@runtime_checkable
class OwnTruth(Protocol):
    """A source that is not scored on the data set's ground truth, e.g. on a viewer it holds out."""

    def truth(self, video: AnnotatedVideo, frame: int) -> tuple[np.ndarray, np.ndarray, int]:
        """Return density (H, W) float32, fixations (H, W) bool, and the points that lay outside the image."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedMap:
    """The same map for every frame: the centre prior, the mean train map, the uniform map.

    Attributes:
        name: what tables call it.
        map: (h, w) float32 >= 0.
        metadata: how it was made.
    """

    name: str
    map: Tensor
    metadata: Mapping[str, object] = field(default_factory=dict)

    def maps(self, video: AnnotatedVideo, frames: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
        """Yield the map."""
        for frame in frames:
            yield frame, self.map
