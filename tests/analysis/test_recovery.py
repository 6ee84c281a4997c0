import math

import numpy as np
import pytest
import torch
from scipy import stats

from saliency.analysis.recovery import ensemble, largest_deviation, mcnemar, recovery, wilson
from saliency.errors import InputError
from saliency.tasks.classification import ClassificationTask
from saliency.tasks.saliency import SaliencyTask
from saliency.testing import ToyTask


def test_classifiers_average_their_probabilities():
    a, b = torch.tensor([[4.0, 0, 0]]), torch.tensor([[0.0, 3, 0]])
    together = ensemble(ClassificationTask(), [a, b])
    torch.testing.assert_close(together, (a.softmax(1) + b.softmax(1)) / 2)
    assert ClassificationTask().metrics["top1"](together, torch.tensor([0])) == 1


def test_saliency_models_average_their_distributions():
    a, b = torch.rand(2, 4, 5), torch.rand(2, 4, 5)
    both = ensemble(SaliencyTask(), [a, 10 * b])
    expected = (a / a.sum((1, 2), keepdim=True) + b / b.sum((1, 2), keepdim=True)) / 2
    torch.testing.assert_close(both, expected)
    zero = torch.zeros(2, 4, 5)
    torch.testing.assert_close(ensemble(SaliencyTask(), [a, zero]), a / a.sum((1, 2), keepdim=True) / 2)


def test_other_tasks_have_no_ensemble():
    with pytest.raises(InputError, match="no ensemble is defined for ToyTask"):
        ensemble(ToyTask(), [torch.zeros(1)])


def test_recovered_is_equation_14():
    # DINOv2 with SWSL in the paper's Table 3, which prints 40.1
    assert recovery(81.332, 82.902, 85.162).percent == pytest.approx(40.99, abs=0.005)
    assert recovery(80.0, 83.0, 82.0).percent == pytest.approx(150)
    assert recovery(80.0, 79.0, 82.0).percent == pytest.approx(-50)
    assert str(recovery(80.0, 80.0, 79.0).percent) == "0.0"  # no minus before a zero
    undefined = recovery(80.0, 81.0, 80.0)
    assert undefined.percent is None
    worse = recovery(80.0, 81.0, 79.0)
    assert worse.percent == pytest.approx(-100)
    assert worse.ensemble_is_worse
    lower = recovery(0.5, 0.45, 0.4, lower=True)
    assert lower.percent == pytest.approx(50)
    assert not lower.ensemble_is_worse


def test_wilson_equals_scipys():
    for correct, total in ((0, 10), (3, 10), (10, 10), (40000, 50000)):
        expected = stats.binomtest(correct, total).proportion_ci(method="wilson")
        found = wilson(correct, total)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    # the standard error of 80 % of 50,000 images is 0.18 points
    assert (wilson(40000, 50000).high - wilson(40000, 50000).low) / 2 / 1.96 == pytest.approx(0.0018, abs=2e-5)


def test_mcnemar_counts_what_changed():
    before = np.array([1, 1, 0, 0, 0, 1, 0], bool)
    after = np.array([1, 0, 1, 1, 1, 1, 0], bool)
    found = mcnemar(before, after)
    assert (found.gained, found.lost) == (3, 1)
    assert found.p == pytest.approx(stats.binomtest(1, 4).pvalue)
    assert mcnemar(before, before).p == 1


def test_which_single_runs_fit_a_mean_and_deviation():
    """Tables 2 and 3 of the paper: only the population deviation makes its first runs possible."""
    assert largest_deviation(1.0, 3) == pytest.approx(math.sqrt(2))
    assert largest_deviation(1.0, 3, ddof=1) == pytest.approx(2 / math.sqrt(3))
    rounding = 0.001
    assert largest_deviation(0.032, 3) + rounding > 0.045  # CoaT
    assert largest_deviation(0.032, 3, ddof=1) + rounding < 0.045
    assert largest_deviation(0.042, 3) + rounding < 1.494 - 1.390  # DINOv2 with MAE: impossible either way
    for ddof in (0, 1):  # the bound is reached
        values = np.array([2.0, -1.0, -1.0])
        assert largest_deviation(values.std(ddof=ddof), 3, ddof) == pytest.approx(2.0)
