import numpy as np
import pytest
import scipy.stats

from saliency.report.statistics import bootstrap_mean, holm, sign_flip_test


def test_bootstrap_interval_has_the_width_of_the_standard_error():
    rng = np.random.default_rng(0)
    means = rng.normal(1.0, 0.5, 400)
    interval = bootstrap_mean(means, np.ones(400), samples=4000)
    assert interval is not None
    error = 1.96 * means.std(ddof=1) / 20
    assert interval.low == pytest.approx(means.mean() - error, abs=0.01)
    assert interval.high == pytest.approx(means.mean() + error, abs=0.01)


def test_bootstrap_agrees_with_scipy():
    means = np.random.default_rng(1).exponential(1.0, 60)
    interval = bootstrap_mean(means, np.ones(60), samples=20_000)
    theirs = scipy.stats.bootstrap((means,), np.mean, method="percentile", n_resamples=20_000, rng=2)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.01)


def test_bootstrap_weighs_videos_by_their_frames():
    interval = bootstrap_mean(np.array([0.0, 1.0]), np.array([3.0, 1.0]))
    assert interval is not None
    assert (interval.low, interval.high) == (0.0, 1.0)
    heavy = bootstrap_mean(np.array([0.2] * 50 + [0.9]), np.array([1.0] * 50 + [1e9]))
    assert heavy is not None and heavy.high == pytest.approx(0.9)


def test_one_video_gives_no_interval_and_no_test():
    assert bootstrap_mean(np.array([0.5]), np.array([10.0])) is None
    assert sign_flip_test(np.array([0.5])) is None


@pytest.mark.parametrize("n", [2, 5, 9])
def test_exact_sign_flip_test_agrees_with_scipy(n):
    differences = np.random.default_rng(n).normal(0.4, 1, n)
    theirs = scipy.stats.permutation_test(
        (differences, np.zeros(n)),
        lambda a, b, axis: np.sum(a - b, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    )
    assert sign_flip_test(differences) == pytest.approx(theirs.pvalue)


def test_sampled_sign_flip_test_is_close_to_the_t_test_and_never_zero():
    differences = np.random.default_rng(3).normal(0.3, 1, 60)
    p = sign_flip_test(differences)
    assert p == pytest.approx(scipy.stats.ttest_1samp(differences, 0).pvalue, abs=0.01)
    assert sign_flip_test(np.ones(100)) == pytest.approx(1 / 20_001)
    assert sign_flip_test(np.zeros(30)) == 1.0


def test_holm_by_hand():
    assert holm([0.01, None, 0.04, 0.03]) == [pytest.approx(0.03), None, pytest.approx(0.06), pytest.approx(0.06)]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
