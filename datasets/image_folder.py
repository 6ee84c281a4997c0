"""Labelled images in one folder per class, the layout of ImageNet.

    ROOT/train/n01440764/n01440764_10026.JPEG      ROOT/val/n01440764/ILSVRC2012_val_00000293.JPEG

Classes are numbered in the alphabetical order of their folders, as every published ImageNet model expects.
An image is decoded once for all learners; each gets its own size, crop, interpolation and normalisation of it.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torchvision.transforms.v2.functional as TF
from PIL import Image
from torch import Tensor

from saliency.data.quarantine import Problem, Quarantine, indices, read_or_replace
from saliency.data.targets import Key
from saliency.errors import InputError
from saliency.io.transforms import normalise
from saliency.types import Batch, ImageSpec, InputSpec

SUFFIXES = (".jpeg", ".jpg", ".png", ".webp", ".bmp")
RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

Geometry = tuple[tuple[int, int], float, str]
"""What of an `ImageSpec` decides the pixels: size, crop, interpolation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """Random changes of a training image, the same for all learners; the defaults are timm's.

    Attributes:
        area: smallest and largest share of the image's area that is cut out.
        ratio: smallest and largest width / height of the cut-out.
        flip: probability of a mirror image.
        jitter: brightness, contrast and saturation change by a factor of up to 1 ± this.
    """

    area: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5
    jitter: float = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFolder:
    """Training and validation images below one folder.

    Attributes:
        root: holds the folders `train` and `val`.
        train: name of the training folder.
        val: name of the validation folder.
        augmentation: None shows training images as validation images, which is what the Bi-KD paper says; its
            published code augments.
        share: part of each class's training images that is used, at least one.
        subset_seed: chooses that part.
    """

    root: Path = Path("data/imagenet")
    train: str = "train"
    val: str = "val"
    augmentation: Augmentation | None = None
    share: float = 1.0
    subset_seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be in (0, 1], got {self.share}")

    def training(self, views: Mapping[str, InputSpec]) -> "FolderImages":
        """The training images."""
        classes = self.classes()
        files = list_images(self.root / self.train, classes)
        if self.share < 1:
            random = np.random.default_rng(self.subset_seed)
            files = [
                [own[i] for i in sorted(random.permutation(len(own))[: max(1, round(self.share * len(own)))])]
                for own in files
            ]
        return FolderImages(files, views, self.augmentation)

    def validation(self, views: Mapping[str, InputSpec]) -> "FolderImages":
        """The validation images, resized and cut out of the centre."""
        return FolderImages(list_images(self.root / self.val, self.classes()), views, None)

    def classes(self) -> list[str]:
        """Names of the classes, in the order of their numbers.

        Raises:
            InputError: there is no training folder, or it holds no class folders.
        """
        folder = self.root / self.train
        names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        if not names:
            raise InputError(f"{folder} has no class folders; expected {folder}/CLASS/IMAGE.jpg (set data.root)")
        return names


def list_images(folder: Path, classes: list[str]) -> list[list[Path]]:
    """Return the images of each class in `folder`, sorted by name.

    Raises:
        InputError: a class has no folder or no images.
    """
    found = []
    for name in classes:
        own = folder / name
        paths = sorted(p for p in own.iterdir() if p.suffix.lower() in SUFFIXES) if own.is_dir() else []
        if not paths:
            raise InputError(f"{own} holds no images; every class of the training folder needs some there")
        found.append(paths)
    return found


@dataclass(frozen=True, slots=True)
class ImageSample:
    """One decoded image.

    Attributes:
        pixels: geometry -> (3, H, W) uint8.
        label: class number.
        id: file name below its split.
        problems: images that were drawn first and could not be read.
    """

    pixels: dict[Geometry, Tensor]
    label: int
    id: str
    problems: tuple[Problem, ...] = ()


