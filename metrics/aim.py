"""The four scores of the AIM 2024, NTIRE 2026 and CrowdSAL challenges, as their public scorer computes them.

They are the usual CC, NSS, SIM and AUC-Judd with small constants against division by zero and with quirks of their
own, so numbers of these challenges are compared with these functions only. Source: ``bench.py`` of
msu-video-group/ECCVW24_Saliency_Prediction and msu-video-group/NTIRE26_Saliency_Prediction, read in November 2026.

The scorer stretches prediction and ground truth to [0, 1] first, see `stretched`; the functions here expect that.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from saliency.metrics.common import Maps, Points, as_maps, as_points, check_shape, dot, masked

EPSILON = 1e-7
"""What the scorer adds to sums and standard deviations."""

STRETCH_EPSILON = 1.19e-7
"""What it adds to the range of a map when it stretches it."""


def stretched(maps: Tensor) -> Tensor:
    """Bring each map to [0, 1]: ``(x - min) / (max - min + 1.19e-7)``.

    Args:
        maps: (..., H, W), any real dtype.

    Returns:
        (..., H, W) float64. A constant map becomes 0.
    """
    maps = maps.double()
    low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
    return (maps - low) / (high - low + STRETCH_EPSILON)


def cc_aim(pred: Tensor | Maps, density: Tensor | Maps) -> Tensor:
    """Correlation: both maps standardised with the constant, products over the root of the squares with it.

        p' = (p - mean p) / (std p + e),   CC = sum p' g' / (sqrt(sum p'² · sum g'²) + e),   e = 1e-7

    Args:
        pred: (B, H, W) or (H, W) in [0, 1].
        density: same size, in [0, 1].

    Returns:
        (B,) float64, higher is better, 0 for a constant map. NaN where a map is not finite.

    Raises:
        InputError: the sizes differ.
    """
    pred, density = as_maps(pred), as_maps(density)
    check_shape(density.shape, pred.shape, "density")
    p, g = _standardised(pred), _standardised(density)
    return masked(dot(p, g) / ((dot(p, p) * dot(g, g)).sqrt() + EPSILON), pred.finite & density.finite)


def sim_aim(pred: Tensor | Maps, density: Tensor | Maps) -> Tensor:
    """Similarity: ``sum min(p / (sum p + 1e-7), g / (sum g + 1e-7))``.

    Args:
        pred: (B, H, W) or (H, W) in [0, 1].
        density: same size, in [0, 1].

    Returns:
        (B,) float64 in [0, 1], higher is better, 0 for a map of zeros. NaN where a map is not finite.

    Raises:
        InputError: the sizes differ.
    """
    pred, density = as_maps(pred), as_maps(density)
    check_shape(density.shape, pred.shape, "density")
    p, g = (maps.values.double() for maps in (pred, density))
    p, g = p / (p.sum(1, keepdim=True) + EPSILON), g / (g.sum(1, keepdim=True) + EPSILON)
    return masked(torch.minimum(p, g).sum(1), pred.finite & density.finite)


def nss_aim(pred: Tensor | Maps, fixations: Tensor | Sequence[Tensor] | Points) -> Tensor:
    """NSS with the population's standard deviation and the constant; repeated fixations count repeatedly.

    Args:
        pred: (B, H, W) or (H, W) in [0, 1].
        fixations: a list with one (M, 2) integer tensor of (row, column) per frame, or a fixation map.

    Returns:
        (B,) float64, higher is better. NaN where there are no fixations or the prediction is not finite.

    Raises:
        InputError: the sizes differ or a listed fixation lies outside the frame.
    """
    pred = as_maps(pred)
    fixations = as_points(fixations, pred.shape, "fixations")
    value = fixations.mean(_standardised(pred).gather(1, fixations.index))
    return masked(value, pred.finite & (fixations.count > 0))


def auc_judd_aim(pred: Tensor | Maps, fixations: Tensor | Sequence[Tensor] | Points) -> Tensor:
    """AUC-Judd with its scorer's count of negatives.

    The thresholds are the values t_1 >= t_2 >= ... at the F fixations, repeats included. The curve joins (0, 0), the
    points ``x_i = (#{pixels >= t_i} - i) / (N - u)``, ``y_i = i / F`` and (1, 1) by straight lines, N being the number
    of pixels. u is meant to be the number of distinct fixations, but the scorer counts distinct *columns* of its list
    of (row, column): 2, or 1 where every fixation has its row equal to its column. Kept so, under this name.

    Args:
        pred: (B, H, W) or (H, W) in [0, 1].
        fixations: a list with one (M, 2) integer tensor of (row, column) per frame, or a fixation map.

    Returns:
        (B,) float64, higher is better. NaN where there are no fixations or the prediction is not finite.

    Raises:
        InputError: the sizes differ or a listed fixation lies outside the frame.
    """
    pred = as_maps(pred)
    fixations = as_points(fixations, pred.shape, "fixations")
    ranks = pred.ranks(fixations)
    width, pixels = pred.shape[2], pred.values.shape[1]
    scores = []
    for below, index, valid in zip(ranks.below, fixations.index, fixations.valid, strict=True):
        index = index[valid]  # (F,)
        count = len(index)
        if not count:
            scores.append(torch.full((), torch.nan, dtype=torch.float64, device=index.device))
            continue
        distinct = 1 if bool((index // width == index % width).all()) else 2
        reached = (pixels - below[valid]).sort().values  # pixels >= each threshold, the highest threshold first
        rank = torch.arange(1, count + 1, device=index.device)
        x = _with_ends((reached - rank).double() / (pixels - distinct))
        y = _with_ends(rank.double() / count)
        scores.append(torch.trapezoid(y, x))
    return masked(torch.stack(scores), pred.finite)


def _standardised(maps: Maps) -> Tensor:
    """(B, N) float64: the values less their mean, over their population standard deviation plus the constant."""
    values = maps.values.double()
    centred = values - values.mean(1, keepdim=True)
    return centred / (values.std(1, correction=0, keepdim=True) + EPSILON)


def _with_ends(values: Tensor) -> Tensor:
    """The values between 0 and 1."""
    return torch.cat((values.new_zeros(1), values, values.new_ones(1)))
