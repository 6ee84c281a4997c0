"""Build the model that a weights file describes, but never a larger one than the file can fill."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from saliency.errors import InputError
from saliency.types import ModelConfig

_SIZED = (torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn)
_MAKERS = frozenset((*_SIZED, torch.arange, torch.linspace, torch.eye, torch.tensor, torch.meshgrid))

SPARE_TENSORS, SPARE_VALUES = 2_000, 30_000_000
"""What a model may make on top of what the file holds: tables of positions, classifiers that are cut off, ..."""
TIMES = 4
"""And what it holds may be made so many times over."""


def build(config: ModelConfig, weights: Mapping[str, Tensor], name: str) -> nn.Module:
    """Build the model of a config that came with weights.

    Args:
        config: the model's config.
        weights: what the file holds for it.
        name: of the file, for messages.

    Raises:
        InputError: the config cannot be built, or its model is much larger than the weights.
    """
    if not isinstance(config, ModelConfig):
        raise InputError(f"{name}: its config is a {type(config).__name__}, of no model; fetch the file again")
    limit = _Limit(len(weights), sum(tensor.numel() for tensor in weights.values()))
    try:
        with limit:
            return config.build()
    except InputError:
        raise
    except Exception as error:  # numbers that no model can have stop it anywhere
        told = " ".join(str(error).split())[:200] or type(error).__name__
        kind = type(config).__name__
        raise InputError(f"{name}: no model can be built from its {kind} ({told}); fetch the file again") from error


class _TooLarge(Exception):
    """The model outgrows the file."""


class _Limit(TorchFunctionMode):
    """Counts the tensors that are made in this thread, before the memory for them is taken."""

    def __init__(self, tensors: int, values: int) -> None:
        super().__init__()
        self.tensors, self.values = SPARE_TENSORS + TIMES * tensors, SPARE_VALUES + TIMES * values
        self.told = f"it asks for more than {TIMES} times the {tensors} tensors or {values} values of the file"

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _SIZED:
            self._count(_wanted(args, kwargs))
        made = func(*args, **kwargs)
        if func in _MAKERS and func not in _SIZED and isinstance(made, Tensor):
            self._count(made.numel())
        return made

    def _count(self, values: int) -> None:
        self.tensors -= 1
        self.values -= values
        if self.tensors < 0 or self.values < 0:
            raise _TooLarge(self.told)


def _wanted(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    """The number of values that ``torch.empty(...)`` and its like are asked for."""
    size = kwargs.get("size", args[0] if args and not isinstance(args[0], int) else args)
    return math.prod(side for side in size if isinstance(side, int))
