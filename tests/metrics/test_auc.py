import pytest
import torch

from saliency.metrics.auc import auc, auc_borji, auc_judd, auc_shuffled, auc_shuffled_step

PRED = torch.tensor([[0.1, 0.4], [0.3, 0.9]])
BOTTOM = torch.tensor([[False, False], [True, True]])
RIGHT = torch.tensor([[False, True], [False, True]])
NONE, ALL = BOTTOM & False, BOTTOM | True


def all_aucs(pred, fixations, others):
    return {
        "auc": auc(pred, fixations),
        "auc_judd": auc_judd(pred, fixations),
        "auc_borji": auc_borji(pred, fixations),
        "auc_shuffled": auc_shuffled(pred, fixations, others),
        "auc_shuffled_step": auc_shuffled_step(pred, fixations, others),
    }


def test_perfect_and_inverted_ranking():
    pred = torch.tensor([[0.0, 0.1], [0.8, 1.0]])
    assert auc(pred, BOTTOM).item() == 1
    assert auc(-pred, BOTTOM).item() == 0
    assert auc_shuffled(pred, BOTTOM, ~BOTTOM).item() == 1
    assert auc_borji(pred, BOTTOM).item() == 0.75  # half of the negatives are the fixations themselves


def test_judd_exceeds_the_exact_area_by_its_last_line():
    assert auc(PRED, BOTTOM).item() == 0.75  # 0.3 beats 0.1, 0.9 beats both
    assert auc_judd(PRED, BOTTOM).item() == 0.75 + 0.5 / (2 * 2)  # one of two negatives above the lower one


def test_ties_count_half():
    assert auc(torch.tensor([[1.0, 2.0], [1.0, 2.0]]), BOTTOM).item() == 0.5


@pytest.mark.parametrize("level", [0.0, 0.1])
def test_constant_prediction_is_chance(level):
    found = all_aucs(torch.full((2, 2), level), BOTTOM, RIGHT)
    assert found.pop("auc_judd").item() == pytest.approx(0.5 + 1 / (2 * 3), abs=1e-15)
    assert all(value.item() == 0.5 for value in found.values())


def test_step_thresholds_place_eight_bit_values_exactly():
    """153 / 255 = 0.6 must count as reaching the threshold 0.6."""
    pred = torch.tensor([[0, 153, 255, 153]], dtype=torch.uint8)
    fixations = torch.tensor([[False, True, False, False]])
    others = torch.tensor([[True, False, True, False]])
    # Rates at 1, 0.7: (0, 1/2); at 0.6: (1, 1/2); at 0: (1, 1).
    assert auc_shuffled_step(pred, fixations, others).item() == 0.5


def test_undefined_ground_truth():
    assert all(value.isnan().all() for value in all_aucs(PRED, NONE, RIGHT).values())
    everywhere = all_aucs(PRED, ALL, RIGHT)
    assert everywhere["auc"].isnan().all() and everywhere["auc_judd"].isnan().all()
    assert everywhere["auc_borji"].item() == 0.5
    nobody_else = all_aucs(PRED, BOTTOM, NONE)
    assert {name for name, value in nobody_else.items() if value.isnan()} == {"auc_shuffled", "auc_shuffled_step"}


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_non_finite_prediction_is_nan(bad):
    pred = PRED.clone()
    pred[0, 0] = bad
    assert all(value.isnan().all() for value in all_aucs(pred, BOTTOM, RIGHT).values())


def test_others_as_a_list_keep_repeats_and_as_a_map_do_not():
    listed = [torch.tensor([[0, 1], [0, 1], [1, 1]])]
    assert auc_shuffled(PRED, BOTTOM, listed).item() == pytest.approx((0 + 0 + 0 + 1 + 1 + 0.5) / 6, abs=1e-15)
    assert auc_shuffled(PRED, BOTTOM, 3 * RIGHT.int()).item() == auc_shuffled(PRED, BOTTOM, RIGHT).item() == 0.375


def test_frames_with_different_numbers_of_points_do_not_mix():
    generator = torch.Generator().manual_seed(0)
    pred = torch.rand(6, 9, 7, generator=generator)
    chance = torch.tensor([0.0, 0.01, 0.1, 0.5, 0.9, 1.0])[:, None, None]
    fixations = torch.rand(6, 9, 7, generator=generator) < chance
    others = torch.rand(6, 9, 7, generator=generator) < chance.flip(0)
    listed = [frame.nonzero() for frame in others]
    together = all_aucs(pred, fixations, others)
    singly = [all_aucs(*arguments) for arguments in zip(pred, fixations, others, strict=True)]
    for name, values in together.items():
        assert torch.cat([one[name] for one in singly]).nan_to_num(-1).equal(values.nan_to_num(-1)), name
        assert all_aucs(pred, fixations, listed)[name].nan_to_num(-1).equal(values.nan_to_num(-1)), name
