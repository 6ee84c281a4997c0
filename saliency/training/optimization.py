"""How weights move: which ones how fast, the schedule, and the loss scale of fp16."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from saliency.config.run import Optimizer, Stage
from saliency.errors import InputError

UNDECAYED_LAYERS = (_BatchNorm, _InstanceNorm, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm, nn.Embedding)
UNDECAYED_NAMES = ("relative_position_bias_table", "absolute_pos_embed")
"""What Mask2Former's published training leaves undecayed; biases of other layers are decayed."""


def make_optimizer(config: Optimizer, model: nn.Module, stage: Stage) -> torch.optim.Optimizer:
    """Return the fused optimizer of a learner in a stage."""
    rate = (config.lr if stage.lr is None else stage.lr) * stage.lr_factor
    if stage.weight_decay is not None:
        config = replace(config, weight_decay=stage.weight_decay)
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    extra = {"momentum": 0.9} if config.name == "sgd" else {}
    groups = parameter_groups(config, model, rate)
    return kinds[config.name](groups, lr=rate, weight_decay=config.weight_decay, fused=True, **extra)


def rate(config: Optimizer, step: int, total: int) -> float:
    """Return the factor on the learning rate at a 0-based step of a stage of `total` steps."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return 1.0
    done = (step - config.warmup_steps) / max(1, total - config.warmup_steps)
    if config.schedule == "trapezoid":
        return min(1.0, 5 * (total - step) / total)
    if config.schedule == "poly":
        return (1 - done) ** 0.9
    return 0.5 * (1 + math.cos(math.pi * done))


def parameter_groups(config: Optimizer, model: nn.Module, lr: float) -> list[dict[str, Any]]:
    """Sort the parameters that can learn by learning rate and weight decay, for the optimizer.

    Args:
        config: the learner's optimizer.
        model: the learner's model.
        lr: its learning rate in this stage.

    Returns:
        One dict with ``params``, ``lr``, ``initial_lr`` and ``weight_decay`` per combination that occurs.

    Raises:
        InputError: a key of `lr_factors` is in no parameter's name.
    """
    groups: defaultdict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    seen: set[nn.Parameter] = set()
    unused = set(config.lr_factors)
    for prefix, module in model.named_modules():
        for own_name, parameter in module.named_parameters(recurse=False):
            name = f"{prefix}.{own_name}" if prefix else own_name
            factors = {key: factor for key, factor in config.lr_factors.items() if key in name}
            unused -= set(factors)
            if not parameter.requires_grad or parameter in seen:  # frozen, or shared with an earlier layer
                continue
            seen.add(parameter)
            rate = lr
            for factor in factors.values():
                rate *= factor
            decays = config.decay_norms or not (isinstance(module, UNDECAYED_LAYERS) or own_name in UNDECAYED_NAMES)
            groups[rate, config.weight_decay if decays else 0.0].append(parameter)
    if unused:
        raise InputError(f"lr_factors: no parameter of {type(model).__name__} has '{min(unused)}' in its name")
    return [
        {"params": parameters, "lr": rate, "initial_lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]


class LossScale:
    """Factor on the loss that keeps fp16 gradients from underflowing; decided on the device.

    A power of two: halved after a step with a gradient that is not finite, doubled after `PATIENCE` good ones
    (as torch.amp.GradScaler does, for any number of learners at once).
    """

    PATIENCE = 2000

    def __init__(self, state: Sequence[float], device: torch.device) -> None:
        self.value, self.good = (torch.tensor(number, dtype=torch.float32, device=device) for number in state)

    def update(self, bad: Sequence[Tensor]) -> None:
        """Take note of a step; `bad` holds () 0 or 1 per learner."""
        if not bad:
            return
        fell = torch.stack(list(bad)).amax()
        good = (self.good + 1) * (1 - fell)
        grown = (good >= self.PATIENCE).float()
        self.value = self.value * (1 - 0.5 * fell) * (1 + grown)
        self.good = good * (1 - grown)

    def state(self) -> list[float]:
        """Return what the constructor takes."""
        return [float(self.value), float(self.good)]
