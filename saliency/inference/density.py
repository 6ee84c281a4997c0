"""A map as it is handed out: a density of the size that was asked for."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from torch import Tensor

from saliency.errors import InputError
from saliency.inference.trust import Trust
from saliency.io.transforms import resize_map

Size: TypeAlias = Literal["source", "model"] | tuple[int, int]
"""Of maps: that of the source, the one the model computes, or (H, W)."""

NOT_FINITE = "the map of frame {} is not finite; the weights are damaged or overflow at this precision"
"""What is said of a map that holds NaN or infinity, with the frame's number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """Where people would look in one frame.

    Attributes:
        frame: 0-based number of the frame.
        time: seconds after the first frame.
        values: float32 (H, W), of the source's size unless asked otherwise, >= 0, sum 1: the share of all looks that
            falls on each pixel.
        confidence: bits per fixation that the map is expected to gain over a centre prior, as calibrated for the model;
            None where it was not.
    """

    frame: int
    time: float
    values: np.ndarray = field(repr=False)
    confidence: float | None = None


def check_size(size: Size) -> None:
    """Refuse what is no size of maps.

    Raises:
        InputError: says what a size is.
    """
    named = size in ("source", "model") if isinstance(size, str) else len(size) == 2 and min(size) >= 1
    if not named:
        raise InputError(f"size must be 'source', 'model' or (height, width), got {size}")


def to_map(
    small: Tensor, *, frame: int, time: float, size: Literal["model"] | tuple[int, int], trust: Trust | None
) -> Map:
    """Return a model's map as a user gets it.

    Args:
        small: what the model computed, (h, w).
        frame: its number.
        time: seconds after the first frame.
        size: wanted, (H, W), or the model's own.
        trust: how confidence is read off; None: it is not.

    Raises:
        InputError: the map holds NaN or infinity.
    """
    wanted = (small.shape[-2], small.shape[-1]) if size == "model" else (size[0], size[1])
    return Map(
        frame=frame,
        time=time,
        values=as_density(resize_map(small, wanted).numpy(), frame),
        confidence=None if trust is None else trust.confidence(small.numpy()),
    )


def as_density(values: np.ndarray, frame: int) -> np.ndarray:
    """Return a map (H, W) as float32 that is >= 0 and sums to 1; a map of zeros becomes an even one.

    Args:
        values: what a network predicted.
        frame: its number, for the message.

    Raises:
        InputError: the map holds NaN or infinity.
    """
    if not np.isfinite(values).all():
        raise InputError(NOT_FINITE.format(frame))
    values = np.maximum(values, 0, dtype=np.float32)
    total = values.sum(dtype=np.float64)
    if total == 0:
        return np.full_like(values, 1 / values.size)
    return (values / total).astype(np.float32)
