"""Normalised scanpath saliency (NSS): how far above its mean a prediction is where people looked."""

from collections.abc import Sequence

from torch import Tensor

from saliency.metrics.common import Maps, Points, as_maps, as_points, masked


def nss(pred: Tensor | Maps, fixations: Tensor | Sequence[Tensor] | Points) -> Tensor:
    """Mean standardised prediction at the fixations of each frame.

        NSS = mean over fixations of (P - mean P) / std P,   std with N - 1 in the denominator

    The N - 1 follows the MIT and DHF1K code; pysaliency divides by N, so its value is larger by the factor
    sqrt(N / (N - 1)), 2e-6 at 360x640. Source: Peters et al., "Components of bottom-up gaze allocation in
    natural images", Vision Research 2005.

    Args:
        pred: (B, H, W) or (H, W), any range.
        fixations: a map of the same size, every pixel above 0 is one fixation; or a list with one (M, 2)
            integer tensor of (row, column) per frame, where repeated fixations count repeatedly.

    Returns:
        (B,) float64, higher is better, 0 is chance. A constant prediction scores 0. NaN where there are no
        fixations and where the prediction is not finite.

    Raises:
        InputError: the sizes differ or a listed fixation lies outside the frame.

    Example:
        >>> pred = torch.tensor([[0.0, 0.0], [0.0, 1.0]])
        >>> nss(pred, torch.tensor([[False, False], [False, True]]))
        tensor([1.5000], dtype=torch.float64)
    """
    pred = as_maps(pred)
    fixations = as_points(fixations, pred.shape, "fixations")
    std = (pred.sum_of_squares / (pred.values.shape[1] - 1)).sqrt()
    value = (fixations.mean(pred.centred_at(fixations)) / std).masked_fill(pred.constant, 0.0)
    return masked(value, pred.finite & (fixations.count > 0))
