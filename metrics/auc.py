"""Areas under the ROC curve: how well a prediction ranks fixated pixels above other pixels.

The variants differ in what counts as a negative:

    ================== ======================================== =====================================
    auc                pixels nobody fixated in this frame      exact (Mann-Whitney, ties count half)
    auc_judd           the same                                 the MIT/DHF1K staircase, "AUC-Judd"
    auc_borji          all pixels                               exact
    auc_shuffled       fixations of other frames                exact
    auc_shuffled_step  the same                                 the DHF1K thresholds 0, 0.1, ..., 1
    ================== ======================================== =====================================

Official code draws random negatives or adds random jitter and reports one draw. Here the randomness is
integrated out: each function returns the expectation of what the official code draws, so it is deterministic.
All use ranks only, hence any increasing transform of the prediction gives the same value (except
`auc_shuffled_step`, whose thresholds sit at fixed values). Pairs are counted in integers: no rounding.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from saliency.metrics.common import Maps, Points, Ranks, as_maps, as_points, ascending, masked

STEPS = 10
"""Number of threshold intervals of the official sampled AUCs."""


def auc(pred: Tensor | Maps, fixations: Tensor | Sequence[Tensor] | Points) -> Tensor:
    """Exact area under the ROC curve, fixated against non-fixated pixels.

        AUC = P(value at a fixation > value elsewhere) + 1/2 P(equal)

    Equals scikit-learn's ``roc_auc_score(fixations, pred)``. It is not "AUC-Judd", which is larger by up to
    1 / (2 fixations), see `auc_judd`. Source: Mann & Whitney 1947; Green & Swets 1966.

    Args:
        pred: (B, H, W) or (H, W), any range.
        fixations: a map of the same size, every pixel above 0 is one fixation; or a list with one (M, 2)
            integer tensor of (row, column) per frame, where repeated fixations count repeatedly.

    Returns:
        (B,) float64 in [0, 1], higher is better, 0.5 is chance and the score of a constant prediction. NaN
        where there are no fixations or every pixel is fixated, and where the prediction is not finite.

    Raises:
        InputError: the sizes differ or a listed fixation lies outside the frame.

    Example:
        >>> pred = torch.tensor([[0.1, 0.4], [0.3, 0.9]])
        >>> auc(pred, torch.tensor([[False, False], [True, True]]))
        tensor([0.7500], dtype=torch.float64)
    """
    pred = as_maps(pred)
    fixations = as_points(fixations, pred.shape, "fixations")
    return _auc(pred, fixations, pred.ranks(fixations))


def auc_judd(pred: Tensor | Maps, fixations: Tensor | Sequence[Tensor] | Points) -> Tensor:
    """AUC-Judd: the staircase of the MIT benchmark and DHF1K, with its random jitter integrated out.

    The official code takes the fixated values as the only thresholds and joins (0, 0), the points (true,
    false positive rate) at these thresholds and (1, 1) by straight lines. The last line starts at the lowest
    fixated value v and adds an area that the ROC curve does not have. With tiny jitter breaking ties at
    random the expected result has a closed form:

        AUC-Judd = AUC + (n_above + n_equal k / (k + 1)) / n / (2 K)

    n non-fixated pixels, n_above of them above v and n_equal equal to v; K fixations, k of them equal to v.
    The official jitter has a fixed size of 1e-7, which swamps maps that sum to 1; this value is the limit for
    infinitely small jitter and does not depend on the map's scale. Source: Judd et al., "Learning to predict
    where humans look", ICCV 2009; Bylinskii et al., TPAMI 2019, and its code (AUC_Judd).

    Args:
        pred: (B, H, W) or (H, W), any range.
        fixations: a map of the same size, every pixel above 0 is one fixation; or a list with one (M, 2)
            integer tensor of (row, column) per frame. The metric is defined on the set of fixated pixels:
            repeated fixations count once.

    Returns:
        (B,) float64 in [0, 1], higher is better. A constant prediction scores 0.5 + 1 / (2 (K + 1)). NaN
        where there are no fixations or every pixel is fixated, and where the prediction is not finite.

    Raises:
        InputError: the sizes differ or a listed fixation lies outside the frame.

    Example:
        >>> pred = torch.tensor([[0.1, 0.4], [0.3, 0.9]])
        >>> auc_judd(pred, torch.tensor([[False, False], [True, True]]))
        tensor([0.8750], dtype=torch.float64)
    """
    pred = as_maps(pred)
    fixations = as_points(fixations, pred.shape, "fixations").as_set
    total = pred.values.shape[1]
    ranks = pred.ranks(fixations)
    below, not_above = (fixations.fill(rank, total).amin(1) for rank in (ranks.below, ranks.not_above))  # of v
    tied = fixations.fill(ranks.below == below[:, None], False).sum(1)  # k
    above = (total - not_above) - (fixations.count - tied)  # n_above
    equal = not_above - below - tied  # n_equal
    chance = above + (equal * tied).double() / (tied + 1)
    extra = chance / (total - fixations.count) / (2 * fixations.count)
    return _auc(pred, fixations, ranks) + extra  # NaN where _auc is NaN


def auc_borji(pred: Tensor | Maps, fixations: Tensor | Sequence[Tensor] | Points) -> Tensor:
    """Exact area under the ROC curve, fixated pixels against all pixels.

        AUC = P(value at a fixation > value of a random pixel) + 1/2 P(equal)

    The official code approximates it by 100 random draws of pixels and thresholds 0.1 apart, which moves the
    value by about 0.01. Equals pysaliency's ``AUC`` with uniform nonfixations. Source: Borji, Tavakoli,
    Sihite & Itti, "Analysis of scores, datasets, and models in visual saliency prediction", ICCV 2013.

    Args:
        pred: (B, H, W) or (H, W), any range.
        fixations: a map of the same size, every pixel above 0 is one fixation; or a list with one (M, 2)
            integer tensor of (row, column) per frame, where repeated fixations count repeatedly.

    Returns:
        (B,) float64 in [0, 1], higher is better, 0.5 is chance and the score of a constant prediction. NaN
        where there are no fixations and where the prediction is not finite.

    Raises:
        InputError: the sizes differ or a listed fixation lies outside the frame.

    Example:
        >>> pred = torch.tensor([[0.1, 0.4], [0.3, 0.9]])
        >>> auc_borji(pred, torch.tensor([[False, False], [True, True]]))
        tensor([0.6250], dtype=torch.float64)
    """
    pred = as_maps(pred)
    fixations = as_points(fixations, pred.shape, "fixations")
    wins = _wins_over_all(fixations, pred.ranks(fixations))
    value = wins.double() / (2 * fixations.count * pred.values.shape[1])
    return masked(value, pred.finite & (fixations.count > 0))


def auc_shuffled(
    pred: Tensor | Maps,
    fixations: Tensor | Sequence[Tensor] | Points,
    others: Tensor | Sequence[Tensor] | Points,
) -> Tensor:
    """Exact shuffled AUC: fixations of this frame against fixations of other frames.

        sAUC = P(value at a fixation > value at another frame's fixation) + 1/2 P(equal)

    Where people look in any frame is mostly its centre; those places as negatives take that advantage away.
    How `others` are chosen decides the number far more than the formula, so publish it. Source: Zhang et al.,
    "SUN: a Bayesian framework for saliency using natural statistics", JoV 2008.

    Args:
        pred: (B, H, W) or (H, W), any range.
        fixations: a map of the same size, every pixel above 0 is one fixation; or a list with one (M, 2)
            integer tensor of (row, column) per frame, where repeated fixations count repeatedly.
        others: fixations of other frames for each frame, in the same two forms: a map is their union (each
            pixel once), a list keeps repeats. Lists are faster when there are few points.

    Returns:
        (B,) float64 in [0, 1], higher is better, 0.5 is chance and the score of a constant prediction. NaN
        where there are no fixations or no others, and where the prediction is not finite.

    Raises:
        InputError: the sizes differ or a listed point lies outside the frame.

    Example:
        >>> pred = torch.tensor([[0.1, 0.4], [0.3, 0.9]])
        >>> fixations = torch.tensor([[False, False], [True, True]])
        >>> auc_shuffled(pred, fixations, torch.tensor([[False, True], [False, True]]))
        tensor([0.3750], dtype=torch.float64)
        >>> auc_shuffled(pred, fixations, [torch.tensor([[0, 1], [1, 1]])])
        tensor([0.3750], dtype=torch.float64)
    """
    pred = as_maps(pred)
    fixations = as_points(fixations, pred.shape, "fixations")
    others = as_points(others, pred.shape, "others")
    wins = _wins(pred.at(fixations), fixations, _ascending_at(pred, others))
    value = wins.double() / (2 * fixations.count * others.count)
    return masked(value, pred.finite & (fixations.count > 0) & (others.count > 0))


def auc_shuffled_step(
    pred: Tensor | Maps,
    fixations: Tensor | Sequence[Tensor] | Points,
    others: Tensor | Sequence[Tensor] | Points,
) -> Tensor:
    """Shuffled AUC with the official thresholds 0, 0.1, ..., 1 and its sampling integrated out.

    The official code scales the prediction to [0, 1], draws as many of the `others` as there are fixations,
    takes the rates of values >= i/10, joins (0, 0), these points and (1, 1) by straight lines, and averages
    100 draws. The area is linear in the false positive rates, so its expectation follows from the rates over
    all `others`; no draw is needed. Against `auc_shuffled` the coarse steps move the value by about 0.01, by
    0.1 for a single fixation, and make it depend on the prediction's histogram. Source: DHF1K evaluation code
    (AUC_shuffled), Wang et al., "Revisiting video saliency prediction in the deep learning era", TPAMI 2021.

    Args:
        pred: (B, H, W) or (H, W), any range.
        fixations: as in `auc_shuffled`.
        others: as in `auc_shuffled`.

    Returns:
        (B,) float64 in [0, 1], higher is better, 0.5 is chance and the score of a constant prediction. NaN
        where there are no fixations or no others, and where the prediction is not finite.

    Raises:
        InputError: the sizes differ or a listed point lies outside the frame.

    Example:
        >>> pred = torch.tensor([[0.1, 0.4], [0.3, 0.9]])
        >>> fixations = torch.tensor([[False, False], [True, True]])
        >>> auc_shuffled_step(pred, fixations, torch.tensor([[False, True], [False, True]]))
        tensor([0.3750], dtype=torch.float64)
    """
    pred = as_maps(pred)
    fixations = as_points(fixations, pred.shape, "fixations")
    others = as_points(others, pred.shape, "others")
    hits, alarms = _rates_by_step(pred, fixations), _rates_by_step(pred, others)  # (B, STEPS + 3)
    value = torch.trapezoid(hits, alarms, dim=1)
    value = value.masked_fill(pred.constant, 0.5)
    return masked(value, pred.finite & (fixations.count > 0) & (others.count > 0))


def _auc(pred: Maps, fixations: Points, ranks: Ranks) -> Tensor:
    """`auc`, given where the fixated values stand among the frame's."""
    negatives = pred.values.shape[1] - fixations.as_set.count  # (B,)
    wins = _wins_over_all(fixations, ranks) - _wins_among_fixations(pred, fixations)
    value = wins.double() / (2 * fixations.count * negatives)
    return masked(value, pred.finite & (fixations.count > 0) & (negatives > 0))


def _wins_over_all(points: Points, ranks: Ranks) -> Tensor:
    """`_wins` against all pixels, (B,) int64."""
    return points.fill(ranks.below + ranks.not_above, 0).sum(1)


def _wins(values: Tensor, points: Points, ascending: Tensor) -> Tensor:
    """Twice the number of (point, negative) pairs the point wins, a tie being half a win.

    Twice, so that it stays an integer: #(negative < value) + #(negative <= value).

    Args:
        values: (B, K) values at the points.
        points: which of them are valid.
        ascending: (B, M) sorted values of the negatives.

    Returns:
        (B,) int64.
    """
    wins = torch.searchsorted(ascending, values) + torch.searchsorted(ascending, values, right=True)
    return points.fill(wins, 0).sum(1)


def _wins_among_fixations(pred: Maps, fixations: Points) -> Tensor:
    """`_wins` of the fixations against the set of fixated pixels, (B,) int64."""
    if not fixations.repeats:
        return fixations.count**2  # every pair is won once, and every fixation ties with itself
    return _wins(pred.at(fixations), fixations, _ascending_at(pred, fixations.as_set))


def _ascending_at(pred: Maps, points: Points) -> Tensor:
    """Sorted values at the points, (B, K); the padding of short lists sorts last as infinity."""
    return ascending(points.fill(pred.at(points), torch.inf))


def _rates_by_step(pred: Maps, points: Points) -> Tensor:
    """Rates of scaled values >= 1, 0.9, ..., 0 among the points, between a leading 0 and a final 1.

    Returns:
        (B, STEPS + 3) float64, ascending along dimension 1.
    """
    scaled = pred.scaled_at(points)  # (B, K)
    # i / 10 is the double nearest to the decimal; i * 0.1 is not and misplaces 8-bit values such as 0.6.
    steps = torch.arange(STEPS, -1, -1, dtype=torch.float64, device=scaled.device) / STEPS
    reached = (scaled[:, None, :] >= steps[:, None]) & points.valid[:, None, :]  # (B, STEPS + 1, K)
    rates = reached.sum(2) / points.count[:, None].double()
    return torch.nn.functional.pad(torch.nn.functional.pad(rates, (1, 0)), (0, 1), value=1.0)
