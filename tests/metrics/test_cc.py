import pytest
import torch

from saliency.errors import InputError
from saliency.metrics.cc import cc

DENSITY = torch.tensor([[0.0, 1.0], [2.0, 4.0]])


def test_increasing_and_decreasing_lines_correlate_perfectly():
    assert cc(3 * DENSITY - 5, DENSITY).item() == pytest.approx(1, abs=1e-15)
    assert cc(1 - DENSITY, DENSITY).item() == pytest.approx(-1, abs=1e-15)


def test_constant_prediction_is_zero_and_constant_density_undefined():
    assert cc(torch.full((2, 2), 0.1), DENSITY).item() == 0
    assert cc(DENSITY, torch.full((2, 2), 0.25)).isnan().all()
    assert cc(DENSITY, torch.zeros(2, 2)).isnan().all()


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_non_finite_maps_are_nan(bad):
    pred = DENSITY.clone()
    pred[0, 0] = bad
    assert cc(pred, DENSITY).isnan().all()
    assert cc(DENSITY, pred).isnan().all()


def test_small_range_on_a_large_offset_keeps_its_digits():
    pred = DENSITY.double() * 2.0**-30 + 1
    assert cc(pred, DENSITY).item() == pytest.approx(1, abs=1e-12)


def test_sizes_must_agree():
    with pytest.raises(InputError, match=r"density is \(1, 2, 2\) but the prediction is \(1, 2, 3\)"):
        cc(torch.zeros(2, 3), DENSITY)
