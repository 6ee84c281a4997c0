import json
from pathlib import Path

import numpy as np
import pytest

from saliency.analysis.cca import correlations, correlations_of_batches, pwcca, similarity, svcca
from saliency.errors import InputError

GOLDEN = json.loads((Path(__file__).parents[1] / "data/distillation/cca.json").read_text())


def planted():
    """Two feature sets that share four directions with correlations .95, .8, .5 and .2."""
    rs = np.random.RandomState(71)
    s = rs.standard_normal((400, 4))
    rho = np.array([0.95, 0.8, 0.5, 0.2])
    x = np.concatenate([s, rs.standard_normal((400, 2))], 1)
    noise = rs.standard_normal((400, 4))
    y = np.concatenate([rho * s + np.sqrt(1 - rho**2) * noise, rs.standard_normal((400, 1))], 1)
    a, b = rs.standard_normal((6, 6)), rs.standard_normal((5, 5))
    deficient = np.concatenate([x, x[:, :2] @ rs.standard_normal((2, 2))], 1)
    return {"cca_planted": (x @ a + 3.0, y @ b - 1.0), "cca_rank_deficient": (deficient, y)}


@pytest.mark.parametrize("case", GOLDEN)
def test_golden_numbers(case):
    x, y = planted()[case]
    golden = GOLDEN[case]
    np.testing.assert_allclose(correlations(x, y), golden["rho"], atol=1e-9)
    np.testing.assert_allclose(correlations_of_batches([(x, y)]), golden["rho"], atol=1e-9)
    assert correlations(x, y)[: golden["topk"]].mean() == pytest.approx(golden["mean_topk"], abs=1e-9)
    np.testing.assert_allclose(svcca(x, y), golden["svcca99"], atol=1e-9)
    assert pwcca(x, y) == pytest.approx(golden["pwcca_xy"], abs=1e-9)
    assert pwcca(y, x) == pytest.approx(golden["pwcca_yx"], abs=1e-9)


def test_batches_add_up():
    x, y = planted()["cca_planted"]
    parts = [(x[:7], y[:7]), (x[7:200], y[7:200]), (x[200:], y[200:])]
    np.testing.assert_allclose(correlations_of_batches(parts), correlations(x, y), atol=1e-12)


def test_affine_maps_change_nothing():
    x, y = planted()["cca_planted"]
    random = np.random.default_rng(0)
    moved = x @ random.normal(size=(6, 6)) + 100.0
    np.testing.assert_allclose(correlations(moved, y), correlations(x, y), atol=1e-10)
    np.testing.assert_allclose(correlations(x, x), np.ones(6), atol=1e-12)


def test_chance_is_reported_and_falls_with_samples():
    random = np.random.default_rng(0)
    scores = {}
    for n in (400, 4000):
        x, y = random.normal(size=(2, n, 20))
        scores[n] = similarity(x, y, top=10, resamples=3)
        assert scores[n].score == pytest.approx(scores[n].chance, abs=0.05)
        assert scores[n].samples == n
    assert scores[400].chance > 2.5 * scores[4000].chance


def test_unrelated_features_score_high_when_samples_are_few():
    """The bias of the estimator: the paper's 384 and 192 dimensions, scaled down by 16."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(62, 24)), random.normal(size=(62, 12))
    with pytest.raises(InputError, match=r"62 samples are too few.*use at least 360"):
        similarity(x, y, top=6)
    assert similarity(x, y, top=6, force=True).chance > 0.6


def test_a_real_relation_stands_out_from_chance():
    x, y = planted()["cca_planted"]
    found = similarity(x, y, top=3)
    assert found.score == pytest.approx(GOLDEN["cca_planted"]["mean_topk"])
    assert found.chance < 0.25
    assert 0.005 < found.deviation < 0.05
    assert (found.k, found.dimensions) == (3, (6, 5))
    assert similarity(x, y, top=100).k == 5


def test_bad_features_are_refused():
    x, y = planted()["cca_planted"]
    with pytest.raises(InputError, match="of the same samples"):
        correlations(x[:-1], y)
    x[3, 2] = np.nan
    with pytest.raises(InputError, match="NaN or infinite"):
        correlations(x, y)
