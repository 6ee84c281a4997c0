"""What the models know together, and how much of it each one recovered (Table 3 and Eq. 14 of the Bi-KD paper).

The ensemble averages what the models predicted *before* the transfer: class probabilities at T = 1, or saliency maps
divided by their sum.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from saliency.errors import InputError
from saliency.tasks.classification import ClassificationTask
from saliency.tasks.saliency import SaliencyTask


def ensemble(task: Any, preds: Sequence[Tensor]) -> Tensor:
    """Return the prediction of the models together, to be scored with the task's metrics.

    Args:
        task: a classification or saliency task.
        preds: aligned predictions (B, ...), one per model. A saliency map without a positive sum is left out.

    Returns:
        (B, C) mean probabilities, or (B, H, W) mean of the maps divided by their sums.

    Raises:
        InputError: the task's predictions cannot be averaged.
    """
    if isinstance(task, ClassificationTask):
        return torch.stack([pred.softmax(1) for pred in preds]).mean(0)
    if isinstance(task, SaliencyTask):
        sums = [pred.sum((-2, -1), keepdim=True) for pred in preds]
        usable = [(total > 0) & total.isfinite() for total in sums]
        maps = [
            torch.where(ok, pred / torch.where(ok, total, 1.0), 0.0)
            for pred, total, ok in zip(preds, sums, usable, strict=True)
        ]
        return torch.stack(maps).mean(0)
    raise InputError(f"no ensemble is defined for {type(task).__name__}: it is for classification and saliency")


@dataclass(frozen=True, slots=True)
class Recovery:
    """How much of the ensemble's advantage a model has after the transfer.

    Attributes:
        before: score before.
        after: score after.
        ensemble: score of the ensemble of the models before.
        percent: 100 (after - before) / (ensemble - before), Eq. 14; may exceed 100 and be negative. None where
            the ensemble equals the model.
        ensemble_is_worse: the ensemble scores lower than the model did, so a positive percentage is a loss.
    """

    before: float
    after: float
    ensemble: float
    percent: float | None
    ensemble_is_worse: bool


def recovery(before: float, after: float, together: float, *, lower: bool = False) -> Recovery:
    """Return Eq. 14 for one model and one score.

    Args:
        before: score before the transfer.
        after: score after it.
        together: score of the ensemble of the models before.
        lower: less is better.
    """
    gap = together - before
    percent = 100 * (after - before) / gap + 0.0 if gap != 0 and math.isfinite(gap) else None
    return Recovery(before, after, together, percent, gap > 0 if lower else gap < 0)


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval."""

    low: float
    high: float


def wilson(correct: int, total: int, level: float = 0.95) -> Interval:
    """Confidence interval of a share (Wilson 1927).

    Args:
        correct: successes.
        total: trials, at least 1.
        level: of the interval.
    """
    z = float(stats.norm.ppf(0.5 + level / 2))
    share, denominator = correct / total, 1 + z**2 / total
    middle = (share + z**2 / (2 * total)) / denominator
    half = z * math.sqrt(share * (1 - share) / total + z**2 / (4 * total**2)) / denominator
    # exact at the ends, where rounding would leave [0, 1]
    return Interval(0.0 if correct == 0 else middle - half, 1.0 if correct == total else middle + half)


@dataclass(frozen=True, slots=True)
class Discordance:
    """McNemar's comparison of two classifiers on the same samples.

    Attributes:
        gained: samples only the second one gets right.
        lost: samples only the first one gets right.
        p: exact two-sided p value of "gained and lost are equally likely".
    """

    gained: int
    lost: int
    p: float


def mcnemar(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> Discordance:
    """Compare which samples are correct before and after (McNemar 1947, exact binomial form).

    Args:
        before: (N,) correct before.
        after: (N,) correct after.
    """
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    p = float(stats.binom.cdf(min(gained, lost), gained + lost, 0.5)) * 2 if gained + lost else 1.0
    return Discordance(gained, lost, min(1.0, p))


def largest_deviation(spread: float, runs: int, ddof: int = 0) -> float:
    """Return how far one of `runs` values can be from their mean when their standard deviation is `spread`.

    Tells whether a reported single run fits a reported mean ± deviation: with three runs sqrt(2) deviations for
    ddof 0, 1.1547 for ddof 1.
    """
    return spread * math.sqrt((runs - ddof) * (runs - 1) / runs)
