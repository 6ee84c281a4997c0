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

from saliency.io.buffers import Buffers
from saliency.types import InputSpec

_CHUNK = 8
"""Frames resized at once in floating point: keeps a large video from filling the device's memory."""


def resize_frames(frames: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize uint8 frames (n, H, W, 3) to uint8 (n, 3, h, w), bilinear with antialiasing.

    The aspect ratio is not kept. Frames that already have the size are only brought to the new axis order.

    Raises:
        ValueError: `frames` is not uint8 with shape (n, H, W, 3).
    """
    return resized_view(frames, size).contiguous()


def resized_view(frames: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize as `resize_frames` does, in any memory order: a view where the frames already have the size."""
    if frames.dtype != torch.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
        raise ValueError(f"expected uint8 (n, H, W, 3), got {frames.dtype} {tuple(frames.shape)}")
    planes = frames.permute(0, 3, 1, 2)  # (n, 3, H, W), a view: channels stay innermost in memory
    if tuple(planes.shape[-2:]) == tuple(size):
        return planes
    if planes.device.type == "cpu":
        return F.interpolate(planes, size, mode="bilinear", antialias=True)
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
    if frames.device.type == "cpu" and frames.dtype == torch.uint8:
        return _looked_up(frames, _table(mean, std), channel)
    centre = torch.tensor(mean, dtype=torch.float32, device=frames.device)
    spread = torch.tensor(std, dtype=torch.float32, device=frames.device)
    shape = (3, *(1,) * (-channel - 1))
    values = frames.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    return values.div_(255).sub_(centre.view(shape)).div_(spread.view(shape))


def _table(mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """What `normalise` makes of each of the 256 levels, (3, 256)."""
    levels = torch.arange(256, dtype=torch.float32).div_(255)
    return levels.sub(torch.tensor(mean)[:, None]).div_(torch.tensor(std)[:, None])


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


def make_batch(
    frames: Sequence[Tensor], orders: Sequence[Sequence[int]], spec: InputSpec, buffers: Buffers | None = None
) -> Tensor:
    """Turn the resized frames of several samples into a model's input, see `make_clip`.

    Args:
        frames: of each sample, uint8 (n, 3, h, w); on a CPU in any memory order.
        orders: of each sample, the frame at each of the clip's T positions.
        spec: the model's input.
        buffers: where the memory of the result comes from on a CPU.

    Returns:
        (B, 3, T, h, w) float32, normalised.

    Raises:
        ValueError: the number or size of the frames is not what `spec` says.
    """
    if frames[0].device.type != "cpu":
        picked = [
            pixels if list(order) == list(range(len(pixels))) else pixels[torch.tensor(order, device=pixels.device)]
            for pixels, order in zip(frames, orders, strict=True)
        ]
        return make_clip(torch.stack(picked), spec)
    found, wanted = [(len(order), *f.shape[1:]) for f, order in zip(frames, orders, strict=True)], (spec.length, 3)
    if any(shape != (*wanted, *spec.size) for shape in found):
        raise ValueError(f"expected frames (T, 3, h, w) = {(*wanted, *spec.size)}, got {found}")
    batch = (buffers or Buffers()).empty((len(frames), 3, spec.length, *spec.size))
    table = _table(spec.mean, spec.std).numpy()
    for pixels, order, clip in zip(frames, orders, batch.numpy(), strict=True):
        for t, i in enumerate(order):  # one frame's channels fit the processor's cache, those of a clip do not
            inner = pixels.stride(1) == 1
            planes = cv2.split(pixels[i].permute(1, 2, 0).numpy()) if inner else pixels[i].numpy()
            for plane, entries, out in zip(planes, table, clip[:, t], strict=True):
                cv2.LUT(plane, entries, dst=out)
    return batch


def resize_map(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize float maps (..., h, w) to (..., H, W), bilinear without antialiasing (half-pixel centres).

    For saliency and density maps. Values stay within the range of the input; sums are not kept. Fixation maps
    must never be resized: scale the coordinates instead.
    """
    if tuple(maps.shape[-2:]) == tuple(size):
        return maps
    flat = maps.reshape(1, -1, *maps.shape[-2:])  # (1, n, h, w)
    return F.interpolate(flat, size, mode="bilinear", align_corners=False).reshape(*maps.shape[:-2], *size)
