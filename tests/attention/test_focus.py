"""Numbers of a map, on maps small enough to work out by hand."""

import numpy as np
import pytest

from saliency.attention.focus import as_shares, cell_middles, measure


def spot(shape, *cells):
    density = np.zeros(shape)
    for row, column, value in cells:
        density[row, column] = value
    return as_shares(density)


def test_all_attention_in_one_cell():
    found = measure(spot((2, 4), (1, 3, 5.0)), (100, 400))  # cells of 50 by 100 pixels
    assert (found.peak_x, found.peak_y) == (350, 75)
    assert (found.centroid_x, found.centroid_y) == (350, 75)
    assert (found.peak, found.entropy, found.spread) == (8, 0, 1 / 8)
    assert found.centre_distance == pytest.approx(np.hypot(150, 25) / np.hypot(200, 50))


def test_evenly_spread():
    found = measure(as_shares(np.full((4, 8), 0.3)), (40, 80))
    assert found.entropy == pytest.approx(5)
    assert (found.spread, found.peak) == (pytest.approx(1), pytest.approx(1))
    assert (found.centroid_x, found.centroid_y) == (pytest.approx(40), pytest.approx(20))


def test_two_cells_three_to_one():
    found = measure(spot((1, 4), (0, 0, 3.0), (0, 3, 1.0)), (10, 40))
    assert found.peak_x == 5
    assert found.centroid_x == pytest.approx(0.75 * 5 + 0.25 * 35)
    assert found.entropy == pytest.approx(0.75 * np.log2(4 / 3) + 0.25 * 2)
    assert found.spread == pytest.approx(2**found.entropy / 4)
    assert found.centre_distance == pytest.approx(15 / np.hypot(20, 5))  # both lie 15 pixels from the middle


def test_spread_does_not_depend_on_the_number_of_cells():
    coarse = np.array([[1.0, 3.0], [0.0, 4.0]])
    fine = np.kron(coarse, np.ones((6, 6)))
    assert measure(as_shares(fine), (60, 90)).spread == pytest.approx(measure(as_shares(coarse), (60, 90)).spread)


def test_the_first_of_equal_peaks():
    found = measure(spot((3, 3), (2, 0, 1.0), (0, 2, 1.0)), (3, 3))
    assert (found.peak_x, found.peak_y) == (2.5, 0.5)


def test_an_empty_map_stands_for_evenly_spread():
    assert (as_shares(np.zeros((2, 2), dtype=np.uint8)) == 0.25).all()


@pytest.mark.parametrize("bad", [np.zeros((2, 2, 1)), np.zeros((0, 3)), np.array([[np.nan]]), np.array([[-1.0]])])
def test_no_map(bad):
    with pytest.raises(ValueError, match="a map must"):
        as_shares(bad)


def test_cell_middles():
    assert cell_middles(4, 10).tolist() == [1.25, 3.75, 6.25, 8.75]
