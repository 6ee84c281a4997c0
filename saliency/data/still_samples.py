"""Training samples of photographs: crops, mirror images and colours, the gaze moved along exactly.

The photographs are kept in memory at a fixed size. The density of a sample is made from its fixations after they
were moved, so that it is as sharp at the edges of a crop as anywhere.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saliency.data.still_video import StillData, StillVideo, stills
from saliency.data.targets import Key
from saliency.errors import InputError
from saliency.io.images import read_image
from saliency.io.transforms import make_clip, resize_frames
from saliency.types import Batch, InputSpec, SaliencyTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is random in a training sample.

    Attributes:
        crop: probability of showing only a part.
        smallest: least share of the height and of the width that a part has.
        stretch: greatest factor by which a part is wider or higher than the photograph's own shape.
        flip: probability of a mirror image.
        colour: probability of other brightness, contrast, saturation and hue.
        grey: probability of a picture without colour.
        looked: least share of the fixations that a part must hold; another one is drawn otherwise.
    """

    crop: float = 0.7
    smallest: float = 0.6
    stretch: float = 1.25
    flip: float = 0.5
    colour: float = 0.8
    grey: float = 0.1
    looked: float = 0.4


@dataclass(frozen=True, slots=True)
class StillSample:
    """A photograph on its way to the models.

    Attributes:
        pixels: (H, W) -> (3, H, W) uint8, one for each size among the learners.
        density: (h, w) float32 >= 0 on the common grid.
        fixations: (h, w) bool on the common grid.
        id: ``"<set>/<name>"``.
    """

    pixels: Mapping[tuple[int, int], Tensor]
    density: Tensor
    fixations: Tensor
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StillClips:
    """Several sets of photographs as the training loop wants them (see `saliency.config.run.Data`).

    Attributes:
        sources: the sets; every photograph comes up once in an epoch.
        grid: (H, W) on which predictions and ground truth meet.
        kept: (H, W) of the photographs in memory.
        changes: what is random in training.
        repeats: how often a photograph comes up in an epoch.
        length: frames in a clip; None: as many as the model wants. 1 spares a model work whose answer to equal
            frames does not depend on their number.
    """

    sources: tuple[StillData, ...]
    grid: tuple[int, int] = (96, 128)
    kept: tuple[int, int] = (288, 384)
    changes: Changes = Changes()
    repeats: int = 1
    length: int | None = None

    def training(self, views: Mapping[str, InputSpec]) -> "StillSamples":
        """Changed photographs of the training split."""
        return StillSamples(self, self._videos("train"), self._views(views), changes=self.changes)

    def validation(self, views: Mapping[str, InputSpec]) -> "StillSamples":
        """Whole photographs of the validation split."""
        return StillSamples(self, self._videos("val"), self._views(views), changes=None)

    def _videos(self, split: str) -> list[tuple[str, StillVideo]]:
        return [(source.name, video) for source in self.sources for video in stills(source, split)]

    def _views(self, views: Mapping[str, InputSpec]) -> dict[str, InputSpec]:
        return {n: spec if self.length is None else replace(spec, length=self.length) for n, spec in views.items()}


class StillSamples:
    """Samples of photographs for the views of some learners.

    In training the key is ``(seed, epoch, index)`` and the sample a pure function of it; in validation (`changes`
    is None) the index, and the sample the whole photograph.
    """

    def __init__(
        self,
        config: StillClips,
        videos: Sequence[tuple[str, StillVideo]],
        views: Mapping[str, InputSpec],
        *,
        changes: Changes | None,
    ) -> None:
        self.config, self.named, self.views, self.changes = config, list(videos), dict(views), changes
        self.images = np.stack([_read(video, config.kept) for video in self.videos])  # (n, H, W, 3) uint8
        self.sizes = sorted({spec.size for spec in self.views.values()})

    @property
    def videos(self) -> list[StillVideo]:
        """The photographs."""
        return [video for _, video in self.named]

    def __len__(self) -> int:
        return len(self.named) * (self.config.repeats if self.changes is not None else 1)

    def fingerprint(self) -> str:
        """Return a hash of the photographs as they are kept and of their fixations."""
        digest = hashlib.sha256(self.images.tobytes())
        for name, video in self.named:
            digest.update(f"{name}/{video.id}\0{video.sigma}\n".encode())
            digest.update(video.gaze().points.tobytes())
        return digest.hexdigest()

    def __getitem__(self, key: int | Key) -> StillSample:
        if (self.changes is None) != isinstance(key, int):
            raise TypeError(f"training keys are (seed, epoch, index), validation keys numbers; got {key!r}")
        index = key if isinstance(key, int) else key[2] % len(self.named)
        name, video = self.named[index]
        picture = self.images[index]
        points = video.gaze().points / np.array(video.size[::-1], dtype=np.float32)  # (k, 2) in [0, 1] of the picture
        box = (0.0, 0.0, 1.0, 1.0)
        if not isinstance(key, int):
            assert self.changes is not None
            random = np.random.default_rng(key)
            box = draw_box(self.changes, points, picture.shape[:2], random)
            picture = cut(picture, box)
            picture = change_colours(picture, self.changes, random)
            if random.random() < self.changes.flip:
                picture = np.ascontiguousarray(picture[:, ::-1])
                points = points * _array((-1, 1)) + _array((1, 0))
                box = (1 - box[2], box[1], 1 - box[0], box[3])
        moved = (points - _array(box[:2])) / _array((box[2] - box[0], box[3] - box[1]))
        # sigma is a share of the photograph's width: it grows with the magnification, along each axis
        width, height = video.size[1], video.size[0]
        sigma = (video.sigma / width / (box[2] - box[0]), video.sigma / height / (box[3] - box[1]))
        density, fixated = targets(moved, self.config.grid, sigma)
        frames = torch.from_numpy(picture)[None]
        return StillSample(
            pixels={size: resize_frames(frames, size)[0] for size in self.sizes},
            density=torch.from_numpy(density),
            fixations=torch.from_numpy(fixated),
            id=f"{name}/{video.id}",
        )

    def prepare(self, samples: Sequence[StillSample], device: torch.device | str) -> Batch[SaliencyTarget]:
        """Make the models' inputs and the target of a batch on `device`; a still fills its whole clip."""
        inputs = {}
        for name, spec in self.views.items():
            pixels = torch.stack([sample.pixels[spec.size] for sample in samples]).to(device)  # (B, 3, h, w)
            clip = make_clip(pixels[:, None], replace(spec, length=1))  # (B, 3, 1, h, w)
            inputs[name] = clip.expand(-1, -1, spec.length, -1, -1)
        target = SaliencyTarget(
            density=torch.stack([sample.density for sample in samples]).to(device),
            fixations=torch.stack([sample.fixations for sample in samples]).to(device),
        )
        return Batch(inputs=inputs, target=target, ids=[sample.id for sample in samples])


