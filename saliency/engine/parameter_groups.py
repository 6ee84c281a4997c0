"""Which weights of a model move how fast, and which are decayed."""

from collections import defaultdict
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from saliency.config.run import Optimizer
from saliency.errors import InputError

UNDECAYED_LAYERS = (_BatchNorm, _InstanceNorm, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm, nn.Embedding)
UNDECAYED_NAMES = ("relative_position_bias_table", "absolute_pos_embed")
"""What Mask2Former's published training leaves undecayed; biases of other layers are decayed."""


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
