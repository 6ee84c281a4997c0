"""Random and adversarial maps against scipy, scikit-learn, pysaliency and brute force over all draws."""

from itertools import combinations, permutations

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.special
import scipy.stats
import sklearn.metrics
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from saliency.metrics.auc import auc, auc_borji, auc_judd, auc_shuffled, auc_shuffled_step
from saliency.metrics.cc import cc
from saliency.metrics.frame import METRICS, score
from saliency.metrics.information_gain import information_gain
from saliency.metrics.kld import kld
from saliency.metrics.nss import nss
from saliency.metrics.sim import sim

HOUSE = {name for name in METRICS if not name.endswith("_aim")}
"""All but the AIM scorer's, whose constants make it depend on a map's scale: it is given maps in [0, 1]."""

EXAMPLES = settings(deadline=None, derandomize=True, max_examples=60)

SHAPES = st.tuples(st.integers(1, 12), st.integers(2, 12))
SCALES, OFFSETS = st.sampled_from([1.0, 2.0**-20, 2.0**30]), st.sampled_from([0.0, 0.5, -0.75])
LEVELS = st.sampled_from([2, 3, 7, 256, 2**22])  # few levels: many ties
RATES = st.sampled_from([0.0, 0.05, 0.5, 1.0])


@st.composite
def frames(draw, *, positive: bool = False):
    """(pred, density, fixations, others) as numpy arrays; predictions with many or few ties, any range."""
    shape, levels = draw(SHAPES), draw(LEVELS)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    offset = 0.5 if positive else draw(OFFSETS)
    pred = (rng.integers(levels, size=shape) / levels + offset) * draw(SCALES)
    density = rng.integers(levels, size=shape) / levels + (0.5 if positive else 0)
    fixations, others = rng.random(shape) < draw(RATES), rng.random(shape) < draw(RATES)
    return pred, density, fixations, others


def tensors(*arrays):
    return [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]


def close(found, expected, tolerance):
    assert found.shape == (1,)
    assert found.item() == pytest.approx(float(expected), rel=tolerance, abs=tolerance)


@EXAMPLES
@given(frames())
def test_cc_is_scipys_pearsonr(case):
    pred, density, *_ = case
    assume(np.ptp(pred) > 0 and np.ptp(density) > 0)
    close(cc(*tensors(pred, density)), scipy.stats.pearsonr(pred.ravel(), density.ravel())[0], 1e-9)


@EXAMPLES
@given(frames())
def test_cc_is_pysaliencys(pysaliency, case):
    pred, density, *_ = case
    assume(np.ptp(pred) > 0 and np.ptp(density) > 0)
    close(cc(*tensors(pred, density)), pysaliency["metrics"].CC(pred, density), 1e-9)


@EXAMPLES
@given(frames())
def test_nss_is_scipys_zscore(case):
    pred, _, fixations, _ = case
    assume(np.ptp(pred) > 0 and fixations.any())
    expected = scipy.stats.zscore(pred, axis=None, ddof=1)[fixations].mean()
    close(nss(*tensors(pred, fixations)), expected, 1e-9)


@EXAMPLES
@given(frames())
def test_nss_is_pysaliencys_up_to_ddof(pysaliency, case):
    pred, _, fixations, _ = case
    assume(np.ptp(pred) > 0 and fixations.any())
    rows, columns = np.nonzero(fixations)
    expected = pysaliency["metrics"].NSS(pred, columns, rows).mean() * np.sqrt((pred.size - 1) / pred.size)
    close(nss(*tensors(pred, fixations)), expected, 1e-9)


@EXAMPLES
@given(frames())
def test_sim_is_pysaliencys(pysaliency, case):
    pred, density, *_ = case
    assume(density.any())
    close(sim(*tensors(pred, density), norm="sum"), pysaliency["metrics"].SIM(pred, density), 1e-9)


@EXAMPLES
@given(frames())
def test_sim_is_scipys_cityblock(case):
    pred, density, *_ = case
    assume(np.ptp(pred) > 0 and np.ptp(density) > 0)
    p, g = ((a - a.min()) / (a - a.min()).sum() for a in (pred, density))
    close(sim(*tensors(pred, density)), 1 - scipy.spatial.distance.cityblock(p.ravel(), g.ravel()) / 2, 1e-9)


@EXAMPLES
@given(frames())
def test_kld_is_pysaliencys(pysaliency, case):
    pred, density, *_ = case
    assume(density.any())
    with np.errstate(all="ignore"):
        expected = pysaliency["metrics"].MIT_KLDiv(pred, density)
    close(kld(*tensors(pred, density)), expected, 1e-9)


@EXAMPLES
@given(frames(positive=True))
def test_kld_of_positive_maps_is_scipys_rel_entr(case):
    pred, density, *_ = case
    expected = scipy.special.rel_entr(density / density.sum(), pred / pred.sum()).sum()
    close(kld(*tensors(pred, density)), expected, 1e-9)


