"""From recorded gaze to fixation points and density maps."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saliency.errors import InputError

DHF1K_SCREEN = (900, 1440)
"""(H, W) in pixels of the screen on which DHF1K was watched (its `record_mapping.m`)."""

DHF1K_SIGMA = 30 / np.sqrt(8 * np.log(2))
"""Standard deviation in pixels of DHF1K's maps: full width at half maximum 30 px (its `make_gauss_masks.m`)."""


LONGEST = 1e6
"""Seconds that no recording lasts."""


@dataclass(frozen=True, slots=True)
class Recording:
    """The gaze of one observer during one video.

    Attributes:
        time: (s,) float64 seconds since the first sample.
        xy: (s, 2) float64 x, y in pixels of the screen.
        fixating: (s,) bool, the samples that the eye tracker calls part of a fixation.
    """

    time: np.ndarray
    xy: np.ndarray
    fixating: np.ndarray


def read_recording(path: Path) -> Recording:
    """Read one raw gaze file of DHF1K (``exportdata_train``).

    Two forms are known: eight tab-separated columns (``Time Type Trial "L Dia X" "L Dia Y" "L POR X"
    "L POR Y" "L Event Info"``) and the four of the authors' script (time, x, y, event). Both start with a
    line of titles, give the time in microseconds and the event as a word that starts with F for a fixation.

    A sample without any position (two NaN) is a lost eye and kept as such.

    Raises:
        InputError: another form, no sample, none with a position, or a time or position that cannot be.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[1:]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    rows = [re.split(r"\t|\s{2,}|,|;", line.strip()) for line in lines if line.strip()]
    if not rows:
        raise InputError(f"{path}: holds no gaze sample; record it again or remove the file")
    if len(rows[0]) == 1:  # separated by single blanks
        rows = [row[0].split() for row in rows]
    widths = {len(row) for row in rows}
    if widths not in ({4}, {8}):
        raise InputError(f"{path}: rows have {sorted(widths)} columns; expected 8 (or 4: time, x, y, event)")
    x, y = (1, 2) if widths == {4} else (5, 6)
    try:
        numbers = np.array([(row[0], row[x], row[y]) for row in rows], dtype=np.float64)
    except ValueError as error:
        raise InputError(f"{path}: time or position is not a number ({error})") from error
    with np.errstate(invalid="ignore"):
        time, xy = (numbers[:, 0] - numbers[0, 0]) / 1e6, numbers[:, 1:]
    odd = ~((time >= 0) & (time < LONGEST)) | np.isinf(xy).any(axis=1) | (np.isnan(xy).sum(axis=1) == 1)
    if odd.any():
        raise InputError(
            f"{path}: sample {int(odd.argmax()) + 1} has time {numbers[odd.argmax(), 0]:.6g} and position "
            f"{xy[odd.argmax()].tolist()}; times count up from the first sample, positions are finite (or both NaN)"
        )
    if np.isnan(xy).all():
        raise InputError(f"{path}: none of its {len(xy)} samples has a position; record it again or remove the file")
    return Recording(
        time=time,
        xy=xy,
        fixating=np.array([row[-1].strip().startswith("F") for row in rows]),
    )


def screen_to_video(xy: np.ndarray, screen: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Map screen positions to video pixels for a video shown as large as fits, centred, with black bars.

    Args:
        xy: (..., 2) x, y in screen pixels.
        screen: (H, W) of the screen.
        size: (H, W) of the video.

    Returns:
        (..., 2) x, y in video pixels; outside of the video where somebody looked at a bar.
    """
    scale = max(size[0] / screen[0], size[1] / screen[1])  # video pixels per screen pixel
    shown = np.array([size[1], size[0]]) / scale
    bars = (np.array([screen[1], screen[0]]) - shown) / 2
    return (xy - bars) * scale


def gaze_per_frame(
    recording: Recording, xy: np.ndarray, size: tuple[int, int], num_frames: int, fps: float
) -> np.ndarray:
    """Return the mean position of the fixation samples during each frame, float32 (num_frames, 2), NaN where none.

    Frame i lasts from i / fps to (i + 1) / fps after the first sample. Samples outside of the video are left
    out before the mean is taken: trackers also report screen position (0, 0) when they have lost the eye.

    Args:
        recording: the samples' times and kinds.
        xy: (s, 2) their positions in video pixels.
        size: (H, W) of the video.
        num_frames: frames of the video; later samples are ignored.
        fps: frames per second.
    """
    frame = np.floor(recording.time * fps).astype(np.int64)
    keep = recording.fixating & is_inside(xy, size) & (frame < num_frames)
    count = np.bincount(frame[keep], minlength=num_frames).astype(np.float64)
    sums = [np.bincount(frame[keep], weights=xy[keep, axis], minlength=num_frames) for axis in (0, 1)]
    with np.errstate(invalid="ignore"):
        return (np.stack(sums, axis=1) / count[:, None]).astype(np.float32)


def is_inside(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Tell which points (k, 2) lie within a frame of (H, W): bool (k,). NaN lies outside."""
    x, y = points[:, 0], points[:, 1]
    return (x >= 0) & (x < size[1]) & (y >= 0) & (y < size[0])


def fixation_map(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Mark the pixels that hold a point: bool (H, W). A point at x, y lies in pixel floor(x), floor(y)."""
    fixated = np.zeros(size, dtype=bool)
    x, y = np.floor(points[is_inside(points, size)]).astype(np.int64).T
    fixated[y, x] = True
    return fixated


def density_map(points: np.ndarray, size: tuple[int, int], sigma: float) -> np.ndarray:
    """Put a Gaussian on every fixated pixel, divide by the maximum: float32 (H, W) in [0, 1], all 0 without any.

    Two observers in one pixel count once, as in the authors' `make_gauss_masks.m`, which starts from the
    fixation map.

    Args:
        points: (k, 2) x, y in pixels; those outside of the frame are left out.
        size: (H, W).
        sigma: standard deviation in pixels.
    """
    pixels = np.unique(np.floor(points[is_inside(points, size)]), axis=0)
    if not len(pixels):
        return np.zeros(size, dtype=np.float32)
    # A sum of isotropic Gaussians is the matrix product of its factors along y and x.
    along_y = np.exp(-0.5 * ((np.arange(size[0]) - pixels[:, 1:]) / sigma) ** 2)  # (k, H)
    along_x = np.exp(-0.5 * ((np.arange(size[1]) - pixels[:, :1]) / sigma) ** 2)  # (k, W)
    total = along_y.T @ along_x
    return (total / total.max()).astype(np.float32)
