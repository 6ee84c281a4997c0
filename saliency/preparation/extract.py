"""Write frames and derived maps to disk, as loaders of published code expect them."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from saliency.data.map_files import Numbering
from saliency.data.video import AnnotatedVideo
from saliency.datasets.dhf1k import DHF1K, parse_numbers
from saliency.errors import InputError
from saliency.gaze.recording import DHF1K_SIGMA, density_map, fixation_map
from saliency.io.maps import write_density, write_fixations
from saliency.runtime.pool import in_processes

EXTRACTED_BYTES = {".png": 350e3, ".jpg": 120e3}
"""What a detailed frame of 640x360 takes; a simple one takes a quarter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """Frames of DHF1K's videos that are to be written as images.

    Attributes:
        data: DHF1K.
        videos: their numbers, e.g. ``"1-700"``.
        out: folder to write to; None: the data set's own.
        folder: where the frames of a video go below `out`; ``{number}`` is its number.
        suffix: ``.png`` or ``.jpg``.
    """

    data: DHF1K
    videos: str
    out: Path | None = None
    folder: str = "annotation/{number:04d}/images"
    suffix: str = ".png"

    def jobs(self) -> list[tuple[AnnotatedVideo, Path, str]]:
        """Return video, folder and suffix of each job.

        Raises:
            InputError: a video is missing, or the folder's name is not made of the number.
        """
        numbers = parse_numbers(self.videos)
        try:
            folders = [self.folder.format(number=number) for number in numbers]
        except (KeyError, IndexError, ValueError) as error:
            raise InputError(
                f"--folder {self.folder}: only {{number}} can be filled in, e.g. {{number:04d}}"
            ) from error
        if len(set(folders)) < len(set(numbers)):
            raise InputError(f"--folder {self.folder}: gives several videos one folder; put {{number}} into it")
        root = self.data.folder()
        out = (self.out or root).resolve()
        for folder in folders:
            if "\0" in folder or out not in (out / folder).resolve().parents:
                raise InputError(f"--folder {self.folder}: leads out of {out}; name a folder below it")
        jobs = []
        for number, folder in zip(numbers, folders, strict=True):
            annotated = (root / "annotation" / f"{number:04d}" / "maps").is_dir()
            jobs.append((self.data.video(root, number, annotated=annotated), (self.out or root) / folder, self.suffix))
        return jobs


def extract(jobs: Sequence[tuple[AnnotatedVideo, Path, str]], *, workers: int = 1) -> Iterator[bool]:
    """Do the jobs of an `Extraction`; yield for each whether anything was written."""
    return in_processes(_extract_one, jobs, workers)


def _extract_one(video: AnnotatedVideo, folder: Path, suffix: str) -> bool:
    return extract_frames(video, folder, suffix=suffix)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """A video whose maps were made from gaze.

    Attributes:
        video: its id.
        observers: number of observers.
        frames: number of frames.
        seen: (frames,) observers with a point during each frame.
    """

    video: str
    observers: int
    frames: int
    seen: np.ndarray


def maps_from_gaze(data: DHF1K, number: int, out: Path, sigma: float = float(DHF1K_SIGMA)) -> Mapped:
    """Make the ground truth of a video of DHF1K from its raw gaze (``exportdata_train``).

    Args:
        data: DHF1K.
        number: of the video.
        out: folder that gets ``annotation/0001/{maps,fixation,fixation/maps}``.
        sigma: standard deviation of the maps in pixels.

    Raises:
        InputError: there is no recording of the video, or the folder is there already.
    """
    video = data.video(data.folder(), number, annotated=False)
    observers = video.observers()
    if observers is None:
        raise InputError(f"{data.folder() / 'exportdata_train'}: holds no recording of video {number:03d}")
    write_ground_truth(observers, video.size, sigma, out / "annotation" / f"{number:04d}")
    seen = np.isfinite(observers).all(axis=2).sum(axis=0)
    return Mapped(video=video.id, observers=len(observers), frames=video.num_frames, seen=seen)


def extract_frames(
    video: AnnotatedVideo,
    folder: Path,
    *,
    suffix: str = ".png",
    naming: Numbering | None = None,
    done: Callable[[int], None] = lambda frames: None,
) -> bool:
    """Write every frame of a video as an image, unless they are all there.

    The folder appears when it is complete: a killed run starts this video again.

    Args:
        video: the video.
        folder: folder of the images, e.g. ``annotation/0001/images``.
        suffix: ``.png`` (exact) or ``.jpg`` (quality 95, no chroma subsampling).
        naming: how the images are called; default 0001, 0002, ...
        done: called with the number of frames written so far.

    Returns:
        Whether anything was written.

    Raises:
        InputError: the folder holds something else, or the video cannot be decoded.
    """
    naming = naming or Numbering()
    wanted = {naming.stem(i) + suffix for i in range(video.num_frames)}
    if folder.exists():
        if {path.name for path in folder.iterdir()} == wanted:
            return False
        raise InputError(f"{folder}: holds other files than the {len(wanted)} frames; move it away")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name[:100]}."))
    part.chmod(0o755)
    options: dict[str, Any] = {"quality": 95, "subsampling": 0} if suffix == ".jpg" else {"compress_level": 1}
    try:
        with video.open() as source:
            for i, frame in enumerate(source.iterate()):
                Image.fromarray(frame).save(part / (naming.stem(i) + suffix), **options)
                done(i + 1)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return True


def write_ground_truth(
    observers: np.ndarray,
    size: tuple[int, int],
    sigma: float,
    folder: Path,
    *,
    done: Callable[[int], None] = lambda frames: None,
) -> None:
    """Make fixation maps and density maps from gaze, in DHF1K's layout.

    Args:
        observers: (observers, frames, 2) x, y in pixels, NaN where absent.
        size: (H, W) of the video.
        sigma: standard deviation in pixels of the density maps.
        folder: e.g. ``annotation/0001``; gets ``maps``, ``fixation`` and ``fixation/maps``.
        done: called with the number of frames written so far.

    Raises:
        InputError: the folder is there already, or there is no gaze.
    """
    if folder.exists():
        raise InputError(f"{folder}: is there already; derived maps never replace others, name another folder")
    if not np.isfinite(observers).any():
        raise InputError(f"{folder}: no observer looked at any frame; maps of nothing are not written")
    naming = Numbering()
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name[:100]}."))
    part.chmod(0o755)
    for name in ("maps", "fixation/maps"):
        (part / name).mkdir(parents=True)
    try:
        for i in range(observers.shape[1]):
            fixated = fixation_map(observers[:, i], size)
            stem = naming.stem(i)
            write_density(part / "maps" / f"{stem}.png", density_map(observers[:, i], size, sigma))
            write_fixations(part / "fixation" / f"{stem}.png", fixated)
            write_fixations(part / "fixation" / "maps" / f"{stem}.mat", fixated)
            done(i + 1)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
