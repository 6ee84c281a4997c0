"""Write and check what the AIM 2024, NTIRE 2026 and CrowdSAL challenges score: `<method>/NAME.mp4`, a grey video each.

Each frame is stretched from its minimum to its maximum in 8 bits, as the scorer does itself before anything else. The
videos have the size of the ground truth where it is known, else that of the video.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from saliency.data.video import AnnotatedVideo
from saliency.errors import InputError
from saliency.evaluation.map_source import MapSource, Progress
from saliency.evaluation.submission import Submitted, stretched
from saliency.io.frames import open_frames
from saliency.io.transforms import resize_map
from saliency.io.video_writer import VideoWriter

CRF = 4
"""x264's constant quality: grey levels stay within about one of 255."""


def submit_videos(
    predictor: MapSource, videos: Sequence[AnnotatedVideo], folder: str | Path, *, progress: Progress | None = None
) -> Submitted:
    """Write one grey video for each video and check them; those that are complete already are left as they are.

    Args:
        predictor: makes the maps; its name becomes the method's folder.
        videos: the videos of a test split.
        folder: where the method's folder goes.
        progress: called with the frames done and all frames.

    Raises:
        InputError: a map is not finite, or something cannot be written.
    """
    method = Path(folder) / predictor.name.replace("/", "_")
    method.mkdir(parents=True, exist_ok=True)
    total, done = sum(video.num_frames for video in videos), 0
    for video in videos:
        if _problem(method, video) is not None:
            _write(predictor, video, method)
        done += video.num_frames
        if progress is not None:
            progress(done, total)
    return Submitted(folder=method, maps=check_videos(method, videos), videos=len(videos))


def check_videos(method: str | Path, videos: Sequence[AnnotatedVideo]) -> int:
    """Check a folder of grey videos and return the number of maps in it.

    Args:
        method: the folder.
        videos: what each of its files must have the name and the number of frames of.

    Raises:
        InputError: the first thing that is wrong, and how many more there are.
    """
    method = Path(method)
    wanted = {f"{video.id}.mp4" for video in videos}
    there = {path.name for path in method.iterdir()} if method.is_dir() else set()
    problems = [f"{method / name} does not belong there" for name in sorted(there - wanted)]
    problems += [problem for video in videos if (problem := _problem(method, video)) is not None]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise InputError(f"the submission is not complete: {problems[0]}{more}; write it again")
    return sum(video.num_frames for video in videos)


def _write(predictor: MapSource, video: AnnotatedVideo, method: Path) -> None:
    with video.open() as source:
        fps = source.fps
    with VideoWriter(method / f"{video.id}.mp4", fps, video.size, crf=CRF) as writer:
        for frame, pred in predictor.maps(video, range(video.num_frames)):
            values = resize_map(pred.float(), video.size).numpy()
            if not np.isfinite(values).all():
                raise InputError(f"{predictor.name}, video {video.id}, frame {frame}: NaN or infinite values")
            writer.write(np.repeat(stretched(values)[:, :, None], 3, axis=2))


def _problem(method: Path, video: AnnotatedVideo) -> str | None:
    path = method / f"{video.id}.mp4"
    if not path.is_file():
        return f"{path} is missing"
    try:
        with open_frames(path) as source:
            found = len(source)
    except InputError as error:
        return str(error)
    if found != video.num_frames:
        return f"{path} has {found} frames, the video {video.num_frames}"
    return None
