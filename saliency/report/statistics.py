"""Uncertainty of data-set means: videos are the independent samples, frames of one video are not."""

from dataclasses import dataclass

import numpy as np

EXACT_UP_TO = 14
"""Sign-flip tests enumerate all sign patterns up to this number of videos and draw patterns beyond it."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval."""

    low: float
    high: float


def bootstrap_mean(
    means: np.ndarray, weights: np.ndarray, *, samples: int = 2000, level: float = 0.95, seed: int = 0
) -> Interval | None:
    """Percentile bootstrap interval of a weighted mean over videos (Efron & Tibshirani 1993, chapter 13).

    Args:
        means: (V,) mean of each video; videos without a value are left out beforehand.
        weights: (V,) weight of each video: its valid frames for a frame mean, ones for a video mean.
        samples: resamples.
        level: of the interval.
        seed: of the resampling; videos in the same order give paired resamples for all rows.

    Returns:
        None with fewer than two videos: one video says nothing about others.
    """
    if len(means) < 2:
        return None
    drawn = np.random.default_rng(seed).integers(len(means), size=(samples, len(means)))
    resampled = (means * weights)[drawn].sum(1) / weights[drawn].sum(1)
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def bootstrap_nested(
    differences: np.ndarray, *, samples: int = 10_000, level: float = 0.95, seed: int = 0
) -> Interval | None:
    """Percentile bootstrap interval of a mean over training runs and the images or videos scored in each.

    Both are resampled: the runs (seeds), then within each the images, the same ones for all runs of a resample, as
    all runs are scored on the same images.

    Args:
        differences: (S, V) row minus baseline, per seed and image.
        samples: resamples.
        level: of the interval.
        seed: of the resampling.

    Returns:
        None with fewer than two seeds: one run says nothing about others.
    """
    seeds, videos = differences.shape
    if seeds < 2:
        return None
    random = np.random.default_rng(seed)
    runs = random.integers(seeds, size=(samples, seeds))
    images = random.integers(videos, size=(samples, videos))
    means = np.array([differences[np.ix_(r, v)].mean() for r, v in zip(runs, images, strict=True)])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def sign_flip_test(differences: np.ndarray, *, samples: int = 20_000, seed: int = 0) -> float | None:
    """Two-sided p value of "the mean difference is 0" for paired values, by flipping their signs at random.

    Exact for at most `EXACT_UP_TO` pairs, otherwise estimated with the observed pattern counted in (so never 0).
    Source: Fisher's randomisation test; Good, "Permutation, Parametric and Bootstrap Tests", 2005.

    Args:
        differences: (V,) row minus baseline, one per video.
        samples: random patterns where there are too many to enumerate.
        seed: of the patterns.

    Returns:
        None with fewer than two pairs. The smallest possible value is 2 / 2^V, so few videos cannot be significant.
    """
    n = len(differences)
    if n < 2:
        return None
    observed = abs(differences.sum())
    tolerance = 1e-12 * max(float(np.abs(differences).sum()), 1e-300)
    if n <= EXACT_UP_TO:
        signs = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return float((np.abs(signs @ differences) >= observed - tolerance).mean())
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(samples, n))
    extreme = (np.abs(signs @ differences) >= observed - tolerance).sum()
    return float((extreme + 1) / (samples + 1))


def holm(p_values: list[float | None]) -> list[float | None]:
    """Adjust p values for the number of tests (Holm 1979); None stays None."""
    order = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, i) in enumerate(order):
        highest = max(highest, min(1.0, p * (len(order) - rank)))
        adjusted[i] = highest
    return adjusted
