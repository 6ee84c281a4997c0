import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest

from saliency.gaze.alignment import Showing, fitted, pixels_per_degree
from saliency.gaze.fixations import by_dispersion, by_velocity, runs

ROOT = Path(__file__).parents[2]
TIME = np.arange(12) * 0.02
# two stops of five samples, a jump of two samples between them
STOPS = np.array(
    [[0, 0], [1, 0], [0, 1], [1, 1], [0, 0], [20, 0], [40, 0], [60, 0], [61, 0], [60, 1], [61, 1], [60, 0]], float
)


def test_fixations_by_dispersion_worked_out_by_hand():
    """0.08 s are five samples; within a stop the extents sum to 2."""
    stops = [True] * 5 + [False] * 2 + [True] * 5
    assert by_dispersion(TIME, STOPS, dispersion=2, duration=0.08).tolist() == stops
    assert not by_dispersion(TIME, STOPS, dispersion=1.9, duration=0.08).any()
    assert not by_dispersion(TIME, STOPS, dispersion=2, duration=0.1).any()
    assert by_dispersion(TIME, STOPS, dispersion=100, duration=0.1).all()


def test_a_window_that_is_too_wide_slides_by_one_sample():
    """The first sample lies apart; the fixation begins with the second."""
    xy = np.array([[9, 0], [0, 0], [0, 0], [0, 0], [0, 0]], float)
    assert by_dispersion(TIME[:5], xy, dispersion=2, duration=0.06).tolist() == [False, True, True, True, True]


def test_fixations_by_velocity_worked_out_by_hand():
    """Steps of a stop are at most sqrt(2) in 0.02 s, 71 a second; the jump's are 1,000."""
    fast = [False] * 12
    assert (
        by_velocity(TIME, STOPS, velocity=70, duration=0).tolist()
        != by_velocity(TIME, STOPS, velocity=72, duration=0).tolist()
    )
    slow = by_velocity(TIME, STOPS, velocity=72, duration=0.06)
    assert slow.tolist() == [True] * 4 + [False] * 4 + [True] * 4  # both ends of a fast step are fast
    assert by_velocity(TIME, STOPS, velocity=72, duration=0.08).tolist() == fast


def test_no_fixation_lasts_across_a_lost_sample():
    xy = np.zeros((12, 2))
    xy[6] = np.nan
    expected = [True] * 6 + [False] + [True] * 5
    assert by_dispersion(TIME, xy, dispersion=1, duration=0.08).tolist() == expected
    assert by_velocity(TIME, xy, velocity=1, duration=0.08).tolist() == expected
    assert runs(np.array(expected)) == [(0, 6), (7, 12)]


def test_degrees_of_visual_angle():
    # at 57.3 cm one centimetre is one degree (57.3 * tan 1 deg = 1.0002): 40 pixels of a screen of 40 pixels a cm
    assert pixels_per_degree(1920, width_cm=48, distance_cm=57.3) == pytest.approx(40, rel=1e-3)
    assert pixels_per_degree(1440, width_cm=53, distance_cm=60) == pytest.approx(
        2 * 60 * math.tan(math.pi / 360) * 1440 / 53
    )
    showing = Showing(screen=(900, 1440), rect=fitted((900, 1440), (360, 640)), size=(360, 640), duration=1)
    assert showing.rect == (0, 45, 1440, 810) and showing.degree(36) == pytest.approx(36 / 1440)
    assert fitted((900, 1440), (400, 400)) == (270, 0, 900, 900)


def test_fixations_are_those_that_pymovements_finds():
    """I-VT to the sample. Its I-DT adds the sample with which gaze left: each of its fixations has one more at the end,
    and the next one may begin a sample later.
    """
    golden = json.loads((ROOT / "tests/data/gaze/pymovements.json").read_text())["cases"]
    spec = importlib.util.spec_from_file_location("benchmark_gaze", ROOT / "benchmarks/gaze.py")
    drawn = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(drawn)
    judged = {"I-DT": [], "I-VT": []}
    for case in golden:
        time, xy = drawn.recording(case["rate"], case["noise"], case["seed"])
        if case["method"] == "I-VT":
            own = by_velocity(time / 1000, xy, velocity=case["limit"])
        else:
            own = by_dispersion(time / 1000, xy, dispersion=case["limit"])
        theirs = drawn.flags(case["fixations"], time, without_last=case["method"] == "I-DT")
        judged[case["method"]].append((theirs == own).mean())
    assert len(judged["I-DT"]) == len(judged["I-VT"]) == 18 and sum(len(case["fixations"]) for case in golden) > 1000
    assert min(judged["I-VT"]) == 1
    assert min(judged["I-DT"]) > 0.98 and np.median(judged["I-DT"]) > 0.9989
