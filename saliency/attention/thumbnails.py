"""Choose the frames that say most in one picture.

A frame is good when attention is gathered in it and when it is sharp where people look. Both are compared inside the
film: a frame's score is the mean of its rank in ``1 - spread`` and its rank in sharpness, each from 0 (worst frame)
to 1 (best). Frames that are nearly black or white, and those within `MARGIN` seconds of a cut, are left out while
there are others. The best frame is taken first; further ones come from scenes that have none yet, then from
anywhere at least `APART` of the film away, then from anywhere.
"""

from collections.abc import Sequence

import cv2
import numpy as np

MARGIN = 0.2
APART = 0.1
_DARK, _BRIGHT = 0.06, 0.94


def look(frame: np.ndarray, shares: np.ndarray) -> tuple[float, float]:
    """Return sharpness and brightness of a frame.

    Args:
        frame: uint8 (H, W, 3) RGB.
        shares: its map (h, w) that sums to 1.

    Returns:
        Sharpness: mean absolute Laplacian of the grey picture at the map's size, weighted by the map, in [0, 8].
        Brightness: mean grey level in [0, 1].
    """
    small = cv2.resize(frame, shares.shape[::-1], interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255  # (h, w)
    edges = np.abs(cv2.Laplacian(grey, cv2.CV_32F, borderType=cv2.BORDER_REPLICATE))
    return float((edges * shares).sum()), float(grey.mean())


def choose(
    spread: np.ndarray, sharpness: np.ndarray, brightness: np.ndarray, cuts: Sequence[int], fps: float, count: int
) -> list[int]:
    """Return up to `count` frames, the best one first.

    Args:
        spread: (n,) of `saliency.attention.focus.Focus`.
        sharpness: (n,) of `look`.
        brightness: (n,) of `look`.
        cuts: frames that begin a new scene, growing.
        fps: frames per second.
        count: how many are wanted; fewer are returned only if the film has fewer frames.
    """
    frames = np.arange(len(spread))
    score = (_rank(-spread) + _rank(sharpness)) / 2
    allowed = (brightness > _DARK) & (brightness < _BRIGHT)
    for cut in cuts:
        allowed &= np.abs(frames + 0.5 - cut) >= MARGIN * fps
    order = sorted(frames.tolist(), key=lambda i: (not allowed[i], -score[i], i))
    scene = np.searchsorted(np.asarray(cuts), frames, side="right")
    chosen: list[int] = []

    def new_scene(i: int) -> bool:
        return all(scene[i] != scene[j] for j in chosen)

    def far(i: int) -> bool:
        return all(abs(i - j) >= max(APART * len(frames), 1) for j in chosen)

    def fresh(i: int) -> bool:
        return i not in chosen

    good = [i for i in order if allowed[i]]
    for frames_left, fits in ((good, new_scene), (good, far), (good, fresh), (order, fresh)):
        for i in frames_left:
            if len(chosen) < count and fits(i):
                chosen.append(i)
    return chosen


def _rank(values: np.ndarray) -> np.ndarray:
    """Return each value's rank from 0 (lowest) to 1 (highest); equal values share the mean of their ranks."""
    below = np.searchsorted(np.sort(values), values, side="left")
    upto = np.searchsorted(np.sort(values), values, side="right")
    return (below + upto - 1) / 2 / max(len(values) - 1, 1)
