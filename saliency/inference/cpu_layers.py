"""Layers that compute on a CPU what PyTorch's compute, faster.

On one thread PyTorch gives most 3-D convolutions with 1x1 kernels in space to code of its own that is several times
slower than oneDNN (`use_mkldnn` in aten/src/ATen/native/Convolution.cpp), and its max pooling looks at one value at a
time where the channels do not lie side by side.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def with_cpu_layers(model: nn.Module) -> nn.Module:
    """Replace a model's 3-D convolutions and max poolings by the faster ones, in place, and return it.

    Its weights are laid out with the channels side by side, and so are the outputs of its convolutions. Numbers of
    convolutions differ by rounding, those of poolings not at all. Where PyTorch comes without oneDNN only poolings are
    replaced.

    Args:
        model: in evaluation mode, with its final weights.
    """
    layered = torch.backends.mkldnn.is_available()
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Conv3d and child.padding_mode == "zeros" and layered:
                setattr(parent, name, OneDNNConv3d(child))
            elif type(child) is nn.MaxPool3d and not child.ceil_mode and _triple(child.dilation) == (1, 1, 1):
                setattr(parent, name, SlicedMaxPool3d(child))
    return model


class OneDNNConv3d(nn.Module):
    """A convolution that always reaches oneDNN."""

    def __init__(self, conv: nn.Conv3d) -> None:
        super().__init__()
        assert not isinstance(conv.padding, str)
        self.kernel_size, self.groups = conv.kernel_size, conv.groups
        self.stride, self.padding, self.dilation = conv.stride, conv.padding, conv.dilation
        # a 1x1x1 kernel has one layout only, so that the inputs' layout decides there
        self.weight = nn.Parameter(
            conv.weight.detach().contiguous(memory_format=torch.channels_last_3d), requires_grad=False
        )
        self.bias = None if conv.bias is None else nn.Parameter(conv.bias.detach(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, T, H, W) -> (B, C_out, T', H', W'), channels side by side."""
        weight, bias = self.weight, self.bias
        if torch.is_autocast_enabled("cpu"):
            dtype = torch.get_autocast_dtype("cpu")
            x, weight, bias = x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
        x = x.contiguous(memory_format=torch.channels_last_3d)
        return torch.mkldnn_convolution(x, weight, bias, self.padding, self.stride, self.dilation, self.groups)


class SlicedMaxPool3d(nn.Module):
    """Max pooling axis by axis, as maxima of slices: the same bits from fewer comparisons, without indices."""

    def __init__(self, pool: nn.MaxPool3d) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = map(_triple, (pool.kernel_size, pool.stride, pool.padding))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, C, T', H', W'); NaN in a window gives NaN."""
        for axis in (2, 1, 0):
            if (self.kernel_size[axis], self.stride[axis]) != (1, 1):
                x = max_along(x, axis + 2, self.kernel_size[axis], self.stride[axis], self.padding[axis])
        return x


def max_along(x: Tensor, axis: int, kernel: int, stride: int, padding: int) -> Tensor:
    """Return the maximum of each window along one axis; what lies outside of `x` does not count.

    Args:
        x: any tensor.
        axis: the axis.
        kernel: length of a window.
        stride: from one window to the next.
        padding: how far the first window reaches out, at most half a kernel.
    """
    length = x.shape[axis]
    count = (length + 2 * padding - kernel) // stride + 1

    def part(place: int) -> range:
        """Windows whose `place`-th value, counted from the window's nominal start, lies in `x`."""
        start = -(-max(-place, 0) // stride)
        return range(start, max(start, min(count, (length - 1 - place) // stride + 1)))

    def values(place: int, windows: range) -> Tensor:
        """That value of each of these windows."""
        index: list[slice] = [slice(None)] * x.ndim
        first = windows.start * stride + place
        index[axis] = slice(first, first + (len(windows) - 1) * stride + 1, stride)
        return x[tuple(index)]

    places = sorted(range(-padding, kernel - padding), key=lambda place: -len(part(place)))
    full = part(places[0])
    if len(places) == 1 or len(full) < count or not part(places[1]):
        padded = nn.functional.pad(x, _pads(x.ndim, axis, padding), value=-torch.inf) if padding else x
        return padded.unfold(axis, kernel, stride).amax(-1)
    out = torch.empty_like(values(places[0], full))
    both = part(places[1])
    torch.maximum(values(places[0], both), values(places[1], both), out=_cut(out, axis, both))
    for rest in (range(both.start), range(both.stop, count)):
        if len(rest):
            _cut(out, axis, rest).copy_(values(places[0], rest))
    for place in places[2:]:
        windows = part(place)
        if len(windows):
            torch.maximum(_cut(out, axis, windows), values(place, windows), out=_cut(out, axis, windows))
    return out


def _cut(x: Tensor, axis: int, windows: range) -> Tensor:
    return x.narrow(axis, windows.start, len(windows))


def _pads(ndim: int, axis: int, padding: int) -> Sequence[int]:
    """What `pad` wants, from the last axis to the first."""
    pads = [0, 0] * ndim
    place = 2 * (ndim - 1 - axis)
    pads[place : place + 2] = [padding, padding]
    return pads


def _triple(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return (value, value, value) if isinstance(value, int) else tuple(value)