Box = tuple[float, float, float, float]
"""left, top, right, bottom as shares of the picture."""


def draw_box(changes: Changes, points: NDArray[np.float32], size: tuple[int, ...], random: np.random.Generator) -> Box:
    """Draw the part of a photograph (H, W) that a sample shows, in whole pixels of it."""
    whole = (0.0, 0.0, 1.0, 1.0)
    if random.random() >= changes.crop:
        return whole
    for _ in range(4):
        scale = random.uniform(changes.smallest, 1.0)
        stretch = np.exp(random.uniform(-1, 1) * np.log(changes.stretch) / 2)
        width, height = min(1.0, scale * stretch), min(1.0, scale / stretch)
        left, top = random.uniform(0, 1 - width), random.uniform(0, 1 - height)
        box = snapped((left, top, left + width, top + height), size)
        inside = (points >= box[:2]).all(axis=1) & (points < box[2:]).all(axis=1)
        if inside.mean() >= changes.looked:
            return box
    return whole


def snapped(box: Box, size: tuple[int, ...]) -> Box:
    """Return the nearest box of whole pixels of a picture (H, W)."""
    height, width = size
    left, right = round(box[0] * width), round(box[2] * width)
    top, bottom = round(box[1] * height), round(box[3] * height)
    return left / width, top / height, right / width, bottom / height


def cut(picture: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Cut a box of whole pixels out of a picture (H, W, 3)."""
    height, width = picture.shape[:2]
    left, top, right, bottom = box
    return picture[round(top * height) : round(bottom * height), round(left * width) : round(right * width)]


def change_colours(picture: NDArray[np.uint8], changes: Changes, random: np.random.Generator) -> NDArray[np.uint8]:
    """Change brightness, contrast, saturation and hue of a picture (H, W, 3), or take its colour away."""
    if random.random() < changes.grey:
        picture = np.repeat(np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)[:, :, None], 3, axis=2)
    if random.random() >= changes.colour:
        return np.ascontiguousarray(picture)
    contrast, gain, hue, saturation = random.uniform(0.7, 1.3, 4)
    # one 3x4 matrix does it all: saturation mixes with grey, a small turn around the grey axis is the hue
    grey = _array((0.299, 0.587, 0.114))  # ITU-R BT.601
    mix = saturation * np.eye(3, dtype=np.float32) + (1 - saturation) * grey
    angle = (hue - 1) * np.pi / 8
    axis = np.full(3, 1 / np.sqrt(3))
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    turn = np.cos(angle) * np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * np.outer(axis, axis)
    matrix = gain * contrast * (turn @ mix)
    shift = gain * (1 - contrast) * float(cv2.mean(picture)[1])
    return np.asarray(cv2.transform(picture, np.hstack((matrix, np.full((3, 1), shift))).astype(np.float32)), np.uint8)


def targets(
    points: NDArray[np.float32], grid: tuple[int, int], sigma: tuple[float, float]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the density, float32, and the fixation map, bool, on a grid (H, W).

    Args:
        points: (k, 2) x, y as shares of the picture; those outside of it count for the density near the edges.
        grid: (H, W).
        sigma: standard deviation of the density along x and y, as a share of the picture.
    """
    height, width = grid
    across = (np.arange(width, dtype=np.float32) + 0.5) / width
    down = (np.arange(height, dtype=np.float32) + 0.5) / height
    inside = ((points >= 0) & (points < 1)).all(axis=1)
    points = points[inside]
    along_x = np.exp(-0.5 * ((across - points[:, :1]) / np.float32(sigma[0])) ** 2)  # (k, W)
    along_y = np.exp(-0.5 * ((down - points[:, 1:]) / np.float32(sigma[1])) ** 2)  # (k, H)
    fixated = np.zeros(grid, dtype=bool)
    fixated[(points[:, 1] * height).astype(int), (points[:, 0] * width).astype(int)] = True
    return along_y.T @ along_x, fixated


def _array(numbers: Sequence[float]) -> NDArray[np.float32]:
    return np.array(numbers, dtype=np.float32)


def _read(video: StillVideo, size: tuple[int, int]) -> NDArray[np.uint8]:
    image = read_image(video.path)
    if image.shape[:2] != tuple(video.size):
        raise InputError(f"{video.path}: is {image.shape[1]}x{image.shape[0]} but its fixations were recorded on "
                         f"{video.size[1]}x{video.size[0]} pixels; fetch it again")  # fmt: skip
    return resize_frames(torch.from_numpy(image)[None], size)[0].permute(1, 2, 0).contiguous().numpy()
