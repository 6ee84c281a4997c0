"""Overlays colour what is attended and leave the rest alone."""

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from saliency.inference.overlay import Overlay, colours, side_by_side
from saliency.io.pictures import planes_of

FRAME = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)


def test_colours_get_brighter():
    brightness = colours().astype(float) @ [0.2126, 0.7152, 0.0722]
    assert colours().shape == (256, 3)
    assert (np.diff(brightness) > -0.5).all() and brightness[-1] > 4 * brightness[0]


def test_blend_is_what_it_says():
    overlay = Overlay(opacity=0.6, dimming=0.5)
    density = np.zeros((12, 16), dtype=np.float32)
    density[3, 4] = 2
    painted = overlay.paint(FRAME, density)
    assert painted.dtype == np.uint8 and painted.shape == FRAME.shape
    np.testing.assert_allclose(painted[3, 4], 0.4 * FRAME[3, 4] + 0.6 * colours()[255], atol=1.5)
    rest = density == 0
    np.testing.assert_allclose(painted[rest], 0.5 * FRAME[rest], atol=1.5)


def test_own_maximum_or_fixed_peak():
    density = np.full((12, 16), 0.25, dtype=np.float32)
    own, fixed = Overlay().paint(FRAME, density), Overlay(peak=1.0).paint(FRAME, density)
    np.testing.assert_array_equal(own, Overlay().paint(FRAME, density * 3))
    assert (own != fixed).any()
    np.testing.assert_array_equal(Overlay(peak=0.25).paint(FRAME, density), own)
    np.testing.assert_array_equal(Overlay(peak=0.1).paint(FRAME, density), own)  # above the peak: as the peak


def test_no_attention_and_no_dimming_leave_the_frame():
    painted = Overlay(dimming=0).paint(FRAME, np.zeros((12, 16), dtype=np.float32))
    np.testing.assert_array_equal(painted, FRAME)


def test_extremes_do_not_wrap_around():
    white = np.full((2, 256, 3), 255, dtype=np.uint8)
    density = np.linspace(0, 1, 256, dtype=np.float32)[None].repeat(2, 0)
    for opacity in (0.0, 0.5, 1.0):
        painted = Overlay(opacity=opacity, dimming=0).paint(white, density).astype(int)
        assert (np.abs(np.diff(painted, axis=1)) < 40).all()


def test_wrong_arguments():
    for bad in ({"opacity": 1.5}, {"dimming": -0.1}, {"peak": 0.0}):
        with pytest.raises(ValueError):
            Overlay(**bad)
    with pytest.raises(ValueError, match="equally large"):
        Overlay().paint(FRAME, np.zeros((3, 3), dtype=np.float32))


def test_side_by_side():
    np.testing.assert_array_equal(side_by_side(FRAME, FRAME)[:, 16:], FRAME)


@pytest.mark.parametrize("palette", ["heat", "jet", "grey"])
@pytest.mark.parametrize("matrix", ["bt709", "bt601"])
@pytest.mark.parametrize("size", [(180, 320), (36, 64), (9, 16)])
def test_painting_planes_is_painting_rgb(palette, matrix, size):
    """FFmpeg turns what `paint` makes into the planes that `on_planes` makes, but for rounding."""
    rng = np.random.default_rng(0)
    frame = cv2.resize(rng.integers(0, 256, (9, 16, 3), dtype=np.uint8), (320, 180))
    small = cv2.resize(cv2.GaussianBlur(rng.random((36, 64), dtype=np.float32), (0, 0), 3), size[::-1])
    small -= small.min()
    overlay = Overlay(palette=palette)

    def planes(picture):
        stored = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
            format="yuv420p",
            dst_colorspace={"bt709": Colorspace.ITU709, "bt601": Colorspace.ITU601}[matrix],
            dst_color_range=ColorRange.MPEG,
        )
        return tuple(plane.copy() for plane in planes_of(stored))

    wanted = planes(overlay.paint(frame, cv2.resize(small, (320, 180))))
    found = planes(frame)
    overlay.on_planes().paint(found, found, matrix, small=small)
    for plane, expected in zip(found, wanted, strict=True):
        apart = np.abs(plane.astype(int) - expected)
        assert apart.mean() < 0.7
        assert apart.max() <= 4
