"""The moving pictures of the embedded data set: textured things over textured backgrounds, from a seed.

A video is one to three *shots*. A shot has a background seen by a (still, panning or shaky) camera and
some *things*: movers that go their own way, clutter that stands still in the world, flicker that stands
still and blinks. The viewers of `mini_viewers.py` look at the same description that is rendered here, so
what attracts gaze (motion against the background, contrast, size, onsets) is always visible.

Coordinates are pixels of the frame, x to the right, y down, pixel centres at whole numbers.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Kind = Literal["mover", "clutter", "flicker"]

REFERENCE_WIDTH = 192.0
"""Speeds and lengths below are written for this frame width and scale with the real one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One visible thing during one shot of n frames.

    Attributes:
        kind: what it is; the viewers never read this, only what follows.
        sprite: (h, w, 4) float32, RGB in [0, 255] and opacity in [0, 1], the thing at scale 1.
        path: (n, 2) x, y of its centre on the screen.
        angle: (n,) degrees, counter-clockwise.
        scale: (n,) size factor.
        opacity: (n,) 0 before it appears, 1 when fully there.
        gain: (n,) brightness factor (flicker).
        contrast: in [0, 1], distance of its colour from the background's.
        radius: mean radius in pixels at scale 1.
        speed: (n,) pixels per frame relative to the background.
        onset: (n,) in [0, 1], how recently it appeared or started to move.
    """

    kind: Kind
    sprite: Floats
    path: Floats
    angle: Floats
    scale: Floats
    opacity: Floats
    gain: Floats
    contrast: float
    radius: float
    speed: Floats
    onset: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """A stretch of n frames without a cut.

    Attributes:
        start: its first frame in the video.
        background: (h, w, 3) float32 in [0, 255], larger than the frame by the camera's way.
        camera: (n, 2) x, y of the frame's upper left corner in the background.
        things: drawn in this order, the last one on top.
    """

    start: int
    background: Floats
    camera: Floats
    things: list[Thing]

    def __len__(self) -> int:
        return len(self.camera)


def make_shots(rng: np.random.Generator, num_frames: int, size: tuple[int, int]) -> list[Shot]:
    """Invent a video.

    Args:
        rng: the only source of chance.
        num_frames: length of the video.
        size: (H, W) of the frames.

    Returns:
        Its shots, in order; their lengths sum to `num_frames`.
    """
    num_shots = int(rng.choice([1, 2, 3], p=[0.45, 0.4, 0.15])) if num_frames >= 36 else 1
    cuts = np.linspace(0, num_frames, num_shots + 1)
    cuts[1:-1] += rng.uniform(-0.1, 0.1, num_shots - 1) * num_frames
    edges = cuts.round().astype(int)
    return [_shot(rng, int(a), int(b - a), size) for a, b in pairwise(edges)]


def render(shot: Shot, index: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Draw frame `index` of a shot, (H, W, 3) uint8 RGB."""
    height, width = size
    x, y = (float(v) for v in shot.camera[index])
    shift = np.array([[1, 0, -x], [0, 1, -y]], np.float32)
    frame = cv2.warpAffine(shot.background, shift, (width, height), flags=cv2.INTER_LINEAR)
    for thing in shot.things:
        if thing.opacity[index] > 0:
            _draw(frame, thing, index)
    return cv2.convertScaleAbs(frame).astype(np.uint8, copy=False)  # rounds and saturates; nothing is below 0


