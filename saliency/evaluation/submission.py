"""Write and check the folder that DHF1K's organisers score: `<method>/0701/0001.png` ... for the 300 test videos.

The maps are 8-bit grey PNGs of the video's size, each stretched from its minimum to its maximum: the benchmark's
metrics ignore scale and offset (KL apart, which it does not report), so this loses least.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from saliency.data.video import AnnotatedVideo
from saliency.datasets.dhf1k import frame_counts
from saliency.errors import InputError
from saliency.evaluation.dataset_run import POLL_SECONDS
from saliency.evaluation.map_source import MapSource, Progress
from saliency.io.images import write_image
from saliency.io.transforms import resize_map
from saliency.runtime.distributed import World

log = logging.getLogger(__name__)

TEST_VIDEOS = range(701, 1001)
SIZE = (360, 640)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A submission that is complete.

    Attributes:
        folder: where it is.
        maps: how many maps it holds.
        videos: of how many videos.
    """

    folder: Path
    maps: int
    videos: int


def dhf1k_test_frames() -> dict[str, int]:
    """Folder name -> number of frames of DHF1K's test videos."""
    counts = frame_counts()
    return {f"{number:04d}": counts[number - 1] for number in TEST_VIDEOS}


def write_submission(
    predictor: MapSource,
    videos: Sequence[AnnotatedVideo],
    folder: str | Path,
    *,
    progress: Progress | None = None,
) -> Path:
    """Write one PNG for each frame of each video; videos that are complete already are left as they are.

    Args:
        predictor: makes the maps; its name becomes the method's folder.
        videos: DHF1K's test videos; their ids are the numbers of the videos.
        folder: where the method's folder goes.
        progress: called with the frames done and all frames.

    Returns:
        The method's folder.

    Raises:
        InputError: a map is not finite, or an id is no number.
    """
    method = Path(folder) / predictor.name.replace("/", "_")
    total, done = sum(video.num_frames for video in videos), 0
    for video in videos:
        if not video.id.isdigit():
            raise InputError(f"video '{video.id}' is none of DHF1K's; a submission needs its test split")
        home = method / f"{int(video.id):04d}"
        home.mkdir(parents=True, exist_ok=True)
        if not is_written(method, video):
            (home / ".unfinished").touch()
            for frame, pred in predictor.maps(video, range(video.num_frames)):
                values = resize_map(pred.float(), video.size).numpy()
                if not np.isfinite(values).all():
                    raise InputError(f"{predictor.name}, video {video.id}, frame {frame}: NaN or infinite values")
                write_image(home / f"{frame + 1:04d}.png", stretched(values))
                if progress is not None:
                    progress(done + frame + 1, total)
            (home / ".unfinished").unlink()
        done += video.num_frames
        if progress is not None:
            progress(done, total)
    return method


def submit(
    predictor: MapSource,
    videos: Sequence[AnnotatedVideo],
    folder: str | Path,
    *,
    world: World,
    progress: Progress | None = None,
) -> Submitted | None:
    """Write and check a submission; the processes that torchrun started share the videos.

    Returns:
        What was written; None on processes other than the main one.

    Raises:
        InputError: see `write_submission` and `check_submission`.
    """
    method = write_submission(predictor, videos[world.rank :: world.size], folder, progress=progress)
    if not world.main:
        return None
    while not all(is_written(method, video) for video in videos):
        time.sleep(POLL_SECONDS)  # for the other processes; torchrun ends all when one of them fails
    return Submitted(folder=method, maps=check_submission(method), videos=len(videos))


def is_written(method: str | Path, video: AnnotatedVideo) -> bool:
    """Whether all maps of a video are in the method's folder."""
    home = Path(method) / f"{int(video.id):04d}"
    return len(list(home.glob("*.png"))) >= video.num_frames and not (home / ".unfinished").exists()


def check_submission(
    method: str | Path, expected: Mapping[str, int] | None = None, size: tuple[int, int] = SIZE
) -> int:
    """Check a submission folder file by file and return the number of maps.

    Args:
        method: the folder that holds one folder per video.
        expected: folder name -> number of frames; default DHF1K's 300 test videos.
        size: (H, W) every map must have.

    Raises:
        InputError: the first thing that is wrong, and how many more there are.
    """
    method, expected = Path(method), expected or dhf1k_test_frames()
    problems = []
    there = {path.name for path in method.iterdir()} if method.is_dir() else set()
    problems += [f"{method / name} does not belong there" for name in sorted(there - set(expected))]
    maps = 0
    for name, frames in expected.items():
        if name not in there:
            problems.append(f"{method / name} is missing")
            continue
        names = {path.name for path in (method / name).iterdir()}
        wanted = {f"{i:04d}.png" for i in range(1, frames + 1)}
        problems += [f"{method / name / lost} is missing" for lost in sorted(wanted - names)]
        problems += [f"{method / name / extra} does not belong there" for extra in sorted(names - wanted)]
        for file in sorted(wanted & names):
            maps += 1
            problem = _problem(method / name / file, size)
            if problem:
                problems.append(problem)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise InputError(f"the submission is not complete: {problems[0]}{more}; write it again")
    return maps


def _problem(path: Path, size: tuple[int, int]) -> str | None:
    try:
        with Image.open(path) as image:
            image.load()
            if image.mode != "L":
                return f"{path} has mode {image.mode}, expected 8-bit grey"
            if image.size != (size[1], size[0]):
                return f"{path} is {image.size[1]}x{image.size[0]} (HxW), expected {size[0]}x{size[1]}"
    except Exception as error:  # whatever a decoder of damaged files stumbles over
        return f"{path} cannot be read ({error})"
    return None


def stretched(values: np.ndarray) -> np.ndarray:
    """(H, W) uint8: minimum to 0, maximum to 255; a constant map becomes 0."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.zeros(values.shape, np.uint8)
    return np.rint((values - low) / (high - low) * 255).astype(np.uint8)
