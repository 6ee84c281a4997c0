import math

import pytest
import torch

from saliency.metrics.kld import kld

DENSITY = torch.tensor([[0.0, 1.0], [2.0, 1.0]])


def test_direction_is_density_to_prediction():
    """KL(density || pred) weighs by the density: mass the prediction misses costs, extra mass hardly."""
    point = torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    assert kld(torch.ones(2, 2), point).item() == pytest.approx(math.log(4), abs=1e-12)
    assert kld(point, torch.ones(2, 2)).item() > 20


def test_a_prediction_missing_everything_costs_the_epsilon():
    miss = kld(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])).item()
    assert miss == pytest.approx(-math.log(2.2204e-16), abs=1e-9)


def test_identical_maps_cost_nothing():
    assert kld(7 * DENSITY, DENSITY).item() == pytest.approx(0, abs=1e-11)


@pytest.mark.parametrize("level", [0.0, 0.1, -3.0])
def test_constant_prediction_counts_as_uniform(level):
    expected = math.log(4) - 1.5 * math.log(2)  # ln N minus the entropy of (0, 1/4, 1/2, 1/4)
    assert kld(torch.full((2, 2), level), DENSITY).item() == pytest.approx(expected, abs=1e-12)


def test_negative_predictions_are_shifted_up():
    assert kld(DENSITY - 7, DENSITY).item() == pytest.approx(0, abs=1e-11)


def test_unusable_density_is_undefined():
    for density in (torch.zeros(2, 2), DENSITY - 1, DENSITY / 0):
        assert kld(DENSITY, density).isnan().all()


def test_non_finite_prediction_is_nan():
    assert kld(DENSITY / 0, DENSITY).isnan().all()