def _draw(frame: np.ndarray, thing: Thing, index: int) -> None:
    """Blend one thing into the frame (in place), at sub-pixel position."""
    height, width = frame.shape[:2]
    h, w = thing.sprite.shape[:2]
    scale, (cx, cy) = float(thing.scale[index]), (float(v) for v in thing.path[index])
    reach = 0.5 * np.hypot(h, w) * scale + 1
    x0, x1 = max(int(cx - reach), 0), min(int(cx + reach) + 2, width)
    y0, y1 = max(int(cy - reach), 0), min(int(cy + reach) + 2, height)
    if x0 >= x1 or y0 >= y1:
        return
    turn = cv2.getRotationMatrix2D(((w - 1) / 2, (h - 1) / 2), float(thing.angle[index]), scale)
    turn[:, 2] += (cx - x0 - (w - 1) / 2, cy - y0 - (h - 1) / 2)
    patch = cv2.warpAffine(thing.sprite, turn, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
    alpha = patch[..., 3:] * float(thing.opacity[index])
    region = frame[y0:y1, x0:x1]
    region += alpha * (patch[..., :3] * float(thing.gain[index]) - region)


def _shot(rng: np.random.Generator, start: int, n: int, size: tuple[int, int]) -> Shot:
    """Invent one shot: camera, background, then clutter, flicker and movers from the back to the front."""
    height, width = size
    unit = width / REFERENCE_WIDTH
    camera = _camera(rng, n, unit)
    margin = int(np.ceil(camera.max())) + 2
    colour = rng.uniform(50, 200, 3)
    background = _background(rng, height + margin, width + margin, colour, unit)

    clutter = [_standing(rng, camera, size, colour, "clutter") for _ in range(rng.integers(2, 6))]
    flicker = [_standing(rng, camera, size, colour, "flicker") for _ in range(rng.random() < 0.3)]
    movers = [
        _mover(rng, camera, size, colour, late=i > 0)
        for i in range(rng.choice([1, 2, 3, 4], p=[0.25, 0.35, 0.25, 0.15]))
    ]
    movers.sort(key=lambda thing: -thing.radius)  # small ones on top, so that none is hidden for long
    return Shot(start=start, background=background, camera=camera, things=clutter + flicker + movers)


def _camera(rng: np.random.Generator, n: int, unit: float) -> Floats:
    """Still (45 %), panning (35 %) or shaky (20 %); (n, 2), shifted so that its least x and y are 0."""
    kind = rng.choice(["still", "pan", "shaky"], p=[0.45, 0.35, 0.2])
    t = np.arange(n, dtype=np.float32)[:, None]
    way = np.zeros((n, 2), np.float32)
    if kind == "pan":
        velocity = rng.uniform(0.4, 1.6) * unit * np.array([rng.choice([-1, 1]), rng.normal(0, 0.25)])
        way = t * velocity.astype(np.float32)
    elif kind == "shaky":
        steps = rng.normal(0, 0.9 * unit, (n, 2)).astype(np.float32)
        way = cv2.GaussianBlur(np.cumsum(steps, axis=0), (1, 15), 3, borderType=cv2.BORDER_REPLICATE)
    return (way - way.min(axis=0)).astype(np.float32)


def _noise(rng: np.random.Generator, height: int, width: int, coarsest: float, octaves: int) -> Floats:
    """Smooth noise of about zero mean and unit deviation, each octave half as coarse and 0.6 as strong."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        cell = max(coarsest / 2**octave, 1.0)
        grid = rng.standard_normal((int(height / cell) + 2, int(width / cell) + 2)).astype(np.float32)
        total += 0.6**octave * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return total / max(float(total.std()), 1e-6)


def _background(rng: np.random.Generator, height: int, width: int, colour: np.ndarray, unit: float) -> Floats:
    """A tinted noise landscape of 2 to 5 octaves: from blurred walls to foliage."""
    noise = _noise(rng, height, width, coarsest=rng.uniform(30, 70) * unit, octaves=int(rng.integers(2, 6)))
    tint = rng.normal(0, 1, 3)
    tint = 0.75 + 0.25 * tint / max(np.abs(tint).max(), 1e-6)
    strength = rng.uniform(8, 26)
    return np.clip(colour + strength * noise[..., None] * tint, 0, 255).astype(np.float32)


def _sprite(rng: np.random.Generator, radius: float, contrast: float, background: np.ndarray) -> NDArray[np.float32]:
    """A textured shape (h, w, 4) whose mean colour lies `contrast` * 130 levels from the background's."""
    aspect = rng.uniform(0.65, 1.5)
    rx, ry = radius * np.sqrt(aspect), radius / np.sqrt(aspect)
    half_w, half_h = int(np.ceil(rx)) + 2, int(np.ceil(ry)) + 2
    y, x = np.mgrid[-half_h : half_h + 1, -half_w : half_w + 1].astype(np.float32)
    u, v = x / rx, y / ry

    shape = rng.choice(["ellipse", "box", "blob", "figure"])
    if shape == "ellipse":
        inside = 1 - np.hypot(u, v)
    elif shape == "box":
        inside = 1 - np.maximum(np.abs(u), np.abs(v)) * 1.12
    elif shape == "blob":
        turn = np.arctan2(v, u)
        edge = 0.8 + sum(rng.uniform(0.03, 0.14) * np.cos(k * turn + rng.uniform(0, 6.3)) for k in (2, 3, 5))
        inside = edge - np.hypot(u, v)
    else:  # a head on a body
        inside = np.maximum(1 - np.hypot(u / 0.8, (v - 0.35) / 0.65), 0.45 * (1 - np.hypot(u / 0.4, (v + 0.62) / 0.38)))
    alpha = np.clip(inside * radius + 0.5, 0, 1)  # an edge about one pixel soft

    direction = rng.normal(0, 0.5, 3) + rng.choice([-1, 1])  # mostly lighter or darker, with some hue
    direction /= np.linalg.norm(direction) / np.sqrt(3)
    base = background + 130 * contrast * direction
    base = np.where((base < 5) | (base > 250), background - 130 * contrast * direction, base)
    period = rng.uniform(0.35, 0.8) * radius
    texture = rng.choice(["stripes", "checks", "noise"])
    if texture == "stripes":
        pattern = np.sin(2 * np.pi * (x * np.cos(aspect * 3) + y * np.sin(aspect * 3)) / period)
    elif texture == "checks":
        pattern = np.sign(np.sin(2 * np.pi * x / period) * np.sin(2 * np.pi * y / period))
    else:
        pattern = _noise(rng, *x.shape, coarsest=period, octaves=3)
    rgb = np.clip(base + (15 + 35 * contrast) * pattern[..., None] * rng.uniform(0.6, 1.0, 3), 0, 255)
    return np.concatenate([rgb, alpha[..., None]], axis=2).astype(np.float32)


def _standing(rng: np.random.Generator, camera: Floats, size: tuple[int, int], colour: np.ndarray, kind: Kind) -> Thing:
    """Clutter or flicker: fixed in the world, so on the screen it moves against the camera."""
    height, width = size
    n = len(camera)
    radius = float(rng.uniform(5, 14) * width / REFERENCE_WIDTH)
    contrast = float(rng.uniform(0.3, 0.9))
    place = rng.uniform((0, 0), (width, height)) + camera[n // 2]
    gain = np.ones(n, np.float32)
    if kind == "flicker":
        period = int(rng.integers(3, 7))
        gain = np.where(np.arange(n) // period % 2 == 0, 1.0, 0.55).astype(np.float32)
    return Thing(
        kind=kind,
        sprite=_sprite(rng, radius, contrast, colour),
        path=(place - camera).astype(np.float32),
        angle=np.full(n, rng.uniform(0, 360), np.float32),
        scale=np.ones(n, np.float32),
        opacity=np.ones(n, np.float32),
        gain=gain,
        contrast=contrast,
        radius=radius,
        speed=np.zeros(n, np.float32),
        onset=np.zeros(n, np.float32),
    )


def _mover(rng: np.random.Generator, camera: Floats, size: tuple[int, int], colour: np.ndarray, late: bool) -> Thing:
    """A thing that goes its own way between way points, may rest at first and may appear late."""
    height, width = size
    n = len(camera)
    unit = width / REFERENCE_WIDTH
    radius = float(np.exp(rng.uniform(np.log(6), np.log(20))) * unit)
    contrast = float(rng.uniform(0.25, 1.0))

    # Photographers keep what moves near the middle: way points are broad normals around it.
    pace = int(rng.integers(18, 36))
    stops = rng.normal((0.5, 0.52), (0.26, 0.22), (n // pace + 3, 2)).clip(0.06, 0.94) * (width, height)
    if rng.random() < 0.2:  # comes in from a side
        stops[0, 0] = -radius if rng.random() < 0.5 else width + radius
    t = np.arange(n) / pace
    leg, part = t.astype(int), (t % 1)[:, None]
    part = 0.5 * part + 0.5 * part**2 * (3 - 2 * part)  # between even and eased
    path = stops[leg] * (1 - part) + stops[leg + 1] * part

    onset_at = 0
    opacity = np.ones(n, np.float32)
    event = rng.random()
    if late and event < 0.3 and n > 20:  # appears
        onset_at = int(rng.integers(8, n - 8))
        opacity = np.clip((np.arange(n) - onset_at) / 2, 0, 1).astype(np.float32)
    elif event < 0.5 and n > 20:  # rests in the world, then starts
        onset_at = int(rng.integers(6, n // 2 + 1))
        rest = np.maximum(np.arange(n) - onset_at, 0)
        path = path[rest] + (camera[onset_at] - camera) * (np.arange(n) < onset_at)[:, None]
    since = np.arange(n) - onset_at
    onset = np.where((since >= 0) & (onset_at > 0), np.exp(-np.maximum(since, 0) / 10), 0)

    path = path.astype(np.float32)
    speed = np.linalg.norm(np.diff(path + camera, axis=0, prepend=(path + camera)[:1]), axis=1)
    speed[0] = speed[1] if n > 1 else 0
    wobble = rng.uniform(0, 6.3) + np.arange(n) * rng.uniform(0.05, 0.3)
    return Thing(
        kind="mover",
        sprite=_sprite(rng, radius, contrast, colour),
        path=path,
        angle=(rng.uniform(0, 12) * np.sin(wobble)).astype(np.float32),
        scale=(1 + rng.uniform(0, 0.2) * np.sin(0.3 * wobble)).astype(np.float32),
        opacity=opacity,
        gain=np.ones(n, np.float32),
        contrast=contrast,
        radius=radius,
        speed=cv2.blur(speed.astype(np.float32)[:, None], (1, 5))[:, 0],
        onset=onset.astype(np.float32),
    )
