"""All metrics of the same frames in one go, sharing the sort, the means and the densities."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from saliency.errors import InputError, nearest
from saliency.metrics.aim import auc_judd_aim, cc_aim, nss_aim, sim_aim
from saliency.metrics.auc import auc, auc_borji, auc_judd, auc_shuffled, auc_shuffled_step
from saliency.metrics.cc import cc
from saliency.metrics.common import EPS, Maps, Points, as_maps, as_points
from saliency.metrics.information_gain import information_gain
from saliency.metrics.kld import kld
from saliency.metrics.nss import nss
from saliency.metrics.one_frame import one_frame
from saliency.metrics.sim import sim


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric as tables and leaderboards need it.

    Attributes:
        function: called with the prediction and then `needs`, in this order; returns (B,) float64.
        needs: the arguments after the prediction: names of `score`'s parameters.
        title: how papers write it.
        higher_is_better: whether a larger value is a better prediction.
        range: the lowest and the highest value that the formula can give, up to rounding.
        standard: whether evaluations and training report it unless told otherwise.
    """

    function: Callable[..., Tensor]
    needs: tuple[str, ...]
    title: str
    higher_is_better: bool = True
    range: tuple[float, float] = (-math.inf, math.inf)
    standard: bool = False


SHARE = (0.0, 1.0)
"""Range of the areas under a curve and of SIM."""


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "cc": Metric(function=cc, needs=("density",), title="CC", range=(-1.0, 1.0), standard=True),
        "nss": Metric(function=nss, needs=("fixations",), title="NSS", standard=True),
        "auc_judd": Metric(function=auc_judd, needs=("fixations",), title="AUC-J", range=SHARE, standard=True),
        "sim": Metric(function=sim, needs=("density",), title="SIM", range=SHARE, standard=True),
        "kld": Metric(
            function=kld,
            needs=("density",),
            title="KL",
            higher_is_better=False,
            range=(0.0, -math.log(EPS)),
            standard=True,
        ),
        "auc_shuffled": Metric(
            function=auc_shuffled, needs=("fixations", "others"), title="s-AUC", range=SHARE, standard=True
        ),
        "information_gain": Metric(function=information_gain, needs=("fixations", "baseline"), title="IG"),
        "auc": Metric(function=auc, needs=("fixations",), title="AUC", range=SHARE),
        "auc_borji": Metric(function=auc_borji, needs=("fixations",), title="AUC-B", range=SHARE),
        "auc_shuffled_step": Metric(
            function=auc_shuffled_step, needs=("fixations", "others"), title="s-AUC (0.1 steps)", range=SHARE
        ),
        "sim_sum": Metric(function=partial(sim, norm="sum"), needs=("density",), title="SIM (sum)", range=SHARE),
        "cc_aim": Metric(function=cc_aim, needs=("density",), title="CC (AIM)", range=(-1.0, 1.0)),
        "nss_aim": Metric(function=nss_aim, needs=("fixations",), title="NSS (AIM)"),
        "auc_judd_aim": Metric(function=auc_judd_aim, needs=("fixations",), title="AUC-J (AIM)", range=SHARE),
        "sim_aim": Metric(function=sim_aim, needs=("density",), title="SIM (AIM)", range=SHARE),
    }
)
"""The one table of metrics: name in options, result files and tables -> metric, in the order of their columns."""

STANDARD = tuple(name for name, metric in METRICS.items() if metric.standard)
"""What evaluations report unless told otherwise."""

DHF1K = ("auc_judd", "sim", "auc_shuffled", "cc", "nss")
"""The metrics of the DHF1K leaderboard, in its order."""


def score(
    pred: Tensor | Maps,
    density: Tensor | Maps | None = None,
    fixations: Tensor | Sequence[Tensor] | Points | None = None,
    others: Tensor | Sequence[Tensor] | Points | None = None,
    baseline: Tensor | Maps | None = None,
    names: Iterable[str] = STANDARD,
) -> dict[str, Tensor]:
    """Score a batch of frames with several metrics; each value is exactly what the single function returns.

    On a CPU give one frame or a few at a time, so that the work stays in its caches; on CUDA give many.

    Args:
        pred: (B, H, W) or (H, W) predictions at the ground truth's size.
        density: ground-truth density maps, same size.
        fixations: fixations, a map or a list of points, see `saliency.metrics.auc.auc`.
        others: fixations of other frames, see `saliency.metrics.auc.auc_shuffled`.
        baseline: baseline densities, see `saliency.metrics.information_gain.information_gain`.
        names: which of `METRICS`.

    Returns:
        name -> (B,) float64, in the order of `names`. NaN: the ground truth of the frame is unusable for the
        metric, or the prediction is not finite (``Maps(pred).finite`` tells which).

    Raises:
        InputError: a name is unknown, a metric's input is missing, or sizes differ.

    Example:
        >>> import torch
        >>> pred = torch.tensor([[0.1, 0.4], [0.3, 0.9]])
        >>> fixations = torch.tensor([[False, False], [True, True]])
        >>> score(pred, fixations=fixations, names=["auc", "nss"])
        {'auc': tensor([0.7500], dtype=torch.float64), 'nss': tensor([0.5142], dtype=torch.float64)}
    """
    names = known(names)
    _keep_freed_memory()
    pred = as_maps(pred)
    density = None if density is None else as_maps(density)
    fixations = None if fixations is None else as_points(fixations, pred.shape, "fixations")
    others = None if others is None else as_points(others, pred.shape, "others")
    baseline = None if baseline is None else as_maps(baseline)
    given = {"density": density, "fixations": fixations, "others": others, "baseline": baseline}
    for name in names:
        missing = [need for need in METRICS[name].needs if given[need] is None]
        if missing:
            raise InputError(f"metric {name} needs {' and '.join(missing)}; pass it or leave {name} out")
    quick = one_frame(pred, density, fixations, others, names)
    return {
        name: torch.tensor([quick[name]], dtype=torch.float64)
        if name in quick
        else METRICS[name].function(pred, *(given[n] for n in METRICS[name].needs))
        for name in names
    }


def known(names: Iterable[str]) -> list[str]:
    """Return the names as a list.

    Raises:
        InputError: one of them is none of `METRICS`.
    """
    names = list(names)
    for name in names:
        if name not in METRICS:
            raise InputError(f"unknown metric {name!r}{nearest(name, METRICS)}; known: {', '.join(METRICS)}")
    return names


def lower_is_better(name: str) -> bool:
    """Whether a smaller value of that metric is a better prediction; False for names that are none of `METRICS`."""
    return name in METRICS and not METRICS[name].higher_is_better


@cache
def _keep_freed_memory() -> None:
    """Let the C library reuse the pages of freed maps.

    glibc hands memory back to the system once more is free than twice the largest block ever freed, and a
    frame's maps then fault all their pages in anew, half of the scoring time. Freeing one large block, which
    is never touched, raises that limit to 62 MiB for the process; other allocators ignore it.
    """
    np.empty(31 * 2**20, np.uint8)
