"""ADE20K scene parsing (ADEChallengeData2016): 20 210 training and 2 000 validation images, 150 classes.

Paper: Zhou et al., "Scene Parsing through ADE20K Dataset", CVPR 2017. Reads the official archive as it is::

    ADEChallengeData2016/
        images/training/ADE_train_00000001.jpg        images/validation/ADE_val_00000001.jpg
        annotations/training/ADE_train_00000001.png   annotations/validation/ADE_val_00000001.png

An annotation is an 8-bit PNG: 0 is "other" and ignored, 1 .. 150 are the classes, which are 0 .. 149 here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from saliency.data.labelled_images import Augmentation, SegmentationSamples
from saliency.errors import InputError
from saliency.types import IGNORED, InputSpec

NUM_CLASSES = 150
ARCHIVE = "http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip"
FOLDERS = {"train": "training", "val": "validation"}

PUBLISHED_AUGMENTATION = Augmentation(scales=tuple(i / 10 for i in range(5, 21)), flip=True, colour=True)
"""What the models were trained with, and what the published transfer script keeps switched on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ADE20K:
    """The data set as the training loop wants it (see `saliency.config.run.Data`).

    Attributes:
        root: the folder ADEChallengeData2016.
        size: (H, W) of training crops; the shorter one is the shorter side of validation images.
        augmentation: of training crops. None crops at random and does nothing else, as the paper on transfer
            says ("no data augmentation").
        limit: use only the first so many images of each split; None uses all.
    """

    root: Path = Path("data/ADEChallengeData2016")
    size: tuple[int, int] = (512, 512)
    augmentation: Augmentation = field(default_factory=Augmentation)
    limit: int | None = None

    def training(self, views: Mapping[str, InputSpec]) -> SegmentationSamples:
        """Random crops of the training images."""
        return SegmentationSamples(self.images("train"), views, self.size, augmentation=self.augmentation)

    def validation(self, views: Mapping[str, InputSpec]) -> SegmentationSamples:
        """Whole validation images, scored in their original size."""
        return SegmentationSamples(self.images("val"), views, self.size)

    def images(self, split: Literal["train", "val"]) -> "ADE20KImages":
        """The images of a split.

        Raises:
            InputError: the folder does not hold the data set.
        """
        images = self.root / "images" / FOLDERS[split]
        annotations = self.root / "annotations" / FOLDERS[split]
        for folder in (images, annotations):
            if not folder.is_dir():
                raise InputError(
                    f"no ADE20K in {self.root}: {folder} is missing; unpack {ARCHIVE} so that "
                    "ROOT/{images,annotations}/{training,validation} exist and set data.root to ROOT"
                )
        files = sorted(images.glob("*.jpg"))[: self.limit]
        if not files:
            raise InputError(f"{images} holds no .jpg files; unpack {ARCHIVE} again")
        found = {path.stem for path in annotations.glob("*.png")}
        missing = [path.stem for path in files if path.stem not in found]
        if missing:
            raise InputError(
                f"{annotations} lacks {len(missing)} of {len(files)} files, e.g. {missing[0]}.png; "
                f"unpack {ARCHIVE} again"
            )
        return ADE20KImages(files, annotations)


class ADE20KImages:
    """Images of a split; see `saliency.data.labelled_images.LabelledImages`."""

    def __init__(self, files: Sequence[Path], annotations: Path) -> None:
        self.files, self.annotations = list(files), annotations

    def __len__(self) -> int:
        return len(self.files)

    def name(self, i: int) -> str:
        """Name of an image, e.g. ``ADE_val_00000001``."""
        return self.files[i].stem

    def read(self, i: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Image (H, W, 3) and labels (H, W).

        Raises:
            InputError: a file cannot be read, or does not belong to this data set.
        """
        path = self.annotations / f"{self.files[i].stem}.png"
        image, raw = _read(self.files[i], "RGB"), _read(path, None)
        if raw.ndim != 2 or raw.dtype != np.uint8 or raw.max() > NUM_CLASSES:
            raise InputError(f"{path} is no 8-bit annotation with values 0 .. {NUM_CLASSES}; unpack {ARCHIVE} again")
        if raw.shape != image.shape[:2]:
            raise InputError(f"{path} has size {raw.shape}, its image {image.shape[:2]}; unpack {ARCHIVE} again")
        return image, np.where(raw == 0, IGNORED, raw - 1).astype(np.uint8)


def _read(path: Path, mode: str | None) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            return np.array(image if mode is None else image.convert(mode))
    except Exception as error:  # whatever a decoder of damaged files stumbles over
        raise InputError(f"cannot read {path} ({error}); unpack {ARCHIVE} again") from error
