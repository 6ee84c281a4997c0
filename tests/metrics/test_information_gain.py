import pytest
import torch

from saliency.errors import InputError
from saliency.metrics.information_gain import information_gain

PRED = torch.tensor([[1.0, 1.0], [2.0, 4.0]])
HERE = torch.tensor([[False, False], [False, True]])
UNIFORM = torch.ones(2, 2)


def test_bits_by_hand():
    assert information_gain(PRED, HERE, UNIFORM).item() == pytest.approx(1, abs=1e-12)  # 1/2 against 1/4
    assert information_gain(PRED, ~HERE, UNIFORM).item() == pytest.approx((-1 - 1 + 0) / 3, abs=1e-12)


def test_the_baseline_itself_gains_nothing():
    assert information_gain(PRED, HERE, PRED).item() == 0
    assert information_gain(0 * PRED, HERE, UNIFORM).item() == 0  # constant prediction: uniform


def test_one_baseline_serves_all_frames():
    pred = torch.stack([PRED, PRED.flip(1), UNIFORM])
    fixations = torch.stack([HERE, HERE.flip(1), HERE])
    baseline = PRED + 1
    shared = information_gain(pred, fixations, baseline)
    repeated = information_gain(pred, fixations, baseline.expand(3, 2, 2))
    singly = torch.cat([information_gain(p, f, baseline) for p, f in zip(pred, fixations, strict=True)])
    assert shared.equal(repeated)
    assert torch.allclose(shared, singly, rtol=0, atol=1e-14)


def test_undefined_without_fixations_and_nan_for_non_finite_predictions():
    assert information_gain(PRED, HERE & False, UNIFORM).isnan().all()
    assert information_gain(PRED / 0, HERE, UNIFORM).isnan().all()


@pytest.mark.parametrize("baseline", [torch.eye(2), UNIFORM / 0, -UNIFORM])
def test_baseline_must_be_positive(baseline):
    with pytest.raises(InputError, match="above 0 everywhere; add a small floor"):
        information_gain(PRED, HERE, baseline)


def test_baseline_must_have_the_same_size():
    with pytest.raises(InputError, match="baseline is"):
        information_gain(PRED, HERE, torch.ones(2, 3))
