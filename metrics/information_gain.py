"""Information gain (IG): bits per fixation by which a prediction beats a baseline density."""

from collections.abc import Sequence

import torch
from torch import Tensor

from saliency.errors import InputError
from saliency.metrics.common import EPS, Maps, Points, as_maps, as_points, check_shape, masked


def information_gain(
    pred: Tensor | Maps, fixations: Tensor | Sequence[Tensor] | Points, baseline: Tensor | Maps
) -> Tensor:
    """Mean log-likelihood advantage of the prediction over the baseline at the fixations of each frame.

        IG = mean over fixations of log2(eps + p) - log2(eps + b),
        p and b divided by their sums,  eps = 2.2204e-16

    A prediction with negative values is shifted up to minimum 0 first. The number means little without its
    baseline: use a centre prior fitted on the training split and publish it with the result. Source: Kümmerer
    et al., "Information-theoretic model comparison unifies saliency metrics", PNAS 2015.

    Args:
        pred: (B, H, W) or (H, W), any range.
        fixations: a map of the same size, every pixel above 0 is one fixation; or a list with one (M, 2)
            integer tensor of (row, column) per frame, where repeated fixations count repeatedly.
        baseline: (H, W), one for all frames, or (B, H, W); strictly positive.

    Returns:
        (B,) float64 bits per fixation, higher is better, 0 equals the baseline. A constant prediction counts
        as the uniform density. NaN where there are no fixations and where the prediction is not finite.

    Raises:
        InputError: the sizes differ, or the baseline is not finite and positive everywhere.

    Example:
        >>> fixations = torch.tensor([[False, False], [False, True]])
        >>> pred = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
        >>> information_gain(pred, fixations, baseline=torch.ones(2, 2))  # half of the pixels: one bit
        tensor([1.0000], dtype=torch.float64)
    """
    pred, baseline = as_maps(pred), as_maps(baseline)
    fixations = as_points(fixations, pred.shape, "fixations")
    frames = pred.shape[0] if baseline.shape[0] == 1 else baseline.shape[0]  # one baseline serves all frames
    check_shape(torch.Size((frames, *baseline.shape[1:])), pred.shape, "baseline")
    if not bool((baseline.finite & (baseline.low > 0)).all()):
        raise InputError("the baseline must be finite and above 0 everywhere; add a small floor to it")
    p = pred.density(fixations.index)  # (B, K)
    b = baseline.density(fixations.index if baseline.shape[0] > 1 else fixations.index.reshape(1, -1))
    b = b.view_as(p)
    value = fixations.mean((p + EPS).log2() - (b + EPS).log2())
    return masked(value, pred.finite & (fixations.count > 0))
