"""The nouns of the framework: the clip a model wants, a batch, the targets of the tasks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Literal, Protocol, TypeVar, runtime_checkable

from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

MAX_CLIP = 2**31
"""Pixels of one clip: 32 frames of 8192 x 8192. What asks for more is damaged."""
MAX_SPAN = 10**6
"""Frames by which the frames of a clip may be apart."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """The clip a model wants around a target frame; it belongs to the model.

    Attributes:
        length: number of frames T of the clip.
        stride: source frames between two clip frames.
        target: where the target frame sits. ``"last"``: the clip ends at it (causal);
            ``"middle"``: the clip starts ``length // 2 * stride`` frames before it.
        shift: source frames by which the whole clip is moved (ViNet-A's published loader: +1).
        size: (H, W) in pixels the frames are resized to.
        mean: per-channel mean of RGB in [0, 1].
        std: per-channel standard deviation of RGB in [0, 1].
        keep_shape: resize to the same number of pixels in the video's own shape, instead of to `size` itself: for
            models that take any size. Training always uses `size`.
    """

    length: int = 32
    stride: int = 1
    target: Literal["last", "middle"] = "last"
    shift: int = 0
    size: tuple[int, int] = (224, 384)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    keep_shape: bool = False

    def __post_init__(self) -> None:
        numbers = (self.length, self.stride, self.shift, *self.size)
        if len(self.size) != 2 or not all(isinstance(number, int) for number in numbers):
            raise ValueError(f"length, stride, shift and two sides must be whole numbers, got {self}")
        if self.length < 1 or self.stride < 1 or min(self.size) < 1:
            raise ValueError(f"length, stride and size must be at least 1, got {self}")
        if max(self.stride, abs(self.shift)) > MAX_SPAN or self.length * self.size[0] * self.size[1] > MAX_CLIP:
            raise ValueError(f"a clip has at most {MAX_CLIP} pixels, stride and shift are at most {MAX_SPAN}: {self}")
        if not all(map(math.isfinite, (*self.mean, *self.std))) or min(self.std) <= 0:
            raise ValueError(f"mean and std must be finite, and std above 0, got {self}")
        if self.target not in ("last", "middle"):
            raise ValueError(f"target must be 'last' or 'middle', got {self.target!r}")

    @property
    def offsets(self) -> list[int]:
        """The clip's frame positions relative to the target frame, before clamping."""
        before = self.length - 1 if self.target == "last" else self.length // 2
        return [(i - before) * self.stride + self.shift for i in range(self.length)]

    def fitted(self, size: tuple[int, int]) -> "InputSpec":
        """Return the clip wanted of a video of (H, W): itself, unless `keep_shape` is set.

        The sides become multiples of 16, at least 64; a shape beyond 1:3 or 3:1 is brought to that.
        """
        if not self.keep_shape:
            return self
        area, shape = self.size[0] * self.size[1], min(max(size[1] / size[0], 1 / 3), 3.0)  # width / height
        sides = (math.sqrt(area / shape), math.sqrt(area * shape))
        height, width = (max(64, 16 * round(side / 16)) for side in sides)
        return replace(self, size=(height, width))

    def frames(self, target: int, num_frames: int) -> list[int]:
        """Return the 0-based source frame of each clip position.

        Positions outside the video repeat its first or last frame (edge padding).

        Args:
            target: 0-based target frame.
            num_frames: number of frames of the video.

        Raises:
            IndexError: `target` is not a frame of the video.
        """
        if not 0 <= target < num_frames:
            raise IndexError(f"target frame {target} is outside a video of {num_frames} frames")
        last = num_frames - 1
        return [min(max(target + offset, 0), last) for offset in self.offsets]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec(InputSpec):
    """The single image a classifier wants: resized, then cut out of its centre.

    Attributes:
        crop: side of the cut-out as a share of the shorter side after resizing.
        interpolation: of the resize; antialiased.
    """

    length: int = 1
    size: tuple[int, int] = (224, 224)
    crop: float = 0.875
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"

    def __post_init__(self) -> None:
        InputSpec.__post_init__(self)
        if not 0 < self.crop <= 1:
            raise ValueError(f"crop must be in (0, 1], got {self.crop}")


@dataclass(frozen=True, slots=True)
class SaliencyTarget:
    """Ground truth of a batch of target frames.

    Attributes:
        density: (B, H, W) float32 >= 0, the blurred fixation map (not normalised).
        fixations: (B, H, W) bool, True where somebody looked.
    """

    density: Tensor
    fixations: Tensor


IGNORED = 255
"""The label of pixels that belong to no class and are left out of every score."""


@dataclass(frozen=True, slots=True)
class SegmentationTarget:
    """Ground truth of a batch of images.

    Attributes:
        labels: (B, H, W) int64, a class in [0, C) or `IGNORED`; smaller images are filled up with `IGNORED`
            below and to the right.
        classes: (B, N) int64, the classes that occur in each image in increasing order, -1 fills the row.
            Found on the CPU when the batch is made, so that no later step waits for the device.
        seed: of the random points of the loss: a function of the samples, the same for all learners.
        sizes: (rows, columns) of each image's own labels; empty: all are (H, W).
        content: fractions (rows, columns) in (0, 1] of the models' input that show each image, the rest is
            padding below and to the right; empty: there is no padding.
    """

    labels: Tensor
    classes: Tensor
    seed: int = 0
    sizes: tuple[tuple[int, int], ...] = ()
    content: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class MaskPrediction:
    """What a mask classification model says: Q masks, each with a class, from every decoder layer.

    Attributes:
        class_logits: per layer (B, Q, C + 1); the last entry is "no object". The last layer is the prediction,
            those before it are auxiliary.
        mask_logits: per layer (B, Q, h, w).
        labelled: (B, H', W') in [0, 1], how far each cell of the common grid has a label; set by
            `SegmentationTask.align`.
    """

    class_logits: tuple[Tensor, ...]
    mask_logits: tuple[Tensor, ...]
    labelled: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """A batch ready for the models, on the device.

    Attributes:
        inputs: learner name -> its own view of the samples, e.g. (B, 3, T, H, W) float32.
        target: the task's ground truth, the same for all learners.
        ids: a name for each of the B samples, for messages.
    """

    inputs: Mapping[str, Tensor]
    target: T
    ids: Sequence[str]

    def __len__(self) -> int:
        return len(self.ids)


Init = str
"""``"scratch"``, a name of published backbone weights (``"kinetics"``, ``"imagenet"``), or a path to a checkpoint."""


@runtime_checkable
class ModelConfig(Protocol):
    """What every model config dataclass offers."""

    @property
    def input(self) -> InputSpec:
        """The clip the model wants."""
        ...

    def build(self, init: Init = "scratch") -> nn.Module:
        """Make the model, (B, 3, T, H, W) -> (B, H, W) in [0, 1] for saliency."""
        ...
