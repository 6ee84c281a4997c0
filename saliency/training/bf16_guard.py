"""_ConvNds whose bf16 gradients are wrong on this processor are computed in fp32.

On some processors (AMD Zen 4 and 5 with oneDNN 3.13 as in torch 2.15) the bf16 weight gradient of a (3, 1, 1)
convolution over two time steps is NaN, infinite or a finite wrong number. So before a layer is used in bf16 with a
shape it has not had, the layer is tried with that shape on random numbers in bf16 and in fp32.
"""

import logging
from collections.abc import Hashable

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

log = logging.getLogger(__name__)

TOLERANCE = 0.05
"""Relative error, in the Euclidean norm, up to which a bf16 result is right; correct kernels give about 0.003."""


class Bf16Guard:
    """Tries the convolutions of models and sees to it that wrong ones are computed in fp32."""

    def __init__(self, *, compiled: bool = False) -> None:
        """Make a guard of models that are compiled or not."""
        self.compiled = compiled
        self._wrong: dict[Hashable, bool] = {}  # layer and shape of its input -> whether bf16 is wrong
        self._names: dict[nn.Module, str] = {}
        self._found: list[str] = []  # not yet told

    def watch(self, name: str, model: nn.Module) -> None:
        """Take care of all convolutions of a model from now on.

        Args:
            name: of the model, for messages.
            model: its weights, their names and its numbers in fp32 stay as they are.
        """
        for path, module in model.named_modules():
            if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
                self._names[module] = f"{name}.{path}"
                guarded = _Guarded(self, module)
                # what is decided while running cannot be part of a compiled graph; loading the compiler takes seconds
                module.forward = torch.compiler.disable(guarded) if self.compiled else guarded  # pyright: ignore[reportAttributeAccessIssue]

    def tell(self) -> None:
        """Log in one line the layers that were found since the last call."""
        if self._found:
            shown = ", ".join(self._found[:3]) + (", ..." if len(self._found) > 3 else "")
            log.warning(
                "bf16 is wrong on this processor for %d convolutions, which are computed in fp32: %s",
                len(self._found),
                shown,
            )
            self._found = []

    def is_wrong(self, conv: _ConvNd, x: Tensor) -> bool:
        """Return whether `conv` must not be computed in bf16 on inputs like `x`, trying it the first time."""
        key = (
            *(type(conv), conv.weight.shape, conv.weight.stride(), conv.bias is None, conv.stride, conv.padding),
            *(conv.dilation, conv.groups, conv.padding_mode, x.shape, x.stride()),
        )
        if key not in self._wrong:
            self._wrong[key] = not bf16_error(conv, x) <= TOLERANCE  # NaN is wrong
            if self._wrong[key]:
                self._found.append(f"{self._names[conv]} on {tuple(x.shape)}")
        return self._wrong[key]


class _Guarded:
    """Stands for the `forward` of one convolution."""

    def __init__(self, guard: Bf16Guard, conv: _ConvNd) -> None:
        self.guard, self.conv, self.forward = guard, conv, conv.forward

    def __call__(self, x: Tensor) -> Tensor:
        half = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
        if not (half and self.guard.is_wrong(self.conv, x)):
            return self.forward(x)
        with torch.autocast("cpu", enabled=False):
            return self.forward(x.float()).to(torch.bfloat16)  # what the next layer would get


def bf16_error(conv: _ConvNd, x: Tensor) -> float:
    """Return the largest relative error of a convolution's bf16 output and gradients against fp32.

    Args:
        conv: the layer; only its geometry counts, it is tried with random weights.
        x: an input like those it will get; only its shape and memory format count.

    Returns:
        The largest of ``|bf16 - fp32| / |fp32|`` (Euclidean norms) of the output and the gradients of input, weight
        and bias; NaN where a result is not finite.
    """
    random = torch.Generator().manual_seed(0)

    def rounded(like: Tensor) -> Tensor:
        """Random numbers that bf16 holds exactly, so that only the kernels differ."""
        return torch.empty_like(like, dtype=torch.float32).normal_(generator=random).bfloat16().float()

    inputs = [rounded(x), rounded(conv.weight)] + ([] if conv.bias is None else [rounded(conv.bias)])
    gradient: Tensor | None = None  # of the output

    def results(*, half: bool) -> list[Tensor]:
        nonlocal gradient
        leaves = [tensor.clone().requires_grad_() for tensor in inputs]
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half, cache_enabled=False):
            output = conv._conv_forward(leaves[0], leaves[1], leaves[2] if len(leaves) == 3 else None)
        if gradient is None:
            gradient = rounded(output)
        return [output.detach(), *torch.autograd.grad(output, leaves, gradient.to(output.dtype))]

    # what a surrounding checkpoint does with tensors kept for its backward pass must not touch these
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        full, half = results(half=False), results(half=True)
    norm = torch.linalg.vector_norm
    errors = [norm(b.float() - a) / norm(a) for a, b in zip(full, half, strict=True)]
    return float(torch.stack(errors).amax())  # NaN if one of them is
