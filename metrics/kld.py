"""Kullback-Leibler divergence of the prediction from the ground-truth density: KL(density || pred)."""

import torch
from torch import Tensor

from saliency.metrics.common import EPS, Maps, as_maps, check_shape, masked


def kld(pred: Tensor | Maps, density: Tensor | Maps) -> Tensor:
    """KL(density || pred) of each frame in nats, with the MIT benchmark's regularisation.

        KLD = sum g ln(eps + g / (p + eps)),   p and g divided by their sums,  eps = 2.2204e-16

    A prediction with negative values is shifted up to minimum 0 first. The epsilon bounds what a zero of the
    prediction costs (about 36 nats per unit of mass), so the value depends on it when there are many zeros;
    for identical maps it is about -1e-12, not exactly 0. Source: Bylinskii et al., "What do different
    evaluation metrics tell us about saliency models?", TPAMI 2019, section 4.2, and its code (KLdiv).

    Args:
        pred: (B, H, W) or (H, W), any range.
        density: same size, >= 0.

    Returns:
        (B,) float64, lower is better. A constant prediction (also all-zero) counts as the uniform density.
        NaN where the density is all-zero, negative anywhere or not finite, and where the prediction is not
        finite.

    Raises:
        InputError: the sizes differ.

    Example:
        >>> density = torch.tensor([[0.0, 0.0], [0.0, 1.0]])
        >>> kld(torch.ones(2, 2), density)  # ln 4
        tensor([1.3863], dtype=torch.float64)
    """
    pred, density = as_maps(pred), as_maps(density)
    check_shape(density.shape, pred.shape, "density")
    seen = density.support  # a pixel without density adds exactly 0
    g = density.density(seen)
    terms = pred.density(seen).add_(EPS)  # reused for the whole expression: new memory costs more than arithmetic
    torch.div(g, terms, out=terms).add_(EPS).log_().mul_(g)
    if seen is not None:
        terms = seen.fill(terms, 0.0)
    return masked(terms.sum(1), pred.finite & density.usable_density)
