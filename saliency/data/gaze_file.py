"""The project's own gaze files: ``observer,time,x,y`` in seconds and pixels of the video."""

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from saliency.errors import InputError
from saliency.gaze.alignment import Aligned
from saliency.io.atomic import write_atomic
from saliency.io.frame_source import FrameSource

VIEWING = "viewing.json"
"""Beside the gaze files: for each video one degree of visual angle in its widths."""


def write_gaze(path: Path, names: Sequence[str], viewers: Sequence[Aligned]) -> None:
    """Write the gaze of some viewers during one video, whole or not at all; without a position x and y are empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_atomic(path) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("observer", "time", "x", "y"))
        for name, viewer in zip(names, viewers, strict=True):
            for time, (x, y) in zip(viewer.time.tolist(), viewer.xy.tolist(), strict=True):
                # rounded down: the last hundredth of a pixel at the edge stays inside
                place = (
                    ("", "")
                    if np.isnan(x)
                    else (f"{math.floor(x * 100) / 100:.2f}", f"{math.floor(y * 100) / 100:.2f}")
                )
                table.writerow((name, f"{time:.4f}", *place))


def note_degree(path: Path, degree: float) -> None:
    """Note one degree of visual angle, in widths of its video, beside a gaze file.

    Raises:
        InputError: the note that is there cannot be read.
    """
    beside = path.parent / VIEWING
    try:
        known = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
        known[path.stem] = {"degree": round(degree, 6)}
    except (ValueError, TypeError) as error:
        raise InputError(f"{beside}: cannot be read ({error}); move it away") from error
    with write_atomic(beside) as file:
        json.dump(known, file, indent=2)


def frame_starts(source: FrameSource) -> np.ndarray:
    """Return when each frame starts, and when the last ends, float64 (n + 1,) seconds."""
    times = source.timestamps
    if times is None or len(times) < 2:
        return np.arange(len(source) + 1) / source.fps
    return np.append(times, 2 * times[-1] - times[-2])
