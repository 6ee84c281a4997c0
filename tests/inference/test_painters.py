"""Pictures of maps, worked out by hand."""

import numpy as np
import pytest

from saliency.errors import InputError
from saliency.inference.overlay import PALETTES, Overlay, colours
from saliency.inference.painters import Beside, Contour, HeatMap, Look, smallest_part

FRAME = np.full((20, 30, 3), 100, dtype=np.uint8)


def blob():
    density = np.zeros((20, 30), dtype=np.float32)
    density[5:15, 10:20] = 1
    return density


def test_smallest_part_holds_the_share():
    density = np.zeros((1, 1000))
    density[0] = np.arange(1000)
    part = smallest_part(density, 0.5)
    assert density[part].sum() == pytest.approx(0.5 * density.sum(), rel=0.01)
    assert part[0, -1] and not part[0, 600]
    assert density[part].min() >= density[~part].max()
    assert not smallest_part(np.zeros((3, 3)), 0.5).any()


def test_contour_goes_around_and_leaves_the_rest():
    painted = Contour(share=0.9).paint(FRAME, blob())
    assert (painted[0, 0] == 100).all() and (painted[10, 15] == 100).all()
    assert (painted[5:15, 10] != 100).any(axis=-1).all()  # the left edge of the blob
    assert (FRAME == 100).all()


def test_heat_alone_is_black_without_attention_and_hottest_at_the_peak():
    for palette in PALETTES:
        painted = HeatMap(palette=palette).paint(FRAME, blob())
        assert (painted[0, 0] == 0).all()
        assert (painted[10, 15] == colours(palette)[255]).all()


def test_beside():
    painter = Beside(painter=HeatMap())
    assert painter.size((20, 30)) == (20, 60)
    painted = painter.paint(FRAME, blob())
    assert painted.shape == (20, 60, 3)
    assert (painted[:, :30] == FRAME).all()


def test_opencv_colour_maps_are_rgb():
    assert colours("jet")[255].tolist() == [128, 0, 0]  # dark red
    assert colours("viridis")[0].tolist() == [68, 1, 84]  # as matplotlib has it
    assert colours("grey")[7].tolist() == [7, 7, 7]


def test_looks_by_name():
    assert Look().painter() == Overlay()
    assert Look(style="contour", top=25).painter() == Contour(share=0.25)
    assert Look(style="heat", beside=True, colours="turbo").painter() == Beside(painter=HeatMap(palette="turbo"))


@pytest.mark.parametrize(
    ("look", "message"),
    [
        (Look(colours="viridi"), "did you mean 'viridis'"),
        (Look(opacity=1.5), "--opacity"),
        (Look(peak=0.0), "--peak"),
        (Look(top=100.0), "--top"),
    ],
)
def test_bad_looks(look, message):
    with pytest.raises(InputError, match=message):
        look.painter()
