"""A video to try things with, drawn by the project itself: a simulated scene of `saliency.data.mini_scenes`."""

from pathlib import Path

import numpy as np

from saliency.data.mini_scenes import make_shots, render
from saliency.io.video_writer import VideoWriter

SEED = 1003


def write_example(
    path: Path, *, seed: int = SEED, frames: int = 90, size: tuple[int, int] = (360, 640), fps: float = 30
) -> None:
    """Draw a video.

    Args:
        path: the MP4 file to write.
        seed: of what is seen; the same seed gives the same video.
        frames: how many.
        size: (H, W) in pixels.
        fps: frames per second.
    """
    with VideoWriter(path, fps, size) as video:
        for shot in make_shots(np.random.default_rng(seed), frames, size):
            for index in range(len(shot)):
                video.write(render(shot, index, size))
