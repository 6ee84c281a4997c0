"""A film measured frame by frame, and its table."""

import csv

import numpy as np
import pytest

from saliency.attention.areas import Rectangle
from saliency.attention.crop import fit_window
from saliency.attention.film import FilmMeter
from saliency.attention.regions import FixedRegion, MovingRegion
from saliency.attention.table import write_table

SIZE = (40, 80)


def film(times=None):
    """Two scenes of four frames; all attention in the left, then in the right end of the upper row."""
    meter = FilmMeter(
        SIZE,
        4.0,
        [
            FixedRegion(name="the left", shape=Rectangle(0, 0, 20, 40)),
            MovingRegion(name="late", frames=(6, 7), shapes=(Rectangle(60, 0, 20, 20),) * 2),
        ],
    )
    for i in range(8):
        density = np.zeros((2, 4))
        density[0, 0 if i < 4 else 3] = 2.0
        meter.add(np.full((*SIZE, 3), 60 if i < 4 else 200, dtype=np.uint8), density)
    return meter.finish(times)


def test_what_is_measured():
    found = film()
    assert (len(found), found.cuts) == (8, (4,))
    assert found.times.tolist() == [i / 4 for i in range(8)]
    assert found.series("peak_x").tolist() == [10.0] * 4 + [70.0] * 4
    assert found.columns[0].tolist() == [1, 0, 0, 0] and found.columns[7].tolist() == [0, 0, 0, 1]
    assert found.rows[0].tolist() == [1, 0]
    assert found.brightness[0] == pytest.approx(60 / 255, abs=1e-3)
    left, late = found.summaries()
    assert (left.attention, left.area, left.frames, left.first_peak, left.peak_frames) == (0.5, 0.25, 8, 0, 4)
    assert (late.attention, late.area, late.frames, late.first_peak) == (1, 0.125, 2, 6)


def test_crop_follows_over_the_cut():
    path = film().crop(fit_window(SIZE, (1, 2)))  # 20 wide
    assert path.share.tolist() == [1.0] * 8
    assert path.place.tolist() == [0] * 4 + [60] * 4
    assert path.fixed_share.tolist() == [0.0] * 8


def test_table(tmp_path):
    found = film(times=np.array([0, 0.1, 0.2, 0.3, 0.5, 0.6, 0.7, 0.9]))
    write_table(tmp_path / "frames.csv", found, found.crop(fit_window(SIZE, (1, 2))))
    with (tmp_path / "frames.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        *("frame", "time", "peak_x", "peak_y", "peak", "centroid_x", "centroid_y", "entropy", "spread"),
        *("centre_distance", "scene", "the_left_attention", "the_left_area", "the_left_peak"),
        *("late_attention", "late_area", "late_peak", "crop_x", "crop_y", "crop_share"),
    ]
    assert [row["scene"] for row in rows] == ["1"] * 4 + ["2"] * 4
    assert rows[7]["time"] == "0.9000"
    assert (rows[3]["the_left_attention"], rows[4]["the_left_attention"]) == ("1", "0")
    assert [row["late_peak"] for row in rows] == [""] * 6 + ["1", "1"]
    assert (rows[4]["crop_x"], rows[4]["crop_y"], rows[4]["crop_share"]) == ("60", "0", "1")
    assert (rows[0]["peak"], rows[0]["entropy"], rows[0]["spread"]) == ("8", "0", "0.125")


def test_nothing_measured():
    with pytest.raises(ValueError, match="no frame"):
        FilmMeter(SIZE, 25.0).finish()
