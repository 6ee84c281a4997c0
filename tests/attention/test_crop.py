"""Windows of another shape."""

import numpy as np
import pytest

from saliency.attention.crop import ACCELERATION, SPEED, find_path, fit_window, parse_aspect
from saliency.errors import InputError

SIZE = (90, 160)
FPS = 25.0


def profiles(columns, cells=32):
    """All attention of each frame in one column of cells."""
    out = np.zeros((len(columns), cells), dtype=np.float32)
    out[np.arange(len(columns)), columns] = 1
    return out


def test_window_is_the_largest_that_fits():
    wide = fit_window((1080, 1920), (9, 16))
    assert (wide.width, wide.height, wide.room, wide.axis) == (608, 1080, 1312, "x")  # 607.5, even
    tall = fit_window((1920, 1080), (16, 9))
    assert (tall.width, tall.height, tall.room, tall.axis) == (1080, 608, 1312, "y")
    same = fit_window((1080, 1920), (16, 9))
    assert (same.width, same.height, same.room) == (1920, 1080, 0)


def test_too_small():
    with pytest.raises(InputError, match="too small"):
        fit_window((2, 90), (1, 100))


@pytest.mark.parametrize("text", ["9", "9/16", "0:1", "101:1", "a:b", "9:16:1", "1.5:1"])
def test_bad_shapes(text):
    with pytest.raises(InputError, match="WIDTH:HEIGHT"):
        parse_aspect(text)


def test_good_shape():
    assert parse_aspect(" 9:16 ") == (9, 16)


def test_even_attention_leaves_it_in_the_middle():
    window = fit_window(SIZE, (9, 16))
    path = find_path(np.full((40, 32), 1 / 32), window, SIZE, FPS, [])
    assert set(path.place.tolist()) == {window.room // 2}
    assert path.share == pytest.approx(np.full(40, 50 / 160))
    assert path.fixed_share == pytest.approx(path.share)


def test_it_jumps_at_a_cut_and_glides_without():
    window = fit_window(SIZE, (9, 16))  # 50 wide
    columns = [3] * 200 + [28] * 200  # at 15 to 20 and 140 to 145 pixels
    jump = find_path(profiles(columns), window, SIZE, FPS, [200])
    assert jump.share.min() == pytest.approx(1)
    assert len(set(jump.place[:200].tolist())) == 1 and len(set(jump.place[200:].tolist())) == 1
    glide = find_path(profiles(columns), window, SIZE, FPS, [])
    assert np.abs(np.diff(glide.place)).max() <= SPEED * 50 / FPS + 1
    assert glide.share[0] == pytest.approx(1) and glide.share[-1] == pytest.approx(1)
    assert glide.share.mean() < 1
    speed = np.diff(glide.place)
    assert np.abs(np.diff(speed)).max() <= ACCELERATION * 50 / FPS**2 + 2  # whole pixels


def test_it_follows_what_moves_slowly_and_keeps_more_than_the_middle():
    window = fit_window(SIZE, (9, 16))
    columns = np.linspace(2, 29, 500).astype(int)
    path = find_path(profiles(columns), window, SIZE, FPS, [])
    assert path.share.mean() > 0.98
    assert path.fixed_share.mean() == pytest.approx(10 / 27, abs=0.02)  # ten of the cells passed lie in the middle


def test_shares_are_exact_inside_cells():
    window = fit_window(SIZE, (9, 16))
    path = find_path(np.full((1, 1), 1.0), window, SIZE, FPS, [])  # one cell as wide as the picture
    assert path.share.tolist() == pytest.approx([50 / 160])


def test_cut_and_corner():
    window = fit_window((160, 90), (16, 9))  # moves up and down
    path = find_path(profiles([0, 31]), window, (160, 90), FPS, [1])
    assert path.corner(0) == (0, 0) and path.corner(1)[0] == 0 and path.corner(1)[1] > 0
    picture = np.arange(160)[:, None, None] * np.ones((1, 90, 3), dtype=np.int64)
    assert path.cut(1, picture).shape == (50, 90, 3)
    assert path.cut(1, picture)[0, 0, 0] == path.corner(1)[1]


def test_nothing_to_move():
    window = fit_window(SIZE, (16, 9))
    path = find_path(profiles([1, 30]), window, SIZE, FPS, [])
    assert path.place.tolist() == [0, 0] and path.share.tolist() == [1, 1]
