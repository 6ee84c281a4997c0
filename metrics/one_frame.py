"""The standard metrics of one ordinary frame on a CPU, to the bit what each function gives, for half the time.

Where there is one number per frame PyTorch's calls cost more than the arithmetic, and a frame needs hundreds of them.
Here these numbers are Python's. A frame that is not ordinary is left to the functions, which know what to make of it.
"""

import math
from collections.abc import Iterable

import numpy as np
import torch

from saliency.metrics.common import EPS, Maps, Points, dot

FORMULAE = frozenset({"cc", "nss", "auc_judd", "auc_shuffled", "sim", "kld"})


def one_frame(
    pred: Maps, density: Maps | None, fixations: Points | None, others: Points | None, names: Iterable[str]
) -> dict[str, float]:
    """Compute what can be computed here.

    Args:
        pred: the prediction.
        density: of the same frame.
        fixations: the fixated pixels.
        others: the negatives of the shuffled AUC.
        names: of metrics.

    Returns:
        name -> value of those among `FORMULAE`; none unless it is one float32 frame on a CPU, of which nothing is
        missing, empty, constant or not finite, whose density is 0 but for a small part, and no pixel fixated twice.
    """
    wanted = FORMULAE.intersection(names)
    if density is None or fixations is None or others is None or not wanted:
        return {}
    return _scores(pred, density, fixations, others, wanted) if _ordinary(pred, density, fixations, others) else {}


def _ordinary(pred: Maps, density: Maps, fixations: Points, others: Points) -> bool:
    if pred.values.device.type != "cpu" or len(pred.values) != 1 or pred.unit is not None or density.unit is not None:
        return False
    if not pred.shape == density.shape == fixations.shape == others.shape:
        return False
    if fixations.padded or others.padded or fixations.repeats or fixations.index.shape[1] == pred.values.shape[1]:
        return False
    (low, high), (dark, bright) = pred.ends, density.ends
    return -math.inf < low < high < math.inf and 0 == dark < bright < math.inf and density.support is not None


def _scores(pred: Maps, density: Maps, fixations: Points, others: Points, names: frozenset[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    total, count = pred.values.shape[1], fixations.index.shape[1]
    low, mean = pred.ends[0], float(pred.mean_above("low"))
    if "nss" in names:
        std = float((pred.sum_of_squares / (total - 1)).sqrt())  # PyTorch's root is not always the nearest number
        found["nss"] = float(fixations.mean(pred.centred_at(fixations))) / std
    if "auc_judd" in names:
        found["auc_judd"] = _auc_judd(pred, fixations)
    if "auc_shuffled" in names:
        values = pred.at(fixations)[0].numpy()
        ascending = np.sort(pred.at(others)[0].numpy())
        wins = np.searchsorted(ascending, values).sum() + np.searchsorted(ascending, values, side="right").sum()
        found["auc_shuffled"] = int(wins) / (2 * count * len(ascending))
    seen = density.support
    if seen is None or not names & {"cc", "sim", "kld"}:
        return found
    level = float(density.mean_above("low"))  # the density's mean
    here, there = pred.centred_at(seen), density.wide_at(seen)  # (1, K)
    if "cc" in names:
        scale = float(pred.sum_of_squares.sqrt() * density.sum_of_squares.sqrt())
        found["cc"] = min(max(float(dot(here, there)) / scale, -1.0), 1.0)
    if "sim" in names:
        p, g = mean * total, level * total
        smaller = torch.minimum(here * (g / p), density.centred_at(seen)).add_(level)
        found["sim"] = min(max(float(smaller.sum(1)) / g, 0.0), 1.0)
    if "kld" in names:
        p = (pred.wide_at(seen) - min(low, 0.0)).div_((mean + max(low, 0.0)) * total).add_(EPS)
        g = there / (level * total)
        found["kld"] = float(torch.div(g, p, out=p).add_(EPS).log_().mul_(g).sum(1))
    return found


def _auc_judd(pred: Maps, fixations: Points) -> float:
    """See `saliency.metrics.auc.auc_judd`."""
    ranks = pred.ranks(fixations)
    below, not_above = ranks.below[0].numpy(), ranks.not_above[0].numpy()
    count, lowest = len(below), int(below.min())
    negatives = pred.values.shape[1] - count
    tied = int(np.count_nonzero(below == lowest))
    above = (pred.values.shape[1] - int(not_above.min())) - (count - tied)
    equal = int(not_above.min()) - lowest - tied
    wins = int(below.sum() + not_above.sum()) - count**2
    return wins / (2 * count * negatives) + (above + equal * tied / (tied + 1)) / negatives / (2 * count)
