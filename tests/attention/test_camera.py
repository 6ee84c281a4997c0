"""Paths: the best way against trying all, smooth ones against their limits."""

import itertools

import numpy as np
import pytest

from saliency.attention.camera import Limits, best_way, smooth

LIMITS = Limits(room=2.0, speed=0.35, acceleration=0.7, fps=25.0)


def value(gain, way, toll):
    return sum(gain[i, p] for i, p in enumerate(way)) - toll * np.abs(np.diff(way)).sum()


@pytest.mark.parametrize("toll", [0.0, 0.2, 1.0, 50.0])
@pytest.mark.parametrize("seed", range(4))
def test_best_way_is_the_best_of_all(toll, seed):
    gain = np.random.default_rng(seed).random((5, 4))
    best = max(value(gain, way, toll) for way in itertools.product(range(4), repeat=5))
    assert value(gain, best_way(gain, toll), toll) == pytest.approx(best)


def test_no_preference_stays_in_the_middle():
    assert best_way(np.ones((6, 9)), 0.1).tolist() == [4] * 6


def check(path, limits=LIMITS):
    speed = np.diff(path) * limits.fps
    change = np.diff(speed) * limits.fps
    assert path.min() >= 0 and path.max() <= limits.room
    assert np.abs(speed).max() <= limits.speed + 1e-5
    assert np.abs(change).max() <= limits.acceleration + 1e-2


def test_a_jump_becomes_a_bounded_glide():
    way = np.repeat([0.2, 1.4], 100)
    path = smooth(way, LIMITS)
    check(path)
    assert path[0] == pytest.approx(0.2, abs=1e-6) and path[-1] == pytest.approx(1.4, abs=1e-6)
    assert path[100] == pytest.approx(0.8, abs=0.05)  # half way when the jump happens: it looks ahead
    assert np.abs(np.diff(path)).max() * 25 == pytest.approx(0.35, abs=1e-5)  # and uses the speed it may


def test_a_short_excursion_is_not_followed():
    way = np.full(100, 0.5)
    way[40:44] = 1.8
    assert smooth(way, LIMITS) == pytest.approx(np.full(100, 0.5), abs=1e-6)


def test_long_ways_are_solved_in_pieces_within_the_limits():
    seconds = np.arange(1500) / 25
    way = 1 + 0.9 * np.sign(np.sin(seconds * 1.3)) * np.abs(np.sin(seconds * 0.21))
    check(smooth(way, LIMITS))


@pytest.mark.parametrize("count", [1, 2, 3, 240, 241, 242])
def test_any_length(count):
    way = np.linspace(0, 2, count)
    path = smooth(way, LIMITS)
    assert len(path) == count and path.min() >= 0 and path.max() <= 2
