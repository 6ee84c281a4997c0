"""How many viewers and videos, or seeds, show a paired difference: from the spread of differences that were measured.

A difference of viewer u on video v is taken as ``x[u, v] = d + video[v] + viewer[u] + rest[u, v]`` with independent
parts of mean 0. The test is a two-sided t test of the mean against 0 whose error counts both videos and viewers as
drawn anew, so that a study's answer holds for other videos and other viewers.

Sources: the paired t test's power by the noncentral t distribution (Cohen, "Statistical Power Analysis", 1988); viewers
crossed with videos, with Satterthwaite's degrees of freedom: Westfall, Kenny & Judd, "Statistical power and optimal
design in experiments in which samples of participants respond to samples of stimuli", J. Exp. Psychol. Gen. 143, 2014.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from saliency.errors import InputError

MOST = 10_000
"""More videos, viewers or seeds than this are not looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a study shall be able to do.

    Attributes:
        difference: to be seen, of either sign; not 0.
        power: chance that the test finds it, in (0, 1).
        alpha: chance that the test finds a difference where there is none, in (0, 1).
    """

    difference: float
    power: float = 0.8
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if not math.isfinite(self.difference) or self.difference == 0:
            raise InputError(f"--difference must be a number other than 0, got {self.difference}")
        for name, value in (("--power", self.power), ("--alpha", self.alpha)):
            if not 0 < value < 1:
                raise InputError(f"{name} must lie between 0 and 1, got {value}")
        if self.power <= self.alpha:
            raise InputError(f"--power must be above --alpha ({self.alpha}), got {self.power}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The variances of differences, and their mean.

    Attributes:
        mean: of all differences.
        video: variance between videos.
        viewer: variance between viewers, the same on all videos; 0 where each video has viewers of its own.
        rest: variance of what is left.
        crossed: whether the same viewers saw every video.
    """

    mean: float
    video: float
    viewer: float
    rest: float
    crossed: bool

    def chance(self, wish: Wish, videos: int, viewers: int) -> float:
        """Return the power of a study of so many videos, seen by so many viewers each; at least 2 videos.

        Of crossed viewers there must be at least 2 as well.
        """
        of_video, of_viewer = viewers * self.video + self.rest, videos * self.viewer + self.rest
        squares = [(of_video, videos - 1)]
        if self.crossed:
            squares += [(of_viewer, viewers - 1), (-self.rest, (videos - 1) * (viewers - 1))]
        total = sum(square for square, _ in squares)
        if total <= 0:
            return 1.0
        freedom = total**2 / sum(square**2 / own for square, own in squares)
        return t_power(abs(wish.difference) / math.sqrt(total / (videos * viewers)), freedom, wish.alpha)

    def videos_for(self, wish: Wish, viewers: int) -> int | None:
        """Return the fewest videos that do with so many viewers each; None where `MOST` are too few."""
        return fewest(lambda videos: self.chance(wish, videos, viewers) >= wish.power)


def spread_of(table: np.ndarray) -> Spread:
    """Return the variances of differences, by analysis of variance; an estimate below 0 becomes 0.

    Args:
        table: (viewers, videos), NaN where a viewer did not see a video. Without NaN the viewers are crossed with the
            videos; otherwise each video is taken to have viewers of its own.

    Raises:
        InputError: fewer than two videos, or not two viewers on any video.
    """
    known = np.isfinite(table)
    counts = known.sum(axis=0)
    table, known, counts = table[:, counts > 0], known[:, counts > 0], counts[counts > 0]
    if len(counts) < 2 or counts.max() < 2:
        raise InputError(
            f"differences of {len(counts)} video(s) and at most {counts.max(initial=0)} viewer(s) on one say nothing "
            "of spread; at least 2 of each are needed"
        )
    mean = float(table[known].mean())
    by_video = np.nanmean(table, axis=0)
    if known.all():
        viewers, videos = table.shape
        by_viewer = table.mean(axis=1)
        left = table - by_video - by_viewer[:, None] + mean
        rest = float((left**2).sum() / ((viewers - 1) * (videos - 1)))
        return Spread(
            mean=mean,
            video=max(0.0, float(by_video.var(ddof=1)) - rest / viewers),
            viewer=max(0.0, float(by_viewer.var(ddof=1)) - rest / videos),
            rest=rest,
            crossed=True,
        )
    number, groups = int(counts.sum()), len(counts)
    rest = float(np.nansum((table - by_video) ** 2) / (number - groups))
    between = float((counts * (by_video - mean) ** 2).sum() / (groups - 1))
    typical = (number - float((counts**2).sum()) / number) / (groups - 1)
    return Spread(mean=mean, video=max(0.0, (between - rest) / typical), viewer=0.0, rest=rest, crossed=False)


def pairs_for(deviation: float, wish: Wish) -> int | None:
    """Return the fewest pairs of a paired t test; None where `MOST` are too few.

    Args:
        deviation: standard deviation of the differences, >= 0.
        wish: what the test shall be able to do.
    """
    if deviation == 0:
        return 2
    shift = abs(wish.difference) / deviation
    return fewest(lambda n: t_power(shift * math.sqrt(n), n - 1, wish.alpha) >= wish.power)


def t_power(shift: float, freedom: float, alpha: float) -> float:
    """Return the chance that a two-sided t test rejects.

    Args:
        shift: true difference divided by its standard error.
        freedom: degrees of freedom, > 0.
        alpha: of the test.
    """
    limit = stats.t.ppf(1 - alpha / 2, freedom)
    above = stats.nct.sf(limit, freedom, shift)
    # far beyond the limit scipy's series gives NaN where the chance is 1
    return 1.0 if math.isnan(above) else float(above + np.nan_to_num(stats.nct.cdf(-limit, freedom, shift)))


def fewest(enough: Callable[[int], bool]) -> int | None:
    """Return the smallest number from 2 to `MOST` from which on it is enough; None if there is none."""
    if enough(2):
        return 2
    low, high = 2, 4
    while not enough(high):
        if high >= MOST:
            return None
        low, high = high, min(2 * high, MOST)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
