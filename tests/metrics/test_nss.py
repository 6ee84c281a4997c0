import pytest
import torch

from saliency.metrics.nss import nss

PRED = torch.tensor([[0.0, 0.0], [0.0, 1.0]])  # mean 1/4, std 1/2


def fixated(*pixels):
    fixations = torch.zeros(2, 2, dtype=torch.bool)
    for pixel in pixels:
        fixations[pixel] = True
    return fixations


def test_standardised_values_by_hand():
    assert nss(PRED, fixated((1, 1))).item() == pytest.approx(1.5, abs=1e-15)
    assert nss(PRED, fixated((0, 0))).item() == pytest.approx(-0.5, abs=1e-15)
    assert nss(PRED, fixated((0, 0), (1, 1))).item() == pytest.approx(0.5, abs=1e-15)


def test_repeated_fixations_count_repeatedly_in_lists_only():
    twice = torch.tensor([[1, 1], [1, 1], [0, 0]])
    assert nss(PRED, [twice]).item() == pytest.approx((1.5 + 1.5 - 0.5) / 3, abs=1e-15)
    assert nss(PRED, 2 * fixated((1, 1)).int()).item() == pytest.approx(1.5, abs=1e-15)


@pytest.mark.parametrize("level", [0.0, 0.1, 0.3, 0.7, 255.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_constant_prediction_is_zero_even_where_its_rounded_std_is_not(level, dtype):
    pred = torch.full((360, 640), level, dtype=dtype)
    fixations = torch.zeros(360, 640, dtype=torch.bool)
    fixations[10, 10] = True
    assert nss(pred, fixations).item() == 0


def test_no_fixations_is_undefined():
    assert nss(PRED, fixated()).isnan().all()
    assert nss(PRED, [torch.zeros(0, 2, dtype=torch.int64)]).isnan().all()


def test_non_finite_prediction_is_nan():
    assert nss(PRED / 0, fixated((1, 1))).isnan().all()
