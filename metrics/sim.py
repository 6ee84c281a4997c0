"""Similarity (SIM), the histogram intersection of prediction and ground truth as densities."""

from typing import Literal

import torch
from torch import Tensor

from saliency.errors import InputError
from saliency.metrics.common import Maps, as_maps, check_shape, masked


def sim(pred: Tensor | Maps, density: Tensor | Maps, norm: Literal["minmax", "sum"] = "minmax") -> Tensor:
    """Overlap of the two maps of each frame, both made densities.

        SIM = sum min(p, g),   p and g normalised to sum 1

    The two ways to normalise are both in use and give different numbers (0.08 on a map with a floor of 0.5):
    ``"minmax"`` subtracts each map's minimum first (MIT and DHF1K code, and what video papers report);
    ``"sum"`` only divides by the sum, after shifting up maps with negative values (pysaliency, UNISAL, MSU).
    Source: Judd et al., "A benchmark of computational models of saliency", MIT-CSAIL-TR-2012-001.

    Args:
        pred: (B, H, W) or (H, W), any range.
        density: same size, >= 0.
        norm: how both maps become densities.

    Returns:
        (B,) float64 in [0, 1], higher is better. A constant map counts as the uniform density. NaN where the
        density is all-zero, negative anywhere or not finite, and where the prediction is not finite.

    Raises:
        InputError: the sizes differ, or `norm` is unknown.

    Example:
        >>> density = torch.tensor([[0.0, 1.0], [2.0, 1.0]])
        >>> sim(density, density)
        tensor([1.], dtype=torch.float64)
        >>> sim(torch.zeros(2, 2), density)
        tensor([0.7500], dtype=torch.float64)
    """
    if norm not in ("minmax", "sum"):
        raise InputError(f"sim: norm is {norm!r}; give 'minmax' or 'sum'")
    pred, density = as_maps(pred), as_maps(density)
    check_shape(density.shape, pred.shape, "density")
    # With N pixels and a floor (the minimum, or 0) a density is (P - floor) / (N (mean - floor)), which equals
    # 1/N + (P - mean) / (N (mean - floor)): the centred maps of CC and NSS serve here too, and the 1/N add up to 1.
    floor = "low" if norm == "minmax" else "zero"
    p, g = _spread(pred, floor), _spread(density, floor)  # (B, 1)
    seen = density.support
    if seen is None:
        overlap = pred.centred * (g / p)
        torch.minimum(overlap, density.centred, out=overlap)
        value = 1 + overlap.sum(1) / g[:, 0]
    else:  # elsewhere the density, and so the smaller of both, is 0
        smaller = torch.minimum(pred.centred_at(seen) * (g / p), density.centred_at(seen)) + density.mean_above(floor)
        value = seen.fill(smaller, 0.0).sum(1) / g[:, 0]
    value = value.clamp(0.0, 1.0)  # rounding
    return masked(value, pred.finite & density.usable_density)


def _spread(maps: Maps, floor: Literal["low", "zero"]) -> Tensor:
    """N (mean - floor), (B, 1) float64; anything above 0 for constant maps, whose centred values are 0."""
    return maps.mean_above(floor).masked_fill(maps.constant[:, None], 1.0) * maps.values.shape[1]
