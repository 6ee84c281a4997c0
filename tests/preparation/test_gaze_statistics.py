import json

import cv2
import numpy as np
import pytest

from saliency.gaze.recording import density_map
from saliency.preparation.gaze_statistics import collect, leave_one_out


def test_counts_and_centre_bias(dot_videos, tmp_path):
    videos = dot_videos(10, 6, blank=frozenset({0}), may_be_empty=True)
    found = collect(videos, every=2)
    assert (found.videos, found.frames, found.frames_read) == (2, 16, 8)
    assert found.histogram[:3] == [2, 6, 0]
    assert found.mean_fixations == 6 / 8
    assert found.centre_bias.sum() == pytest.approx(1)
    assert found.centre_share == 0  # the dots are in the upper left corner
    assert found.agreement is None
    found.write(tmp_path / "out")
    assert json.loads((tmp_path / "out/statistics.json").read_text())["frames"] == 16
    for name in ("centre_bias.png", "fixations_per_frame.png"):
        assert cv2.imread(str(tmp_path / "out" / name)) is not None


def test_leave_one_out_is_the_nss_of_the_others_map():
    points = np.array([[10.0, 10], [12, 10], [40, 30], [np.nan, 1], [-5, 2]])
    scores = leave_one_out(points, (48, 64), 3 / 64)
    others = density_map(points[1:3], (48, 64), 3.0)
    expected = ((others - others.mean()) / others.std())[10, 10]
    assert scores is not None
    assert len(scores) == 3
    assert scores[0] == pytest.approx(expected, rel=1e-5)
    assert scores[0] > scores[2]
    assert leave_one_out(points[2:], (48, 64), 0.1) is None
