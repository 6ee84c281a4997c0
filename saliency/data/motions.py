"""Motions of a camera over a photograph: where every point of it lies in each frame, exactly.

A frame is the photograph as a `Pose` shows it, and the pose moves points by the same formula. So a fixation stays on
its pixel whatever the motion.

Positions are x, y in pixels, a pixel's centre at a half (`saliency.gaze.recording`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Motion = Literal["still", "pan", "zoom", "shake", "object", "parallax", "roll"]

LEARNT: tuple[Motion, ...] = ("still", "pan", "zoom", "shake", "object")
"""What animated training videos show."""

HELD_OUT: tuple[Motion, ...] = ("parallax", "roll")
"""What they never show: kept for asking how well a model copes with other motions."""

MOTIONS: tuple[Motion, ...] = (*LEARNT, *HELD_OUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """How one frame shows a photograph.

    Attributes:
        centre: x, y of the photograph's point in the middle of the frame.
        zoom: pixels of the frame for one of the photograph.
        angle: radians by which the photograph is turned, from x to y.
        slide: pixels by which the photograph's lowest row, the nearest, lies further right than its highest.
        height: rows of the photograph.
    """

    centre: tuple[float, float]
    zoom: float = 1.0
    angle: float = 0.0
    slide: float = 0.0
    height: int = 1

    def move(self, points: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.float64]:
        """Return where points (k, 2) of the photograph lie in a frame of (H, W)."""
        x, y = np.asarray(points, dtype=np.float64).T
        slid = np.stack((x + self._shift(y), y), axis=1) - self.centre
        return self.zoom * slid @ self._turn().T + np.array(size[::-1]) / 2

    def show(self, picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        """Return the frame (H, W, 3) that shows `picture` (h, w, 3); beyond its edges it is mirrored."""
        rows, columns = np.indices(size) + 0.5
        away = np.stack((columns - size[1] / 2, rows - size[0] / 2), axis=-1)  # (H, W, 2)
        at = away @ self._turn() / self.zoom + self.centre
        at[..., 0] -= self._shift(at[..., 1])
        at = (at - 0.5).astype(np.float32)  # OpenCV's pixel centres are whole numbers
        frame = cv2.remap(picture, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        return np.asarray(frame, dtype=np.uint8)

    def _turn(self) -> NDArray[np.float64]:
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.array([[cos, -sin], [sin, cos]])

    def _shift(self, y: NDArray[np.floating]) -> NDArray[np.floating]:
        """Nearness grows with the square of the row: a ground plane under a far background."""
        return self.slide * (y / self.height) ** 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """A small disc of two colours that moves over a shot.

    Attributes:
        centres: (n, 2) x, y in each frame.
        radius: in pixels.
        colours: of its halves, RGB.
    """

    centres: NDArray[np.float64]
    radius: float
    colours: tuple[tuple[int, int, int], tuple[int, int, int]]

    def paste(self, frame: NDArray[np.uint8], i: int) -> NDArray[np.uint8]:
        """Return frame `i` (H, W, 3) with the disc on it, its edge one pixel soft."""
        x0, y0 = np.maximum(np.floor(self.centres[i] - self.radius - 1), 0).astype(int)
        x1, y1 = np.ceil(self.centres[i] + self.radius + 1).astype(int)
        box = frame[y0:y1, x0:x1]
        rows, columns = np.indices(box.shape[:2]) + 0.5
        x, y = columns + x0 - self.centres[i, 0], rows + y0 - self.centres[i, 1]
        cover = np.clip(self.radius + 0.5 - np.hypot(x, y), 0, 1)[..., None]
        turned = (x * np.cos(0.3 * i) + y * np.sin(0.3 * i) > 0)[..., None]  # it rolls
        disc = np.where(turned, *(np.array(colour, dtype=np.float64) for colour in self.colours))
        pasted = frame.copy()
        pasted[y0:y1, x0:x1] = np.round(box * (1 - cover) + disc * cover).astype(np.uint8)
        return pasted


def draw_poses(
    motion: Motion,
    picture: tuple[int, int],
    size: tuple[int, int],
    count: int,
    *,
    fps: float,
    random: np.random.Generator,
) -> tuple[Pose, ...]:
    """Draw how a camera goes over a photograph.

    Args:
        motion: which kind.
        picture: (h, w) of the photograph, no side shorter than the frame's.
        size: (H, W) of the frames.
        count: frames.
        fps: of them, per second.
        random: decides the rest.

    Returns:
        A pose for each frame. The photograph fills the frame but for a few pixels in the corners.
    """
    seconds = np.arange(count) / fps
    way = np.linspace(0, 1, count) if count > 1 else np.zeros(1)  # from start to end
    zoom, angle, slide = np.ones(count), np.zeros(count), np.zeros(count)
    place = np.full((count, 2), 0.5)  # 0 .. 1 of the room that the frame leaves
    jitter = np.zeros((count, 2))
    if motion == "pan":
        zoom += random.uniform(0.25, 0.6)
        start = random.uniform(0, 1, 2)
        end = np.where(random.random(2) < 0.5, np.round(1 - start), random.uniform(0, 1, 2))
        place = start + way[:, None] * (end - start)
    elif motion == "zoom":
        ends = (1.0, random.uniform(1.3, 1.7))
        near, far = ends if random.random() < 0.5 else ends[::-1]
        zoom = near * (far / near) ** way
        place[:] = random.uniform(0.2, 0.8, 2)
    elif motion == "shake":
        zoom += 0.12
        jitter = 0.012 * size[1] * _tremor(seconds, 2, random)
        angle = np.deg2rad(0.6) * _tremor(seconds, 1, random)[:, 0]
    elif motion == "parallax":
        zoom += 0.25
        slide = (way - 0.5) * random.choice((-1, 1)) * random.uniform(0.08, 0.16) * picture[1]
    elif motion == "roll":
        zoom += 0.3
        angle = np.deg2rad(random.uniform(4, 8)) * np.sin(2 * np.pi * (seconds * 0.4 + random.random()))
    half = np.array(size[::-1]) / 2 / zoom[:, None]  # (n, 2) of what the frame shows of the photograph
    room = np.maximum(np.array(picture[::-1]) - 2 * half, 0)
    centres = half + place * room + jitter
    return tuple(
        Pose(centre=(float(x), float(y)), zoom=float(z), angle=float(a), slide=float(s), height=picture[0])
        for (x, y), z, a, s in zip(centres, zoom, angle, slide, strict=True)
    )


def draw_thing(size: tuple[int, int], count: int, random: np.random.Generator) -> Thing:
    """Draw a small thing that crosses frames of (H, W) on a slightly bent way."""
    start, end = random.uniform(0.15, 0.85, (2, 2))
    if np.hypot(*(end - start)) < 0.4:
        end = (start + 0.5) % 1 * 0.7 + 0.15
    way = np.linspace(0, 1, count)[:, None] if count > 1 else np.zeros((1, 1))
    bend = np.array((start[1] - end[1], end[0] - start[0])) * random.uniform(-0.3, 0.3)
    places = np.clip(start + way * (end - start) + np.sin(np.pi * way) * bend, 0.05, 0.95)
    first, second = (tuple(int(c) for c in random.integers(0, 256, 3)) for _ in range(2))
    radius = random.uniform(0.02, 0.045) * size[1]
    return Thing(
        centres=places * size[::-1],
        radius=float(radius),
        colours=((first[0], first[1], first[2]), (second[0], second[1], second[2])),
    )


def _tremor(seconds: NDArray[np.float64], axes: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return a sum of slow and fast swings, (n, axes), mostly within -1 .. 1.

    A hand that holds a camera moves below about 10 Hz, the slower the further.
    """
    hertz = random.uniform((0.3, 1.0, 3.0), (1.0, 3.0, 8.0), (axes, 3))
    phase = random.uniform(0, 2 * np.pi, (axes, 3))
    swings = np.sin(2 * np.pi * seconds[:, None, None] * hertz + phase)  # (n, axes, 3)
    return swings @ np.array((0.6, 0.3, 0.15))


def cover(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize a picture in its own shape to the smallest size that covers a frame of (H, W)."""
    height, width = covering(picture.shape[:2], size)
    small = width < picture.shape[1]
    resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if small else cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)


def covering(picture: Sequence[int], size: tuple[int, int]) -> tuple[int, int]:
    """Return the (h, w) of `cover` for a picture of (h, w)."""
    scale = max(size[0] / picture[0], size[1] / picture[1])
    return max(size[0], round(picture[0] * scale)), max(size[1], round(picture[1] * scale))
