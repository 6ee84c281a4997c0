"""A film that shows photographs in motion with the gaze on them, to look at before training on them."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from saliency.datasets.animated import AnimatedVideo
from saliency.inference.overlay import Overlay, side_by_side
from saliency.io.video_writer import VideoWriter


def write_preview(videos: Sequence[AnimatedVideo], path: Path) -> int:
    """Write videos one after the other: left each frame with a dot per fixation, right with the density.

    Args:
        videos: at least one, all of one size.
        path: of the film, ``.mp4``.

    Returns:
        The number of frames.

    Raises:
        InputError: a photograph cannot be read, or the film cannot be written.
    """
    height, width = videos[0].size
    overlay, count = Overlay(), 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, videos[0].fps, (height, 2 * width)) as film:
        for video in videos:
            for i in range(video.num_frames):
                frame = video.frame(i)
                dotted = draw_points(frame, video.points(i))
                film.write(side_by_side(dotted, overlay.paint(frame, video.density(i))))
                count += 1
    return count


def draw_points(frame: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return a frame (H, W, 3) with a dot, light with a dark edge, on each point (k, 2) x, y in pixels."""
    drawn = frame.copy()
    for x, y in points:
        place = (int(np.floor(x)), int(np.floor(y)))
        cv2.circle(drawn, place, 3, (20, 20, 20), -1, cv2.LINE_AA)
        cv2.circle(drawn, place, 2, (255, 225, 80), -1, cv2.LINE_AA)
    return drawn
