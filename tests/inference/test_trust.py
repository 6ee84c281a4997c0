"""Confidence and strangeness: by hand, and of the default model on drawn pictures."""

import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

import saliency
from saliency.errors import InputError
from saliency.inference.trust import KEY, Familiar, Trust, fit_curve, pooled_features, trust_of
from saliency.models.appearance_net import AppearanceNetConfig
from saliency.types import InputSpec

FAMILIAR = Familiar(mean=(0.0, 0.0, 0.0), axes=((1.0, 0.0, 0.0),), variances=(4.0,), rest=0.25, limit=2.0)
TRUST = Trust(
    centre=(0.5, 0.5), covariance=(0.04, 0.0, 0.09), expected=(0.0, 1.0, 2.0), found=(0.1, 0.5, 0.7), familiar=FAMILIAR
)


def test_distance_by_hand() -> None:
    # along the axis 6 / 2, across it 2 / 0.5: 5 in all, the limit is 2
    assert FAMILIAR.distances(np.array([[6.0, 0.0, 2.0], [0, 0, 0]])) == pytest.approx([2.5, 0])


def test_the_fit_is_that_of_principal_components() -> None:
    random = np.random.default_rng(0)
    training = random.normal(size=(300, 8)) * [5, 4, 3, 1, 1, 1, 1, 1] + 2
    found = Familiar.fit(training, random.normal(size=(200, 8)) + 2, axes=3)
    other = PCA(3).fit(training)
    assert np.abs(np.abs(np.array(found.axes) @ other.components_.T) - np.eye(3)).max() < 1e-3
    assert found.variances == pytest.approx(other.explained_variance_, rel=1e-3)
    assert found.rest == pytest.approx(other.noise_variance_, rel=1e-3)
    assert np.quantile(found.distances(random.normal(size=(4000, 8)) + 2), 0.99) == pytest.approx(1, abs=0.1)
    assert found.distances(np.full((1, 8), 12.0))[0] > 3


def test_divergence_is_in_bits_and_confidence_is_read_off_the_curve() -> None:
    prior = 2.0 ** TRUST.log_prior((6, 8))
    assert prior.sum() == pytest.approx(1)
    assert TRUST.divergence(prior) == pytest.approx(0, abs=1e-12)
    point = np.zeros((6, 8), np.float32)
    point[2, 3] = 7.0  # of any scale
    assert TRUST.divergence(point) == pytest.approx(-math.log2(prior[2, 3]))
    assert TRUST.confidence(prior) == pytest.approx(0.1)
    assert TRUST.confidence(point) == 0.7  # beyond the curve it stays
    assert TRUST.confidence(np.zeros((6, 8))) == 0.1
    down, across = TRUST.log_prior((6, 8))[:, 4], TRUST.log_prior((6, 8))[3]
    assert down.max() - down.min() < across.max() - across.min()  # it is wider downwards: 0.09 against 0.04


def test_a_curve_never_falls_and_pools_what_would() -> None:
    x, y = fit_curve(np.array([4.0, 1, 2, 3]), np.array([5.0, 1, 4, 2]), knots=4)
    assert (x, y) == ((1, 2, 3, 4), (1, 3, 3, 5))


def test_it_is_kept_in_the_file_and_a_damaged_one_is_refused() -> None:
    assert trust_of({KEY: TRUST.to_json()}) == TRUST
    assert trust_of({}) is None
    with pytest.raises(InputError, match="mine: its calibration cannot be read"):
        trust_of({KEY: '{"centre": [0, 0]}'}, "mine")


def test_features_are_means_over_the_picture() -> None:
    network = AppearanceNetConfig(input=InputSpec(length=1, size=(64, 64)), channels=(8, 8, 8, 12)).build().eval()
    spec = InputSpec(length=1, size=(64, 96))
    frames = torch.randint(0, 256, (2, 32, 48, 3), dtype=torch.uint8)
    found = pooled_features(network, frames, spec)
    assert found.shape == (2, 20)
    np.testing.assert_allclose(found[1:], pooled_features(network, frames[1:], spec), rtol=1e-4, atol=1e-6)
    with pytest.raises(InputError, match="has no encode"):
        pooled_features(torch.nn.Identity(), frames, spec)


def test_the_default_model_trusts_a_face_more_than_noise_and_finds_a_black_picture_strange() -> None:
    model = saliency.load_model()
    judge = model.judge
    assert judge is not None
    rows, columns = np.indices((240, 320))
    scene = np.full((240, 320, 3), (120, 160, 200), np.uint8)
    scene[np.hypot(rows - 90, columns - 230) < 30] = (235, 195, 165)
    for x in (220, 240):
        scene[np.hypot(rows - 85, columns - x) < 4] = 20
    black = np.zeros_like(scene)
    assert judge.strangeness(black[None])[0] > 1
    first, second = (next(iter(model.predict(picture))) for picture in (scene, black))
    assert first.confidence is not None and second.confidence is not None
    assert first.confidence > second.confidence
    small = next(iter(model.predict(scene, size="model")))
    assert small.confidence == pytest.approx(judge.confidence(small.values), abs=1e-3)
