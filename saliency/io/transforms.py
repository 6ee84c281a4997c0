"""From frames to a model's clip: resize, normalise, put in order; and maps back to the video's size.

Exactness: on the CPU `resize_frames` equals Pillow's bilinear ``resize`` (and so torchvision's ``Resize`` of a
Pillow image) within 1 of 255 levels; on a real video 99.9 % of the values are the same. On other devices the
same two passes run in float32, each rounded to whole levels: within 1 level, 99 % the same. torchvision's
``Resize`` of a tensor rounds once only: within 1 level, 95 % the same. `normalise` does exactly what
``ToTensor`` followed by ``Normalize`` does.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from saliency.types import InputSpec

_CHUNK = 8
"""Frames resized at once in floating point: keeps a large video from filling the device's memory."""


def resize_frames(frames: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize uint8 frames (n, H, W, 3) to uint8 (n, 3, h, w), bilinear with antialiasing.

    The aspect ratio is not kept. Frames that already have the size are only brought to the new axis order.

    Raises:
        ValueError: `frames` is not uint8 with shape (n, H, W, 3).
    """
    if frames.dtype != torch.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
        raise ValueError(f"expected uint8 (n, H, W, 3), got {frames.dtype} {tuple(frames.shape)}")
    planes = frames.permute(0, 3, 1, 2)  # (n, 3, H, W), a view: channels stay innermost in memory
    if tuple(planes.shape[-2:]) == tuple(size):
        return planes.contiguous()
    if planes.device.type == "cpu":
        return F.interpolate(planes, size, mode="bilinear", antialias=True).contiguous()
    resized = planes.new_empty((len(planes), 3, *size))
    for part, out in zip(planes.split(_CHUNK), resized.split(_CHUNK), strict=True):
        # across, rounded, then down: the order and the rounding of the CPU kernel
        wide = _interpolate(part.float(), (part.shape[-2], size[1]))
        out.copy_(_interpolate(wide, size))
    return resized


def _interpolate(planes: Tensor, size: tuple[int, int]) -> Tensor:
    resized = F.interpolate(planes, size, mode="bilinear", antialias=True)
    return resized.add_(0.5).floor_().clamp_(0, 255)  # halves go up, as in the CPU kernel


def normalise(frames: Tensor, mean: Sequence[float], std: Sequence[float], channel: int = -3) -> Tensor:
    """Turn uint8 (..., 3, h, w) in [0, 255] into float32 ``(x / 255 - mean) / std``, same shape, contiguous.

    Args:
        frames: pictures with 3 channels.
        mean: of each channel, for values in [0, 1].
        std: of each channel.
        channel: the axis of the channels, counted from the end.
    """
    levels = torch.arange(256, dtype=torch.float32, device=frames.device)
    centre = torch.tensor(mean, dtype=torch.float32, device=frames.device)[:, None]
    spread = torch.tensor(std, dtype=torch.float32, device=frames.device)[:, None]
    if frames.device.type == "cpu" and frames.dtype == torch.uint8:
        return _looked_up(frames, levels.div_(255).sub(centre).div_(spread), channel)
    shape = (3, *(1,) * (-channel - 1))
    values = frames.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    return values.div_(255).sub_(centre.view(shape)).div_(spread.view(shape))


def _looked_up(frames: Tensor, table: Tensor, channel: int) -> Tensor:
    """Replace each level of a channel by its entry in `table` (3, 256): one pass instead of four."""
    values = torch.empty(frames.shape, dtype=torch.float32)
    for levels, found, entries in zip(frames.unbind(channel), values.unbind(channel), table.numpy(), strict=True):
        planes, out = levels.numpy(), found.numpy()  # (..., h, w), views
        for plane in np.ndindex(planes.shape[:-2]):
            cv2.LUT(planes[plane], entries, dst=out[plane])
    return values


def make_clip(frames: Tensor, spec: InputSpec, dtype: torch.dtype = torch.float32) -> Tensor:
    """Turn the resized frames of one clip into a model's input.

    Args:
        frames: uint8 (T, 3, h, w), the frames ``spec.frames(target, n)`` in this order; (B, T, 3, h, w) makes
            a batch.
        spec: the model's input.
        dtype: type of the result.

    Returns:
        (3, T, h, w) or (B, 3, T, h, w), normalised.

    Raises:
        ValueError: the number or size of the frames is not what `spec` says.
    """
    found, wanted = tuple(frames.shape[-4:]), (spec.length, 3, *spec.size)
    if found != wanted:
        raise ValueError(f"expected frames (T, 3, h, w) = {wanted}, got {found}")
    clip = frames.transpose(-4, -3)  # (..., 3, T, h, w)
    return normalise(clip, spec.mean, spec.std, channel=-4).to(dtype)


def resize_map(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize float maps (..., h, w) to (..., H, W), bilinear without antialiasing (half-pixel centres).

    For saliency and density maps. Values stay within the range of the input; sums are not kept. Fixation maps
    must never be resized: scale the coordinates instead.
    """
    if tuple(maps.shape[-2:]) == tuple(size):
        return maps
    flat = maps.reshape(1, -1, *maps.shape[-2:])  # (1, n, h, w)
    return F.interpolate(flat, size, mode="bilinear", align_corners=False).reshape(*maps.shape[:-2], *size)
