"""From recordings of eye trackers to fixations and maps."""

from saliency.gaze.gaze_samples import GazeSamples
from saliency.gaze.reading import read

__all__ = ["GazeSamples", "read"]
