"""The running average of a learner's weights over the steps (Polyak averaging, with exponential forgetting)."""

import copy

import torch
from torch import Tensor, nn


def copy_of(model: nn.Module) -> nn.Module:
    """Return the average before the first step: the model itself, in eval mode, without gradients."""
    return copy.deepcopy(model).eval().requires_grad_(False)


def keep(ema: float, step: int) -> float:
    """Return the share of the average that a 0-based step of a stage keeps.

    It grows from 0.1 to `ema` as ``(1 + step) / (10 + step)``, so that the beginning of a stage is soon forgotten
    (the rule of TensorFlow's ExponentialMovingAverage with ``num_updates``).
    """
    return min(ema, (1 + step) / (10 + step))


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, ema: float, step: int) -> None:
    """Move the average towards the model's weights, and its buffers (such as BatchNorm's statistics) likewise.

    Counters and other whole numbers are copied.
    """
    _move(average, model, 1 - keep(ema, step))


@torch.no_grad()
def mean_of(before: nn.Module, after: nn.Module, share: float) -> nn.Module:
    """Return a model with the weights and buffers of ``(1 - share) * before + share * after``, in eval mode.

    Counters and other whole numbers are those of `after`.
    """
    mean = copy_of(before)
    _move(mean, after, share)
    return mean


def _move(own: nn.Module, other: nn.Module, share: float) -> None:
    """Move weights and buffers by a share of the way to another model's; whole numbers all the way."""
    theirs = _tensors(other)
    for name, tensor in _tensors(own).items():
        if tensor.is_floating_point():
            tensor.lerp_(theirs[name], share)
        else:
            tensor.copy_(theirs[name])


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}
