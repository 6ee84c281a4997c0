"""Prepare a trained model for inference: the same numbers from fewer operations."""

import copy
from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from saliency.backbones.video_swin import WindowAttention


def for_inference(model: nn.Module) -> nn.Module:
    """Return a copy in eval mode with BatchNorms folded into convolutions and attention biases looked up.

    A BatchNorm is folded into the convolution that stands directly before it in the same module, which is how
    every model here defines them. The copy differs from the model by rounding only (about 1e-6); it cannot be
    trained, and its state dict is not the model's.

    Args:
        model: a trained model; left as it is.
    """
    model = copy.deepcopy(model).eval().requires_grad_(False)
    for module in list(model.modules()):
        _fold(module)
        if isinstance(module, WindowAttention):
            module.freeze_bias()
    return model


def _fold(parent: nn.Module) -> None:
    """Fold each BatchNorm among the children of `parent` into the convolution before it."""
    children = list(parent.named_children())
    for (conv_name, conv), (norm_name, norm) in pairwise(children):
        if _pair(conv, norm):
            setattr(parent, conv_name, fuse_conv_bn_eval(conv, norm))  # pyright: ignore[reportArgumentType]
            setattr(parent, norm_name, nn.Identity())


def _pair(conv: nn.Module, norm: nn.Module) -> bool:
    """Whether a BatchNorm belongs to the convolution before it."""
    for convolution, normalisation in ((nn.Conv2d, nn.BatchNorm2d), (nn.Conv3d, nn.BatchNorm3d)):
        if isinstance(conv, convolution) and isinstance(norm, normalisation):
            return conv.out_channels == norm.num_features
    return False