class FolderImages:
    """Images as a `saliency.config.run.Samples`.

    A training image that cannot be read is replaced by another; `prepare` names it, and gives up beyond 1 % of
    the images. A validation image that cannot be read is an error.

    Args:
        files: the images of each class.
        views: the learners' input specs.
        augmentation: None for none.
    """

    def __init__(
        self, files: list[list[Path]], views: Mapping[str, InputSpec], augmentation: Augmentation | None
    ) -> None:
        self.files = [(path, label) for label, own in enumerate(files) for path in own]
        self.views = {name: as_image(name, spec) for name, spec in views.items()}
        self.augmentation = augmentation
        self.quarantine = Quarantine("images", len(self.files))

    def __len__(self) -> int:
        return len(self.files)

    def name(self, i: int) -> str:
        """Return the name of an image: its class and file."""
        path = self.files[i][0]
        return f"{path.parent.name}/{path.name}"

    def fingerprint(self) -> str:
        """Return a hash of the images' names and classes."""
        names = "\n".join(f"{self.name(i)}\0{label}" for i, (_, label) in enumerate(self.files))
        return hashlib.sha256(names.encode()).hexdigest()

    def __getitem__(self, key: int | Key) -> ImageSample:
        index, image, problems = (
            read_or_replace(indices(key, len(self)), self._read, lambda i, _: self.name(i))
            if isinstance(key, tuple)
            else (key, self._read(key), ())
        )
        geometries = dict.fromkeys(geometry(spec) for spec in self.views.values())
        if self.augmentation is None or not isinstance(key, tuple):
            pixels = {g: centre(image, *g) for g in geometries}
        else:
            drawn = draw(self.augmentation, image.width, image.height, np.random.default_rng(key))
            pixels = {g: drawn.apply(image, g[0], g[2]) for g in geometries}
        return ImageSample(pixels, self.files[index][1], self.name(index), problems)

    def _read(self, i: int) -> Image.Image:
        return read_image(self.files[i][0])

    def prepare(self, samples: list[ImageSample], device: torch.device) -> Batch[Tensor]:
        """Stack and normalise the images of a batch on the device.

        Raises:
            InputError: more than 1 % of the images could not be read so far.
        """
        self.quarantine.add(problem for sample in samples for problem in sample.problems)
        stacks = {g: torch.stack([s.pixels[g] for s in samples]).to(device) for g in samples[0].pixels}  # (B, 3, H, W)
        inputs: dict[str, Tensor] = {}
        made: dict[tuple, Tensor] = {}  # learners that want the same image share it
        for name, spec in self.views.items():
            kind = (geometry(spec), spec.mean, spec.std)
            if kind not in made:
                made[kind] = normalise(stacks[geometry(spec)], spec.mean, spec.std)
            inputs[name] = made[kind]
        labels = torch.tensor([s.label for s in samples], device=device)
        return Batch(inputs=inputs, target=labels, ids=[s.id for s in samples])


def as_image(name: str, spec: InputSpec) -> ImageSpec:
    """Return `spec` if it asks for an image.

    Raises:
        InputError: the learner wants a clip.
    """
    if not isinstance(spec, ImageSpec) or spec.length != 1:
        raise InputError(f"learner {name} wants {spec.length} frames; images go to models whose input is an ImageSpec")
    return spec


def geometry(spec: ImageSpec) -> Geometry:
    """Return what decides the pixels of a view."""
    return (spec.size, spec.crop, spec.interpolation)


def read_image(path: Path) -> Image.Image:
    """Decode a file to RGB.

    Raises:
        InputError: it is no image, or damaged.
    """
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except Exception as error:  # whatever a decoder of damaged files stumbles over
        raise InputError(f"{path} cannot be decoded ({error}); replace or remove it") from error


def centre(image: Image.Image, size: tuple[int, int], crop: float, interpolation: str) -> Tensor:
    """(3, H, W) uint8: the image resized so that `size` is `crop` of it, then its centre.

    The shorter side becomes floor(size / crop), the longer one follows rounded down, as timm and torchvision do.
    """
    height, width = size
    target_h, target_w = math.floor(height / crop), math.floor(width / crop)
    if target_h == target_w:
        if image.width <= image.height:
            target_h = int(target_w * image.height / image.width)
        else:
            target_w = int(target_h * image.width / image.height)
    image = image.resize((target_w, target_h), RESAMPLING[interpolation])
    top, left = round((target_h - height) / 2), round((target_w - width) / 2)
    return TF.pil_to_tensor(image.crop((left, top, left + width, top + height)))


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was drawn for one training image.

    Attributes:
        box: left, top, right, bottom of the cut-out in pixels of the image.
        flip: mirror it.
        factors: of brightness, contrast and saturation.
        order: in which these are applied.
    """

    box: tuple[int, int, int, int]
    flip: bool
    factors: tuple[float, float, float]
    order: tuple[int, ...]

    def apply(self, image: Image.Image, size: tuple[int, int], interpolation: str) -> Tensor:
        """(3, H, W) uint8 at one learner's size."""
        part = image.crop(self.box).resize((size[1], size[0]), RESAMPLING[interpolation])
        pixels = TF.pil_to_tensor(part)
        if self.flip:
            pixels = pixels.flip(-1)
        change = (TF.adjust_brightness, TF.adjust_contrast, TF.adjust_saturation)
        for i in self.order:
            if self.factors[i] != 1:
                pixels = change[i](pixels, self.factors[i])
        return pixels


def draw(how: Augmentation, width: int, height: int, random: np.random.Generator) -> Drawn:
    """Draw what happens to one training image of this size."""
    factors = random.uniform(max(0.0, 1 - how.jitter), 1 + how.jitter, 3) if how.jitter else np.ones(3)
    return Drawn(
        box=draw_box(how, width, height, random),
        flip=bool(random.random() < how.flip),
        factors=(float(factors[0]), float(factors[1]), float(factors[2])),
        order=tuple(random.permutation(3).tolist()),
    )


def draw_box(how: Augmentation, width: int, height: int, random: np.random.Generator) -> tuple[int, int, int, int]:
    """Draw a cut-out of random area and shape; after ten that do not fit, the largest allowed one in the centre."""
    low, high = (math.log(ratio) for ratio in how.ratio)
    for _ in range(10):
        area = width * height * random.uniform(*how.area)
        ratio = math.exp(random.uniform(low, high))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(random.integers(0, width - w + 1)), int(random.integers(0, height - h + 1))
            return left, top, left + w, top + h
    w = min(width, round(height * how.ratio[1]))
    h = min(height, round(width / how.ratio[0]))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h
