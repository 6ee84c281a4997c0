"""From recordings of eye trackers to fixations and maps."""

from saliency.gaze.reading import read
from saliency.gaze.samples import GazeSamples

__all__ = ["GazeSamples", "read"]
