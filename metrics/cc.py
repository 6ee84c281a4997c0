"""Linear correlation coefficient (CC) between a prediction and the ground-truth density."""

from torch import Tensor

from saliency.metrics.common import Maps, as_maps, check_shape, dot, masked


def cc(pred: Tensor | Maps, density: Tensor | Maps) -> Tensor:
    """Pearson's correlation of the pixel values of each frame.

        CC = sum (P - mean P) (G - mean G) / sqrt(sum (P - mean P)² · sum (G - mean G)²)

    It does not change when either map is scaled by a positive factor or shifted. All published
    implementations agree on it. Source: Bylinskii et al., "What do different evaluation metrics tell us about
    saliency models?", TPAMI 2019, section 4.2.

    Args:
        pred: (B, H, W) or (H, W), any range.
        density: same size, any range.

    Returns:
        (B,) float64 in [-1, 1], higher is better. A constant prediction scores 0. NaN where the density is
        constant (also all-zero) or not finite, and where the prediction is not finite.

    Raises:
        InputError: the sizes differ.

    Example:
        >>> density = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
        >>> cc(2 * density + 1, density)
        tensor([1.0000], dtype=torch.float64)
        >>> cc(torch.ones(2, 2), density)
        tensor([0.], dtype=torch.float64)
    """
    pred, density = as_maps(pred), as_maps(density)
    check_shape(density.shape, pred.shape, "density")
    # Two square roots: the product of the sums may leave float64's range for tiny or huge maps.
    scale = pred.sum_of_squares.sqrt() * density.sum_of_squares.sqrt()
    value = _product(pred, density) / scale
    value = value.clamp(-1.0, 1.0).masked_fill(pred.constant, 0.0)
    return masked(value, pred.finite & density.finite & ~density.constant)


def _product(pred: Maps, density: Maps) -> Tensor:
    """(B,) sum of the products of both centred maps."""
    seen = density.support
    if seen is None:
        return dot(pred.centred, density.centred)
    # The centred values of a map add up to 0, so subtracting the density's mean changes nothing.
    return dot(pred.centred_at(seen), density.wide_at(seen))
