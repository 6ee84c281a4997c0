"""The mean of densities, and one pass over the frames."""

import weakref

import numpy as np
import pytest
from torch import nn

from saliency.errors import InputError
from saliency.inference.engine import Engine
from saliency.inference.ensemble import Ensemble
from saliency.inference.predictor import Predictor
from saliency.types import InputSpec


class Brightness(nn.Module):
    def __init__(self, power):
        super().__init__()
        self.power = power

    def forward(self, clip):  # (B, 3, T, h, w)
        return clip.mean(dim=(1, 2)).sigmoid() ** self.power


class Counted:
    def __init__(self, count, broken_at=None):
        self.count, self.broken_at, self.decoded = count, broken_at, 0

    size = (12, 20)

    def __len__(self):
        return self.count

    def iterate(self, start=0, stop=None):
        random = np.random.default_rng(0)
        for i in range(self.count):
            if i == self.broken_at:
                raise InputError("frame 7 cannot be decoded")
            self.decoded += 1
            yield random.integers(0, 256, (12, 20, 3)).astype(np.uint8)


def members(sizes=((6, 10), (6, 10))):
    first = Predictor(Engine(Brightness(1), InputSpec(length=4, size=sizes[0])), batch_size=3)
    return [first, Predictor(Engine(Brightness(3), InputSpec(length=9, size=sizes[1], target="middle")), batch_size=5)]


@pytest.mark.parametrize("targets", [None, [0, 1, 5, 11, 12, 39]])
def test_mean_of_densities_with_one_pass(targets):
    source = Counted(40)
    found = dict(Ensemble(members(), [3, 1]).maps(source, targets))
    assert source.decoded == 40
    assert list(found) == (targets or list(range(40)))
    for k, part in enumerate(members()):
        alone = {i: m / m.sum() for i, m in part.maps(Counted(40), targets)}
        found = {i: m - (0.75, 0.25)[k] * alone[i] for i, m in found.items()}
    assert max(m.abs().max() for m in found.values()) < 1e-7


def test_the_larger_map_size():
    found = dict(Ensemble(members(((6, 10), (12, 20)))).maps(Counted(3)))
    assert found[0].shape == (12, 20)
    assert found[0].sum().item() == pytest.approx(1, abs=1e-5)


def test_damage_is_told():
    with pytest.raises(InputError, match="frame 7"):
        list(Ensemble(members()).maps(Counted(20, broken_at=7)))


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, -1.0]])
def test_bad_weights(weights):
    with pytest.raises(ValueError, match="as many weights"):
        Ensemble(members(), weights)


def test_no_member():
    with pytest.raises(ValueError, match="as many weights"):
        Ensemble([])


def test_frames_are_not_kept():
    alive = weakref.WeakSet()
    most = 0

    class Watched(Counted):
        def iterate(self, start=0, stop=None):
            for frame in super().iterate(start, stop):
                held = frame.view(Frame)
                alive.add(held)
                yield held

    for _ in Ensemble(members()).maps(Watched(200)):
        most = max(most, len(alive))
    assert 10 < most < 80


class Frame(np.ndarray):
    """An array that can be watched, and is no key."""

    __hash__ = object.__hash__

    def __eq__(self, other):
        return self is other
