"""Made-up images in place of ImageNet and ADE20K: what a run costs can be measured before its data has arrived.

Pictures and labels mean nothing, and reading them costs nothing. They go the way of real ones from there on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from saliency.data.labelled_images import Augmentation as CropAugmentation
from saliency.data.labelled_images import SegmentationSamples
from saliency.datasets.image_folder import Augmentation, FolderImages
from saliency.types import InputSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticImageFolder:
    """One picture under many names; the defaults are the numbers of ImageNet.

    Attributes:
        train: number of training images.
        val: number of validation images.
        classes: number of classes.
        size: (H, W) in pixels.
        augmentation: of training images.
    """

    train: int = 1_281_167
    val: int = 50_000
    classes: int = 1000
    size: tuple[int, int] = (375, 500)
    augmentation: Augmentation | None = None

    def training(self, views: Mapping[str, InputSpec]) -> "SyntheticImages":
        """The training images."""
        return SyntheticImages(self, self.train, views, self.augmentation)

    def validation(self, views: Mapping[str, InputSpec]) -> "SyntheticImages":
        """The validation images."""
        return SyntheticImages(self, self.val, views, None)


class SyntheticImages(FolderImages):
    """Made-up images as a `saliency.config.run.Samples`."""

    def __init__(
        self,
        config: SyntheticImageFolder,
        count: int,
        views: Mapping[str, InputSpec],
        augmentation: Augmentation | None,
    ) -> None:
        self.count = count
        super().__init__([], views, augmentation)
        self.files = _Labels(count, config.classes)
        self.picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*config.size, 3), dtype=np.uint8))

    def __len__(self) -> int:
        return self.count

    def fingerprint(self) -> str:
        """Return nothing: made-up images are never resumed."""
        return ""

    def _read(self, i: int) -> Image.Image:
        return self.picture


class _Labels(list[tuple[Path, int]]):
    """Names and classes of so many images, which take no memory."""

    def __init__(self, count: int, classes: int) -> None:
        super().__init__()
        self.count, self.classes = count, classes

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> tuple[Path, int]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Path(f"synthetic/{i}"), i % self.classes


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticADE20K:
    """One labelled picture under many names; the defaults are the numbers of ADE20K.

    Attributes:
        train: number of training images.
        val: number of validation images.
        size: (H, W) of training crops; the shorter one is the shorter side of validation images.
        image_size: (H, W) of the picture in pixels.
        augmentation: of training crops.
        classes: in the picture; an image of ADE20K has about ten.
    """

    train: int = 20_210
    val: int = 2_000
    size: tuple[int, int] = (512, 512)
    image_size: tuple[int, int] = (512, 683)
    augmentation: CropAugmentation = field(default_factory=CropAugmentation)
    classes: int = 10

    def training(self, views: Mapping[str, InputSpec]) -> SegmentationSamples:
        """Random crops of the training images."""
        return SegmentationSamples(SyntheticScenes(self, self.train), views, self.size, augmentation=self.augmentation)

    def validation(self, views: Mapping[str, InputSpec]) -> SegmentationSamples:
        """Whole validation images."""
        return SegmentationSamples(SyntheticScenes(self, self.val), views, self.size)


class SyntheticScenes:
    """See `saliency.data.labelled_images.LabelledImages`: a picture whose classes are upright stripes."""

    def __init__(self, config: SyntheticADE20K, count: int) -> None:
        self.count = count
        height, width = config.image_size
        self.picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        stripes = np.arange(width) * config.classes // width
        self.labels = np.broadcast_to(stripes.astype(np.uint8), (height, width)).copy()

    def __len__(self) -> int:
        return self.count

    def name(self, i: int) -> str:
        """Name of an image."""
        return f"synthetic/{i}"

    def read(self, i: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Image (H, W, 3) and labels (H, W)."""
        return self.picture, self.labels
