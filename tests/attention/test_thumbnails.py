"""Choice of frames, by hand."""

import numpy as np
import pytest

from saliency.attention.thumbnails import choose, look


def chosen(spread, sharpness=None, brightness=None, cuts=(), count=1, fps=10.0):
    spread = np.asarray(spread, dtype=float)
    sharpness = np.ones(len(spread)) if sharpness is None else np.asarray(sharpness, dtype=float)
    brightness = np.full(len(spread), 0.5) if brightness is None else np.asarray(brightness, dtype=float)
    return choose(spread, sharpness, brightness, cuts, fps, count)


def test_gathered_and_sharp_wins():
    assert chosen([0.5, 0.1, 0.4]) == [1]
    assert chosen([0.5, 0.5, 0.5], sharpness=[1, 2, 3]) == [2]
    # ranks: spread 1, .5, 0 and sharpness 0, 1, .5: means .5, .75, .25
    assert chosen([0.1, 0.2, 0.3], sharpness=[1, 3, 2]) == [1]


def test_black_frames_and_those_beside_cuts_come_last():
    assert chosen([0.1, 0.2], brightness=[0.01, 0.5]) == [1]
    spread = np.full(40, 0.5)
    spread[19], spread[5] = 0.1, 0.4
    assert chosen(spread, cuts=[20]) == [5]  # frame 19 is the last before the cut
    assert chosen([0.1, 0.2], brightness=[0.01, 0.02]) == [0]  # nothing else is there


def test_further_ones_come_from_other_scenes_then_lie_apart():
    spread = np.full(100, 0.9)
    spread[[50, 51, 80]] = [0.1, 0.11, 0.5]
    assert chosen(spread, count=2) == [50, 80]
    spread = np.full(100, 0.9)
    spread[[45, 51, 80]] = [0.1, 0.11, 0.5]
    assert chosen(spread, count=2, cuts=[48]) == [45, 51]
    assert chosen(spread, count=3, cuts=[48]) == [45, 51, 80]
    spread = np.full(100, 0.9)
    spread[[10, 30, 70]] = [0.1, 0.2, 0.3]
    assert chosen(spread, count=2, cuts=[48]) == [10, 70]


def test_never_more_than_there_are():
    assert sorted(chosen([0.1, 0.2, 0.3], count=9)) == [0, 1, 2]


def test_look_is_sharp_only_where_people_look():
    frame = np.zeros((16, 32, 3), dtype=np.uint8)
    frame[:, 16::2] = 255  # stripes on the right
    left, right = np.zeros((16, 32)), np.zeros((16, 32))
    left[8, 4], right[8, 24] = 1, 1
    assert look(frame, left) == (0, pytest.approx(0.25))
    assert look(frame, right)[0] == pytest.approx(2.0)  # white between two black columns: |0 + 0 - 2|
