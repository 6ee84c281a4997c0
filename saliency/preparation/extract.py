"""Write frames and derived maps to disk, as loaders of published code expect them."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from saliency.data.map_files import Numbering
from saliency.data.video import AnnotatedVideo
from saliency.errors import InputError
from saliency.gaze.recording import density_map, fixation_map
from saliency.io.maps import write_density, write_fixations


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
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
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
        InputError: the folder is there already.
    """
    if folder.exists():
        raise InputError(f"{folder}: is there already; derived maps never replace others, name another folder")
    naming = Numbering()
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
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
