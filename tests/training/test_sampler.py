"""Which samples make which step."""

import pytest

from saliency.training.sampler import Steps, epoch_order


def test_an_epoch_is_a_permutation_and_a_pure_function():
    order = list(epoch_order(5, 2, 10))
    assert sorted(order) == list(range(10))
    epoch_order.cache_clear()
    assert epoch_order(5, 2, 10) == order
    assert epoch_order(5, 3, 10) != order
    assert epoch_order(6, 2, 10) != order


@pytest.mark.parametrize("accumulate", [1, 2])
def test_processes_share_a_step_without_overlap(accumulate):
    whole = Steps(seed=1, size=10, epochs=2, batch_size=4, accumulate=accumulate)
    shares = [
        list(Steps(seed=1, size=10, epochs=2, batch_size=4, accumulate=accumulate, rank=r, world=2)) for r in (0, 1)
    ]
    assert len(list(whole)) == whole.total * accumulate == 4 * accumulate
    for part, a, b in zip(whole, *shares, strict=True):
        assert len(a) == len(b)
        assert sorted([*a, *b]) == sorted(part)


def test_starting_later_gives_the_rest():
    whole = list(Steps(seed=1, size=10, epochs=3, batch_size=4))
    assert list(Steps(seed=1, size=10, epochs=3, batch_size=4, first=3)) == whole[3:]
