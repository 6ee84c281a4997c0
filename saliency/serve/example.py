"""A video and a study to try things with, drawn by the project itself: simulated scenes and who looks where."""

import shutil
import tempfile
from pathlib import Path

import numpy as np

from saliency.data.mini_scenes import make_shots, render
from saliency.datasets.mini import Mini
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


def write_study(
    root: Path, *, videos: int = 5, seed: int = SEED, frames: int = 30, size: tuple[int, int] = (108, 192)
) -> None:
    """Draw a study in the form of `saliency.datasets.folder`: videos, and where simulated viewers look in them.

    Args:
        root: folder that gets ``videos/scene_1.avi ..`` and ``gaze/scene_1.csv ..``.
        videos: how many.
        seed: of what is seen and of who looks where; the same seed gives the same study.
        frames: of each video.
        size: (H, W) in pixels.
    """
    (root / "videos").mkdir(parents=True, exist_ok=True)
    (root / "gaze").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as cache:
        data = Mini(
            seed=seed,
            train_videos=0,
            val_videos=0,
            test_videos=videos,
            size=size,
            min_frames=frames,
            max_frames=frames,
            cache=Path(cache),
        )
        for number, video in enumerate(data.videos("test"), start=1):
            shutil.copyfile(video.path, root / "videos" / f"scene_{number}.avi")
            gaze = video.observers()
            assert gaze is not None  # the viewers are simulated with the video
            rows = ["observer,frame,x,y"]
            for who, points in enumerate(gaze, start=1):
                seen = np.isfinite(points[:, 0])
                rows += [f"v{who:02d},{i},{x:.2f},{y:.2f}" for i, (x, y) in enumerate(points) if seen[i]]
            (root / "gaze" / f"scene_{number}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
