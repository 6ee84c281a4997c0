"""Images with a class per pixel: reading, cropping and batching, shared by the segmentation data sets."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from saliency.data.quarantine import Problem, Quarantine, indices, read_or_replace
from saliency.data.targets import Key
from saliency.io.transforms import normalise, resize_frames
from saliency.types import IGNORED, Batch, InputSpec, SegmentationTarget

DIVISOR = 32  # the models' coarsest features have this stride


class LabelledImages(Protocol):
    """Images with labels, read by their index."""

    def __len__(self) -> int:
        """Number of images."""
        ...

    def name(self, i: int) -> str:
        """Name of an image, for messages."""
        ...

    def read(self, i: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Image (H, W, 3) RGB and labels (H, W), a class or `IGNORED`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """What is random in a training crop.

    Attributes:
        scales: factors on the size of an image's shorter side, one is drawn per sample.
        flip: mirror with probability 1/2.
        shift: move by up to this many pixels in each direction, mirroring what comes in at the edges.
        colour: change brightness, contrast, saturation and hue, each with probability 1/2 (the ranges of SSD,
            Liu et al., ECCV 2016).
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    shift: int = 0
    colour: bool = False


@dataclass(frozen=True, slots=True)
class SegmentationSample:
    """An image on its way to the models.

    Attributes:
        image: (3, H, W) uint8.
        labels: (H', W') uint8; (H, W) in training, the original size in validation.
        classes: the classes that occur, in increasing order.
        id: name of the image.
        key: what the sample was read by.
        problems: images that were drawn first and could not be read.
    """

    image: Tensor
    labels: Tensor
    classes: list[int]
    id: str
    key: tuple[int, ...]
    problems: tuple[Problem, ...] = ()


class SegmentationSamples:
    """Samples of a data set for the views of some learners.

    In training a sample is a crop, a pure function of its key ``(seed, epoch, index)``: the image is resized
    so that its shorter side is that of the crop times a random scale, cropped at random, and padded where it
    is too small. In validation (key: the index) it is the whole image, resized so that its shorter side fits,
    and the labels in their original size.

    All learners see the same crop, resized to the size of their view and normalised their way.

    A training image that cannot be read is replaced by another; `prepare` names it, and gives up beyond 1 % of
    the images. A validation image that cannot be read is an error.
    """

    def __init__(
        self,
        source: LabelledImages,
        views: Mapping[str, InputSpec],
        size: tuple[int, int],
        *,
        max_size: int = 2048,
        augmentation: Augmentation | None = None,
    ) -> None:
        """Make the samples.

        Args:
            source: where images come from.
            views: learner name -> the image it wants.
            size: (H, W) of training crops; the shorter one is the shorter side of validation images.
            max_size: longest side of a resized image.
            augmentation: None makes validation samples.
        """
        self.source, self.views, self.size, self.max_size = source, dict(views), size, max_size
        self.augmentation = augmentation
        self.quarantine = Quarantine("images", len(source))

    def __len__(self) -> int:
        return len(self.source)

    def fingerprint(self) -> str:
        """Return a hash of the images' names."""
        return hashlib.sha256("\n".join(self.source.name(i) for i in range(len(self))).encode()).hexdigest()

    def __getitem__(self, key: int | Key) -> SegmentationSample:
        index, (image, labels), problems = (
            read_or_replace(indices(key, len(self)), self.source.read, lambda i, _: self.source.name(i))
            if isinstance(key, tuple)
            else (key, self.source.read(key), ())
        )
        pixels, classes = torch.from_numpy(image), torch.from_numpy(labels)
        if self.augmentation is None:
            pixels = resize_frames(pixels[None], self._fit(image.shape, 1.0))[0]  # (3, h, w)
        else:
            assert isinstance(key, tuple)
            pixels, classes = self._crop(pixels, classes, np.random.default_rng(key), self.augmentation)
        present = [int(c) for c in torch.unique(classes) if c != IGNORED]
        where = key if isinstance(key, tuple) else (key,)
        name = self.source.name(index)
        return SegmentationSample(pixels.contiguous(), classes.contiguous(), present, name, where, problems)

    def prepare(self, samples: Sequence[SegmentationSample], device: torch.device) -> Batch[SegmentationTarget]:
        """Make the batch; smaller images are padded below and to the right.

        Raises:
            InputError: more than 1 % of the images could not be read so far.
        """
        self.quarantine.add(problem for sample in samples for problem in sample.problems)
        shape = [max(sample.image.shape[axis] for sample in samples) for axis in (1, 2)]
        height, width = (-(-length // DIVISOR) * DIVISOR for length in shape)
        images = _stack([sample.image for sample in samples], (height, width), 128)  # (B, 3, H, W)
        shape = [max(sample.labels.shape[axis] for sample in samples) for axis in (0, 1)]
        labels = _stack([sample.labels for sample in samples], (shape[0], shape[1]), IGNORED)  # (B, H', W')
        most = max(len(sample.classes) for sample in samples)
        classes = torch.tensor([sample.classes + [-1] * (most - len(sample.classes)) for sample in samples])
        sizes = tuple((s.labels.shape[0], s.labels.shape[1]) for s in samples)
        content = tuple((s.image.shape[1] / height, s.image.shape[2] / width) for s in samples)
        target = SegmentationTarget(
            labels=labels.to(device, non_blocking=True).long(),
            classes=classes.long().to(device, non_blocking=True),
            seed=_seed([sample.key for sample in samples]),
            sizes=() if all(size == labels.shape[1:] for size in sizes) else sizes,
            content=() if all(part == (1.0, 1.0) for part in content) else content,
        )
        images = images.to(device, non_blocking=True)
        inputs = {name: self._view(images, spec) for name, spec in self.views.items()}
        return Batch(inputs=inputs, target=target, ids=[sample.id for sample in samples])

    def _fit(self, shape: Sequence[int], scale: float) -> tuple[int, int]:
        """Size at which an image's shorter side is `scale` times the crop's, or its longer one is `max_size`."""
        factor = min(round(min(self.size) * scale) / min(shape[:2]), self.max_size / max(shape[:2]))
        return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))

    def _crop(
        self, image: Tensor, labels: Tensor, rng: np.random.Generator, augmentation: Augmentation
    ) -> tuple[Tensor, Tensor]:
        """Cut a random crop out of image (H, W, 3) and labels (H, W); the image comes back as (3, h, w)."""
        size = self._fit(image.shape, float(rng.choice(augmentation.scales)))
        image = resize_frames(image[None], size)[0]  # (3, H, W)
        labels = F.interpolate(labels[None, None], size, mode="nearest-exact")[0, 0]  # classes are never mixed
        if augmentation.shift:
            image, labels = _shift(image, labels, rng.integers(-augmentation.shift, augmentation.shift + 1, 2))
        height, width = min(self.size[0], size[0]), min(self.size[1], size[1])
        top, left = int(rng.integers(size[0] - height + 1)), int(rng.integers(size[1] - width + 1))
        image = image[:, top : top + height, left : left + width]
        labels = labels[top : top + height, left : left + width]
        if augmentation.colour:
            image = torch.from_numpy(_change_colours(image.permute(1, 2, 0).numpy(), rng)).permute(2, 0, 1)
        if augmentation.flip and rng.random() < 0.5:
            image, labels = image.flip(-1), labels.flip(-1)
        below, right = self.size[0] - height, self.size[1] - width
        return F.pad(image, (0, right, 0, below), value=128), F.pad(labels, (0, right, 0, below), value=IGNORED)

    def _view(self, images: Tensor, spec: InputSpec) -> Tensor:
        """(B, 3, h, w) float32 what one learner sees of images (B, 3, H, W) uint8."""
        if tuple(spec.size) != tuple(self.size):
            factors = spec.size[0] / self.size[0], spec.size[1] / self.size[1]
            lengths = [length * factor for length, factor in zip(images.shape[2:], factors, strict=True)]
            height, width = (max(1, round(length / DIVISOR)) * DIVISOR for length in lengths)
            images = resize_frames(images.permute(0, 2, 3, 1), (height, width))
        return normalise(images, spec.mean, spec.std)


