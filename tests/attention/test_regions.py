"""Regions: how much they cover, where they are, what they get; by hand."""

import numpy as np
import pytest

from saliency.attention.areas import Polygon, Rectangle
from saliency.attention.focus import as_shares
from saliency.attention.region_files import parse_region, parse_regions
from saliency.attention.regions import FixedRegion, MovingRegion, RegionMeter, Share, summarise
from saliency.errors import InputError

SIZE = (100, 200)


def test_rectangle_covers_parts_of_cells():
    cover = Rectangle(30, 25, 40, 50).cover((2, 4), SIZE)  # cells of 50 by 50
    assert cover == pytest.approx(np.array([[0.2, 0.2, 0, 0], [0.2, 0.2, 0, 0]]))
    assert cover.mean() * 100 * 200 == pytest.approx(40 * 50)


def test_rectangle_over_the_edge_counts_only_what_is_in_the_picture():
    cover = Rectangle(150, -50, 500, 100).cover((2, 4), SIZE)
    assert cover.tolist() == [[0, 0, 0, 1], [0, 0, 0, 0]]


def test_polygon_of_a_rectangle_is_the_rectangle():
    square = Polygon(((25.0, 0.0), (125.0, 0.0), (125.0, 75.0), (25.0, 75.0)))
    assert (square.cover((4, 8), SIZE) == Rectangle(25, 0, 100, 75).cover((4, 8), SIZE)).all()


def test_triangle_covers_half():
    cover = Polygon(((0.0, 0.0), (200.0, 0.0), (0.0, 100.0))).cover((20, 40), SIZE)
    assert cover.mean() == pytest.approx(0.5, abs=0.005)
    assert (cover[0, 0], cover[-1, -1]) == (1, 0)


def test_self_crossing_polygon_is_even_odd():
    bow = Polygon(((0.0, 0.0), (200.0, 100.0), (200.0, 0.0), (0.0, 100.0)))  # left and right triangle
    cover = bow.cover((20, 40), SIZE)
    assert cover[10, 0] > 0.9 and cover[10, -1] > 0.9 and cover[0, 20] < 0.1
    assert cover.mean() == pytest.approx(0.5, abs=0.01)


def test_polygon_outside_covers_nothing():
    assert not Polygon(((300.0, 0.0), (400.0, 0.0), (300.0, 90.0))).cover((4, 8), SIZE).any()


def test_shares_of_a_region():
    density = np.zeros((2, 4))
    density[0, 0], density[1, 3] = 3, 1
    meter = RegionMeter(
        [
            FixedRegion(name="left", shape=Rectangle(0, 0, 100, 100)),
            FixedRegion(name="corner", shape=Rectangle(150, 50, 50, 25)),
            FixedRegion(name="away", shape=Rectangle(500, 0, 9, 9)),
        ],
        SIZE,
    )
    left, corner, away = meter.shares(0, as_shares(density))
    assert left == Share(attention=0.75, area=0.5, holds_peak=True)
    assert corner == Share(attention=0.125, area=1 / 16, holds_peak=False)
    assert away is None


def test_evenly_spread_attention_is_the_area():
    shapes = [Rectangle(13, 7, 31, 22), Polygon(((1.0, 2.0), (90.0, 10.0), (40.0, 99.0)))]
    meter = RegionMeter([FixedRegion(name=str(i), shape=shape) for i, shape in enumerate(shapes)], SIZE)
    for share in meter.shares(0, as_shares(np.ones((14, 24)))):
        assert share.attention == pytest.approx(share.area)


def test_a_moving_region_is_interpolated_and_leaves():
    a, b = Rectangle(0, 0, 10, 10), Rectangle(40, 20, 30, 10)
    region = MovingRegion(name="face", frames=(2, 6, 8, 12), shapes=(a, b, None, a))
    assert region.at(1) is None
    assert region.at(2) == a
    assert region.at(3) == Rectangle(10, 5, 15, 10)
    assert region.at(7) == b  # stays until it leaves
    assert region.at(8) is None and region.at(11) is None
    assert region.at(12) == a and region.at(13) is None


def test_summary():
    def share(attention, holds):
        return Share(attention=attention, area=0.1, holds_peak=holds)

    found = summarise("logo", [None, share(0.2, False), share(0.4, True), share(0.3, True)])
    assert (found.frames, found.peak_frames, found.first_peak) == (3, 2, 2)
    assert (found.attention, found.area, found.lift) == (pytest.approx(0.3), pytest.approx(0.1), pytest.approx(3))
    never = summarise("logo", [None, None])
    assert (never.frames, never.attention, never.lift, never.first_peak) == (0, None, None, None)


def test_reads_the_three_forms(tmp_path):
    path = tmp_path / "faces.csv"
    path.write_text("time,x,y,width,height\n0,10,10,20,20\n\n2,30,10,20,20\n3,,,,\n")
    box, sky, face = parse_regions(["logo=150,10,40,20", "sky = 0,0:200,0:200,30", f"face={path}"], SIZE, fps=10)
    assert (box.name, box.at(5)) == ("logo", Rectangle(150, 10, 40, 20))
    assert sky.at(0) == Polygon(((0, 0), (200, 0), (200, 30)))
    assert face.at(10) == Rectangle(20, 10, 20, 20)
    assert face.at(30) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("logo", "a region is written NAME=X,Y,WIDTH,HEIGHT"),
        ("=1,2,3,4", "a name is"),
        ("lo/go=1,2,3,4", "a name is"),
        ("logo=1,2,3", "a region is written"),
        ("logo=1,2,3,x", "'x' is not a number"),
        ("logo=1,2,nan,4", "'nan' is not a number"),
        ("logo=1,2,0,4", "above 0"),
        ("logo=0,0:9,9", "at least 3 corners"),
        ("logo=0,0:9,9:5", "each corner"),
        ("logo=200,0,10,10", "outside the picture, which is 200 wide and 100 high"),
        ("logo=none.csv", "none.csv: no such file"),
    ],
)
def test_one_clear_line(text, message):
    with pytest.raises(InputError, match=message):
        parse_region(text, SIZE, fps=25)


def test_two_of_one_name():
    with pytest.raises(InputError, match="two regions called 'a'"):
        parse_regions(["a=0,0,1,1", "a=0,0,2,2"], SIZE, fps=25)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line must name"),
        ("x,y,width,height\n0,0,1,1\n", "first line must name frame"),
        ("frame,time,x,y,width,height\n0,0,0,0,1,1\n", "first line must name frame"),
        ("frame,x,y,width,height\n", "no line with a rectangle"),
        ("frame,x,y,width,height\n0,0,0,1\n", "line 2: has 4 cells"),
        ("frame,x,y,width,height\n0.5,0,0,1,1\n", "not a whole number"),
        ("frame,x,y,width,height\n-1,0,0,1,1\n", "counted from 0"),
        ("frame,x,y,width,height\n3,0,0,1,1\n3,0,0,1,1\n", "line 3: frame 3 does not come after"),
        ("frame,x,y,width,height\n3,0,,1,1\n", "line 2: '' is not a number"),
        ("frame,x,y,width,height\n3,900,0,1,1\n", "outside the picture"),
        ("frame,x,y,width,height\n0,0,0,1,1\x00\n", "is not a (CSV file|number)"),
    ],
)
def test_bad_key_frames(tmp_path, text, message):
    path = tmp_path / "face.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        parse_region(f"face={path}", SIZE, fps=25)