@EXAMPLES
@given(frames(positive=True))
def test_information_gain_is_scipys_log_likelihood(case):
    pred, baseline, fixations, _ = case
    assume(fixations.any())
    gain = np.log2(pred / pred.sum()) - np.log2(baseline / baseline.sum())
    close(information_gain(*tensors(pred, fixations, baseline)), gain[fixations].mean(), 1e-9)


def roc_auc(positives, negatives) -> float:
    labels = np.r_[np.ones(len(positives)), np.zeros(len(negatives))]
    return float(sklearn.metrics.roc_auc_score(labels, np.r_[positives, negatives]))


def mann_whitney(positives, negatives) -> float:
    return scipy.stats.mannwhitneyu(positives, negatives).statistic / (len(positives) * len(negatives))


@pytest.mark.parametrize("reference", [roc_auc, mann_whitney])
@EXAMPLES
@given(case=frames())
def test_auc(reference, case):
    pred, _, fixations, _ = case
    assume(fixations.any() and not fixations.all())
    close(auc(*tensors(pred, fixations)), reference(pred[fixations], pred[~fixations]), 1e-12)


@pytest.mark.parametrize("reference", [roc_auc, mann_whitney])
@EXAMPLES
@given(case=frames())
def test_auc_borji(reference, case):
    pred, _, fixations, _ = case
    assume(fixations.any())
    close(auc_borji(*tensors(pred, fixations)), reference(pred[fixations], pred.ravel()), 1e-12)


@pytest.mark.parametrize("reference", [roc_auc, mann_whitney])
@EXAMPLES
@given(case=frames())
def test_auc_shuffled(reference, case):
    pred, _, fixations, others = case
    assume(fixations.any() and others.any())
    close(auc_shuffled(*tensors(pred, fixations, others)), reference(pred[fixations], pred[others]), 1e-12)


@EXAMPLES
@given(frames())
def test_aucs_are_pysaliencys(pysaliency, case):
    pred, _, fixations, others = case
    assume(fixations.any() and not fixations.all() and others.any())
    per_positive = pysaliency["numba_utils"].general_rocs_per_positive_numba
    at = pred[fixations]
    close(auc(*tensors(pred, fixations)), per_positive(at, pred[~fixations]).mean(), 1e-12)
    close(auc_borji(*tensors(pred, fixations)), per_positive(at, pred.ravel()).mean(), 1e-12)
    close(auc_shuffled(*tensors(pred, fixations, others)), per_positive(at, pred[others]).mean(), 1e-12)


@EXAMPLES
@given(case=frames(), data=st.data())
def test_listed_fixations_count_repeatedly(case, data):
    pred, *_ = case
    height, width = pred.shape
    points = st.lists(st.tuples(st.integers(0, height - 1), st.integers(0, width - 1)), min_size=1, max_size=8)
    looked, others = (np.array(data.draw(points)) for _ in range(2))
    at, elsewhere = pred[tuple(looked.T)], pred[tuple(others.T)]
    fixated = np.zeros(pred.shape, bool)
    fixated[tuple(looked.T)] = True
    pred, looked, others = tensors(pred, looked, others)
    close(auc_shuffled(pred, [looked], [others]), mann_whitney(at, elsewhere), 1e-12)
    close(auc_borji(pred, [looked]), mann_whitney(at, pred.flatten()), 1e-12)
    if not fixated.all():
        close(auc(pred, [looked]), mann_whitney(at, pred[~fixated]), 1e-12)
        assert auc_judd(pred, [looked]).equal(auc_judd(pred, torch.from_numpy(fixated)))


@pytest.fixture
def trapz(monkeypatch):
    """Let pysaliency's ROC find the function that numpy 2.4 knows only as trapezoid."""
    if not hasattr(np, "trapz"):
        monkeypatch.setattr(np, "trapz", np.trapezoid, raising=False)


def staircase(pysaliency, positives, negatives) -> float:
    """AUC-Judd as pysaliency computes it, the fixated values being the thresholds."""
    positives, negatives = np.asarray(positives, float), np.asarray(negatives, float)
    return pysaliency["numba_utils"].general_roc_numba(positives, negatives, judd=1)[0]


def test_auc_judd_is_pysaliencys_without_ties(pysaliency, trapz):
    rng = np.random.default_rng(0)
    for _ in range(50):
        pred = rng.permutation(120).reshape(10, 12).astype(np.float64)
        fixations = rng.random(pred.shape) < rng.uniform(0.02, 0.9)
        expected = staircase(pysaliency, pred[fixations], pred[~fixations])
        close(auc_judd(*tensors(pred, fixations)), expected, 1e-12)


