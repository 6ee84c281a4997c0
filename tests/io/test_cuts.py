"""Cuts of drawn films whose cuts are known."""

import numpy as np
import pytest

from saliency.io.cuts import CutFinder


def scene(seed, size=(72, 128)):
    """A background of soft noise, twice as wide as the picture."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (size[0] // 12, size[1] // 6, 3)).astype(np.uint8)
    return np.kron(small, np.ones((12, 12, 1), dtype=np.uint8))


def view(background, x, size=(72, 128)):
    return background[: size[0], x : x + size[1]]


def cuts(frames):
    finder = CutFinder()
    for frame in frames:
        finder.add(frame)
    return finder.cuts()


def film(*parts):
    """Frames of (seed, count, pixels a frame)."""
    return [view(scene(seed), i * speed) for seed, count, speed in parts for i in range(count)]


def test_cuts_between_still_and_moving_scenes():
    assert cuts(film((1, 20, 0), (2, 3, 0), (3, 25, 2), (4, 8, 1))) == [20, 23, 48]


@pytest.mark.parametrize("speed", [1, 3])
def test_a_pan_is_no_cut(speed):
    assert cuts(film((5, 40, speed))) == []


def test_noise_and_flicker_are_no_cuts():
    random = np.random.default_rng(0)
    still = view(scene(6), 0).astype(np.int16)
    noisy = [np.clip(still + random.integers(-20, 21, still.shape), 0, 255).astype(np.uint8) for _ in range(30)]
    flicker = [np.clip(still + (60 if i % 2 else 0), 0, 255).astype(np.uint8) for i in range(30)]
    assert cuts(noisy) == []
    assert cuts(flicker) == []


def test_a_single_flash_is_no_cut():
    frames = film((7, 30, 0))
    frames[12] = np.full_like(frames[12], 255)
    assert cuts(frames) == []


def test_a_cut_at_the_last_frame_and_in_portrait():
    tall = [np.transpose(frame, (1, 0, 2)) for frame in film((8, 10, 0), (9, 1, 0))]
    assert cuts(tall) == [10]


def test_films_without_cuts():
    assert cuts([]) == []
    assert cuts(film((1, 1, 0))) == []


def test_a_dissolve_is_not_found():
    a, b = (view(scene(seed), 0).astype(float) for seed in (10, 11))
    frames = [a] * 5 + [a + (b - a) * i / 20 for i in range(21)] + [b] * 5
    assert cuts([frame.astype(np.uint8) for frame in frames]) == []
