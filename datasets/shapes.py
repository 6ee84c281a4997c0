"""A generated segmentation data set: coloured, striped shapes on noisy backgrounds, small enough for a CPU.

An image is a pure function of (seed, split, index); nothing is downloaded or written. The shape decides the
class. The hue tells it roughly: each class has one, and neighbouring classes' hues overlap.
"""

import colorsys
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from saliency.data.labelled_images import Augmentation, SegmentationSamples
from saliency.types import InputSpec

CLASSES = ("background", "disc", "square", "triangle", "cross")
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """The data set as the training loop wants it (see `saliency.config.run.Data`).

    Attributes:
        seed: of all images.
        train_images: training images.
        val_images: validation images.
        test_images: test images, which no training run looks at.
        size: (H, W) in pixels, multiples of 32.
        most: largest number of shapes in an image; at least one is there.
        noise: standard deviation of the pixels' noise in levels of 255.
        hue_spread: standard deviation of a shape's hue around its class's, on a colour circle of length 1 on which
            the classes are 1/4 apart.
        augmentation: of training images.
    """

    seed: int = 0
    train_images: int = 256
    val_images: int = 128
    test_images: int = 256
    size: tuple[int, int] = (64, 64)
    most: int = 5
    noise: float = 12.0
    hue_spread: float = 0.1
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(flip=True, shift=6))

    def __post_init__(self) -> None:
        if self.size[0] % 32 or self.size[1] % 32 or min(self.size) < 32:
            raise ValueError(f"size must be multiples of 32, got {self.size}")
        if min(self.train_images, self.val_images, self.test_images, self.most) < 1:
            raise ValueError("Shapes needs at least one image in each split and one shape in an image")

    def training(self, views: Mapping[str, InputSpec]) -> SegmentationSamples:
        """Augmented training images."""
        return SegmentationSamples(self.images("train"), views, self.size, augmentation=self.augmentation)

    def validation(self, views: Mapping[str, InputSpec]) -> SegmentationSamples:
        """Validation images as they are."""
        return SegmentationSamples(self.images("val"), views, self.size)

    def test(self, views: Mapping[str, InputSpec]) -> SegmentationSamples:
        """Test images as they are."""
        return SegmentationSamples(self.images("test"), views, self.size)

    def images(self, split: Literal["train", "val", "test"]) -> "ShapeImages":
        """The images of a split."""
        return ShapeImages(self, split)


class ShapeImages:
    """The drawn images of a split; see `saliency.data.labelled_images.LabelledImages`."""

    def __init__(self, config: Shapes, split: Literal["train", "val", "test"]) -> None:
        counts = (config.train_images, config.val_images, config.test_images)
        number = SPLITS.index(split)
        self.split = split
        self.drawn = [draw(np.random.default_rng((config.seed, number, i)), config) for i in range(counts[number])]

    def __len__(self) -> int:
        return len(self.drawn)

    def name(self, i: int) -> str:
        """Name of an image."""
        return f"shapes/{self.split}/{i:04d}"

    def read(self, i: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Image (H, W, 3) and labels (H, W)."""
        return self.drawn[i]


def draw(rng: np.random.Generator, config: Shapes) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw an image (H, W, 3) and its labels (H, W); later shapes cover earlier ones."""
    height, width = config.size
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    dark, light = rng.uniform(30, 225, (2, 1)) + rng.uniform(-20, 20, (2, 3))  # nearly grey
    image = dark + (light - dark) * _ramp(rng, x, y)[..., None]  # (H, W, 3)
    labels = np.zeros((height, width), np.uint8)
    for _ in range(int(rng.integers(1, config.most + 1))):
        kind = int(rng.integers(1, len(CLASSES)))
        radius = rng.uniform(0.12, 0.24) * min(height, width)
        inside = _shape(
            kind, x - rng.uniform(0, width), y - rng.uniform(0, height), radius, rng.uniform(0, 2 * math.pi)
        )
        hue = rng.normal((kind - 1) / (len(CLASSES) - 1), config.hue_spread) % 1
        saturation, bright, dim = rng.uniform((0.5, 0.6, 0.3), (1.0, 1.0, 0.6))
        value = bright if rng.random() < 0.5 else dim  # plain or striped
        colours = 255 * np.array([colorsys.hsv_to_rgb(hue, saturation, v) for v in (bright, value)])
        stripes = np.sin(_ramp(rng, x, y) * rng.uniform(20, 60)) > 0
        image[inside] = colours[stripes[inside].astype(int)]
        labels[inside] = kind
    image += rng.normal(0, config.noise, image.shape)
    return np.clip(np.round(image), 0, 255).astype(np.uint8), labels


def _shape(kind: int, x: NDArray[np.float64], y: NDArray[np.float64], radius: float, angle: float) -> NDArray[np.bool_]:
    """Pixels inside a shape; x, y are seen from its centre."""
    u = x * math.cos(angle) + y * math.sin(angle)
    v = y * math.cos(angle) - x * math.sin(angle)
    match CLASSES[kind]:
        case "disc":
            return u**2 + v**2 < radius**2
        case "square":
            return np.maximum(np.abs(u), np.abs(v)) < 0.85 * radius
        case "triangle":
            return (v > -0.6 * radius) & (v < 1.2 * radius - 1.8 * np.abs(u))
        case "cross":
            return (np.minimum(np.abs(u), np.abs(v)) < 0.33 * radius) & (
                np.maximum(np.abs(u), np.abs(v)) < 1.1 * radius
            )
        case name:
            raise ValueError(f"no shape for class {name}")


def _ramp(rng: np.random.Generator, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """(H, W) a slope from 0 to 1 in a random direction."""
    angle = rng.uniform(0, 2 * math.pi)
    along = x * math.cos(angle) + y * math.sin(angle)
    return (along - along.min()) / (along.max() - along.min())
