"""Charts: axes, gaps, thinning."""

import re

import numpy as np
import pytest

from saliency.attention.charts import Chart, Line, clock, draw, thinned, ticks


def drawn(values, cuts=(), top=1.0):
    line = Line(name="a < b", values=np.asarray(values, dtype=float), colour="#123456")
    times = np.arange(len(values)) / 10
    return draw(Chart(title="T & t", about="x", lines=[line], top=top), times, cuts, len(values) / 10)


def test_points_are_where_they_belong():
    text = drawn([0, 0.5, 1.0, 2.0])
    points = re.search(r'polyline points="([^"]+)"', text).group(1).split()
    assert points == ["0.0,99.0", "250.0,50.0", "500.0,1.0", "750.0,1.0"]  # 2.0 is cut off at the top


def test_gaps_and_single_points():
    text = drawn([0.1, 0.2, np.nan, 0.4, np.nan, 0.6, 0.7])
    assert text.count("<polyline") == 2
    assert text.count("h1.5") == 1


def test_cuts_and_escaping():
    text = drawn([0.1] * 4, cuts=[2])
    assert 'class="cut" d="M500.0' in text
    assert "a &lt; b" in text and "T &amp; t" in text


def test_thinned_keeps_means():
    times, values = thinned(np.arange(10.0), np.array([1, 3, 5, np.nan, np.nan, np.nan, 0, 2, 8, 8]), points=5)
    assert times.tolist() == [0.5, 2.5, 4.5, 6.5, 8.5]
    assert values[[0, 1, 3, 4]].tolist() == [2, 5, 1, 8] and np.isnan(values[2])


@pytest.mark.parametrize(
    ("duration", "expected"),
    [(0.5, [0, 0.1, 0.2, 0.3, 0.4, 0.5]), (8.0, [0, 1, 2, 3, 4, 5, 6, 7, 8]), (61.0, [0, 10, 20, 30, 40, 50, 60])],
)
def test_ticks(duration, expected):
    assert ticks(duration) == pytest.approx(expected)


def test_clock():
    assert [clock(s) for s in (0, 3.4, 59, 65, 3605)] == ["0 s", "3.4 s", "59 s", "1:05", "1:00:05"]
