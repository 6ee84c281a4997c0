import pytest
import torch

from saliency.errors import InputError
from saliency.metrics.sim import sim

DENSITY = torch.tensor([[0.0, 1.0], [2.0, 1.0]])


@pytest.mark.parametrize("norm", ["minmax", "sum"])
def test_identical_maps_overlap_fully_and_disjoint_maps_not_at_all(norm):
    assert sim(DENSITY, DENSITY, norm).item() == pytest.approx(1, abs=1e-15)
    assert sim(torch.eye(2), 1 - torch.eye(2), norm).item() == pytest.approx(0, abs=1e-15)


def test_the_two_normalisations_differ_by_what_they_do_with_a_floor():
    pred = DENSITY + 1  # (1 2 3 2) / 8 against (0 1 2 1) / 4
    assert sim(pred, DENSITY).item() == pytest.approx(1, abs=1e-15)
    assert sim(pred, DENSITY, norm="sum").item() == pytest.approx((0 + 2 + 3 + 2) / 8, abs=1e-15)


def test_negative_predictions_are_shifted_up():
    assert sim(DENSITY - 7, DENSITY, norm="sum").item() == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize("norm", ["minmax", "sum"])
@pytest.mark.parametrize("level", [0.0, 0.1, -3.0])
def test_constant_prediction_counts_as_uniform(norm, level):
    assert sim(torch.full((2, 2), level), DENSITY, norm).item() == pytest.approx(0.75, abs=1e-15)


def test_constant_density_counts_as_uniform_but_an_empty_one_is_undefined():
    assert sim(DENSITY, torch.full((2, 2), 3.0)).item() == pytest.approx(0.75, abs=1e-15)
    assert sim(DENSITY, torch.zeros(2, 2)).isnan().all()
    assert sim(DENSITY, DENSITY - 1).isnan().all()  # negative: no density


def test_unknown_norm_is_refused():
    with pytest.raises(InputError, match="give 'minmax' or 'sum'"):
        sim(DENSITY, DENSITY, norm="max")  # pyright: ignore[reportArgumentType]
