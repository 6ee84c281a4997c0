import numpy as np
import pytest

from saliency.errors import InputError
from saliency.gaze.recording import (
    DHF1K_SCREEN,
    DHF1K_SIGMA,
    density_map,
    fixation_map,
    gaze_per_frame,
    read_recording,
    screen_to_video,
)

MADE = """Time\tType\tTrial\tL Dia X [px]\tL Dia Y [px]\tL POR X [px]\tL POR Y [px]\tL Event Info
5000000\tSMP\t1\t20.10\t20.10\t700.00\t405.00\t-
5004000\tSMP\t1\t20.10\t20.10\t702.00\t405.00\tFixation
5030000\tSMP\t1\t20.10\t20.10\t720.00\t459.00\tFixation
5034000\tSMP\t1\t20.10\t20.10\t0.00\t0.00\tFixation
5038000\tSMP\t1\t20.10\t20.10\t900.00\t450.00\tSaccade
5070000\tSMP\t1\t20.10\t20.10\t1439.00\t450.00\tFixation
"""
"""At 30 frames per second samples 0 to 2 lie in frame 0, 3 and 4 in frame 1, 5 in frame 2."""


def test_a_recording_worked_out_by_hand(tmp_path):
    path = tmp_path / "P01_Trail001.txt"
    path.write_text(MADE)
    recording = read_recording(path)
    assert recording.xy.shape == (6, 2)
    assert recording.time.tolist() == pytest.approx([0, 0.004, 0.03, 0.034, 0.038, 0.07])
    assert recording.fixating.tolist() == [False, True, True, True, False, True]
    xy = screen_to_video(recording.xy, DHF1K_SCREEN, (360, 640))
    assert xy[1] == pytest.approx([312, 160])  # 702 * 4 / 9, (405 - 45) * 4 / 9
    points = gaze_per_frame(recording, xy, (360, 640), 4, 30.0)
    assert points[0] == pytest.approx([(312 + 320) / 2, (160 + 184) / 2])
    assert np.isnan(points[1]).all()  # (0, 0) is on the black bar, and a saccade is no fixation
    assert points[2] == pytest.approx([1439 * 4 / 9, 180], abs=1e-4)
    assert np.isnan(points[3]).all()


@pytest.fixture
def recorded(real_video, tmp_path):
    """The first 100 samples of observer 5."""
    path = tmp_path / "P05_Trail002.txt"
    (given,) = (real_video / "exportdata_train").rglob(path.name)
    path.write_text("\n".join(given.read_text().splitlines()[:101]) + "\n")
    return path


def test_a_real_recording(recorded):
    recording = read_recording(recorded)
    assert recording.xy.shape == (100, 2)
    assert recording.xy[0].tolist() == [855.54, 412.62]
    assert recording.fixating.tolist()[:3] == [False, False, True]
    assert recording.time[1] == pytest.approx(0.004, abs=1e-4)
    xy = screen_to_video(recording.xy, DHF1K_SCREEN, (360, 640))
    assert xy[0] == pytest.approx([855.54 * 640 / 1440, (412.62 - 45) * 640 / 1440])
    points = gaze_per_frame(recording, xy, (360, 640), 12, 30.0)
    during = (recording.time * 30 < 1) & recording.fixating
    assert points[0] == pytest.approx(xy[during].mean(axis=0), abs=1e-4)


def test_the_first_points_of_the_real_recording(recorded):
    recording = read_recording(recorded)
    points = gaze_per_frame(recording, screen_to_video(recording.xy, DHF1K_SCREEN, (360, 640)), (360, 640), 12, 30.0)
    # of an independent computation
    assert points[0] == pytest.approx([381.06793, 165.62222], abs=1e-3)
    assert points[1] == pytest.approx([375.11334, 165.02222], abs=1e-3)
    assert points[2] == pytest.approx([371.65283, 157.96445], abs=1e-3)
    assert np.isnan(points[3:8]).all()
    assert points[8:12, 0] == pytest.approx([318.3111, 318.41187, 317.32111, 316.33704], abs=1e-3)


def test_the_picture_is_centred_on_the_screen():
    screen = (900, 1440)
    for size in ((360, 640), (400, 400), (90, 144)):
        height, width = size
        middle = screen_to_video(np.array([720.0, 450.0]), screen, size)
        assert middle == pytest.approx([width / 2, height / 2])
    assert screen_to_video(np.array([0.0, 45.0]), screen, (360, 640)) == pytest.approx([0, 0])
    assert screen_to_video(np.array([270.0, 0.0]), screen, (400, 400)) == pytest.approx([0, 0])


def test_maps_from_points():
    points = np.array([[3.9, 2.0], [3.1, 2.7], [np.nan, 1], [20, 2], [-0.1, 0], [0, 7.99]], dtype=np.float32)
    fixated = fixation_map(points, (8, 10))
    assert np.argwhere(fixated).tolist() == [[2, 3], [7, 0]]
    density = density_map(points, (8, 10), 0.5)
    assert density.max() == 1
    assert density[2, 3] == pytest.approx(density[7, 0])  # two points in one pixel count once
    assert density[2, 4] == pytest.approx(np.exp(-2), abs=1e-6)
    assert not density_map(np.empty((0, 2)), (8, 10), 0.5).any()
    assert pytest.approx(12.74, abs=0.01) == DHF1K_SIGMA


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title\n", "no gaze sample"),
        ("title\n1 2 3\n", "expected 8"),
        ("title\n1 2 3 F\n1 2 F\n", "rows have"),
        ("title\n1 x 3 F\n", "not a number"),
    ],
)
def test_unreadable_recordings_are_named(tmp_path, text, message):
    path = tmp_path / "P01_Trail001.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_recording(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_recording(tmp_path / "missing.txt")