def _stack(tensors: Sequence[Tensor], size: tuple[int, int], fill: int) -> Tensor:
    """(B, ..., H, W) of tensors (..., h, w), filled up below and to the right."""
    padded = [F.pad(t, (0, size[1] - t.shape[-1], 0, size[0] - t.shape[-2]), value=fill) for t in tensors]
    return torch.stack(padded)


def _shift(image: Tensor, labels: Tensor, by: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Move image (3, H, W) and labels (H, W) by (rows, columns), mirrored at the edges."""
    rows, columns = (
        np.pad(np.arange(length), abs(step), mode="symmetric")[abs(step) - step :][:length]
        for length, step in zip(labels.shape, by.tolist(), strict=True)
    )
    rows, columns = torch.from_numpy(rows.copy()), torch.from_numpy(columns.copy())
    return image[:, rows][:, :, columns], labels[rows][:, columns]


def _change_colours(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change brightness, contrast, saturation and hue of (H, W, 3) RGB, each with probability 1/2."""
    steps = rng.random(5) < 0.5
    brightness, contrast, saturation, hue = rng.uniform((-32, 0.5, 0.5, -18), (32, 1.5, 1.5, 18))
    contrast_first = steps[4]
    if steps[0]:
        image = _clip(image + brightness)
    if steps[1] and contrast_first:
        image = _clip(image * contrast)
    if steps[2] or steps[3]:
        hsv = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2HSV).astype(np.float64)  # hue in [0, 180)
        if steps[2]:
            hsv[..., 1] = np.clip(hsv[..., 1] * saturation, 0, 255)
        if steps[3]:
            hsv[..., 0] = (hsv[..., 0] + hue) % 180
        image = np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB), np.uint8)
    if steps[1] and not contrast_first:
        image = _clip(image * contrast)
    return np.ascontiguousarray(image)


def _clip(image: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.clip(image, 0, 255).astype(np.uint8)


def _seed(keys: Sequence[tuple[int, ...]]) -> int:
    """A 56-bit seed that depends on the samples' keys and nothing else."""
    return int.from_bytes(hashlib.blake2b(repr(list(keys)).encode(), digest_size=7).digest(), "big")
