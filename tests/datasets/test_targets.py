import pytest

from saliency.data.targets import HOUSE, Targets, below, draws, val_targets


def test_a_rule_lists_the_targets_of_a_video():
    assert list(Targets().of(3)) == [0, 1, 2]
    assert list(Targets(lead=31, tail=1, step=32).of(100)) == [31, 63, 95]
    assert list(Targets(lead=31).of(31)) == []
    assert list(Targets(lead=31, short="last").of(20)) == [19]
    assert list(Targets(lead=31, short="middle").of(20)) == [10]


def test_the_default_validation_scores_every_video():
    assert all(len(HOUSE.val.of(n)) for n in range(1, 200))
    assert val_targets([1, 50]) == [(0, 0), (1, 15), (1, 47)]


def test_a_rule_refuses_negative_numbers():
    with pytest.raises(ValueError, match="lead"):
        Targets(lead=-1)


def test_draws_are_fixed_for_all_time():
    # Values of the Philox4x64-10 generator; a change would silently change every run.
    assert [next(draws((0, 0, 0))), next(draws((1, 2, 3)))] == [213000021201967259, 13738114362928817022]


def test_draws_differ_between_keys_and_fill_the_range():
    values = {next(draws((s, e, i))) for s in range(3) for e in range(10) for i in range(20)}
    assert len(values) == 600
    assert {below(v, 7) for v in values} == set(range(7))