@EXAMPLES
@given(
    pred=st.lists(st.integers(0, 2), min_size=3, max_size=6),
    fixated=st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_auc_judd_is_the_mean_over_all_ways_to_break_ties(pred, fixated):
    """Infinitely small jitter makes every order within a tie equally likely."""
    fixated = fixated[: len(pred)]
    assume(0 < sum(fixated) < len(pred))
    values = []
    for jitter in permutations(range(len(pred))):
        jittered = np.array(pred) + np.array(jitter) * 1e-3
        values.append(official_judd(jittered[fixated], jittered[np.logical_not(fixated)]))
    pred, fixated = tensors(np.array([pred], np.float32), np.array([fixated]))
    close(auc_judd(pred, fixated), np.mean(values), 1e-12)


def official_judd(positives, negatives) -> float:
    """Corners at the fixated values, highest first, between (0, 0) and (1, 1)."""
    thresholds = np.sort(positives)[::-1]
    hits = [0.0, *((np.arange(len(thresholds)) + 1) / len(thresholds)), 1.0]
    alarms = [0.0, *((negatives >= t).mean() for t in thresholds), 1.0]
    return float(np.trapezoid(hits, alarms))


@EXAMPLES
@given(
    pred=st.lists(st.integers(0, 10), min_size=4, max_size=8),
    fixated=st.lists(st.booleans(), min_size=8, max_size=8),
    other=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_auc_shuffled_step_is_the_mean_over_all_draws(pred, fixated, other):
    """Every subset the official code may draw, averaged."""
    fixated, other = np.array(fixated[: len(pred)]), np.array(other[: len(pred)])
    assume(fixated.any() and other.any() and min(pred) < max(pred))
    scaled = (np.array(pred) - min(pred)) / (max(pred) - min(pred))
    draws = combinations(scaled[other], min(fixated.sum(), other.sum()))
    expected = np.mean([official_step(scaled[fixated], np.array(draw)) for draw in draws])
    close(auc_shuffled_step(*tensors(np.array([pred]), fixated[None], other[None])), expected, 1e-12)


def official_step(positives, negatives) -> float:
    """Corners at thresholds 1, 0.9, ..., 0, between (0, 0) and (1, 1)."""
    thresholds = np.arange(10, -1, -1) / 10
    hits = [0.0, *((positives >= t).mean() for t in thresholds), 1.0]
    alarms = [0.0, *((negatives >= t).mean() for t in thresholds), 1.0]
    return float(np.trapezoid(hits, alarms))


RANGES = {"cc": (-1, 1), "nss": (-np.inf, np.inf), "kld": (-1e-9, np.inf), "information_gain": (-np.inf, np.inf)}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@EXAMPLES
@given(data=st.data())
def test_any_finite_prediction_has_a_finite_score(dtype, data):
    """Subnormal, huge, nearly constant: a bad prediction must not be skipped as undefined."""
    values = st.floats(allow_nan=False, allow_infinity=False, width=np.dtype(dtype).itemsize * 8)
    few = data.draw(st.lists(values, min_size=1, max_size=3))
    pred = data.draw(hnp.arrays(dtype, (3, 4), elements=data.draw(st.sampled_from([values, st.sampled_from(few)]))))
    seen = np.zeros(12, bool)
    seen[data.draw(st.lists(st.integers(0, 11), min_size=1, max_size=11))] = True
    seen = seen.reshape(3, 4)
    density = seen.astype(dtype)
    pred, seen, density = tensors(pred, seen, density)
    found = score(pred, density, seen, others=seen, baseline=torch.ones_like(density), names=HOUSE)
    for name, value in found.items():
        assert value.isfinite().all(), name
        low, high = RANGES.get(name, (0, 1))
        assert low - 1e-9 <= value.item() <= high + 1e-9, name


@EXAMPLES
@given(frames(), st.sampled_from([2.0**-60, 0.25, 2.0**60]))
def test_scaling_the_prediction_changes_nothing(case, scale):
    pred, density, fixations, others = tensors(*case)
    for name, value in score(pred, density, fixations, others, names=HOUSE - {"information_gain"}).items():
        scaled = score(pred * scale, density, fixations, others, names=[name])[name]
        assert torch.allclose(scaled, value, rtol=0, atol=1e-12, equal_nan=True), name


@EXAMPLES
@given(frames())
def test_rank_metrics_ignore_increasing_transforms(case):
    pred, _, fixations, others = tensors(*case)
    ranks = torch.from_numpy(scipy.stats.rankdata(pred.numpy(), method="dense").reshape(pred.shape))
    names = ["auc", "auc_judd", "auc_borji", "auc_shuffled"]
    before, after = (score(p, fixations=fixations, others=others, names=names) for p in (pred, ranks))
    for name in names:
        assert torch.equal(before[name].nan_to_num(-1), after[name].nan_to_num(-1)), name
