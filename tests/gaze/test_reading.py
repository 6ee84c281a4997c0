import numpy as np
import pytest

from saliency import gaze
from saliency.errors import InputError
from saliency.gaze.alignment import Showing, align, onset_of, summary

SCREEN = (900, 1440)
NOTES = {
    "tobii": {"separated by tabs", "UTF-16", "decimal commas"},
    "csv": {"separated by semicolons", "decimal commas", "positions in pixels", "clock in milliseconds", "epoch time"},
}


def test_each_layout_says_what_was_recorded(vendor_file, true_gaze):
    vendor, path, onset = vendor_file
    (found,) = gaze.read(path, screen=SCREEN)
    (named,) = gaze.read(path, vendor, screen=SCREEN)
    time, xy = true_gaze
    np.testing.assert_array_equal(found.xy, named.xy)
    assert found.time - onset_of(found, onset) == pytest.approx(time, abs=1e-3)
    np.testing.assert_array_equal(np.isnan(found.xy[:, 0]), np.isnan(xy[:, 0]))
    np.testing.assert_allclose(found.xy, xy, atol=0.06)
    assert found.viewer == {"tobii": "Anna", "csv": "s1"}.get(vendor, "P01")
    assert NOTES.get(vendor, set()) <= set(found.notes)
    if vendor == "eyelink":
        assert found.fixating is not None and np.flatnonzero(found.fixating).tolist() == list(range(22))  # to 350 ms


def test_gaze_lands_in_the_video_on_its_own_clock(vendor_file, true_gaze):
    _, path, onset = vendor_file
    (found,) = gaze.read(path, screen=SCREEN)
    showing = Showing(screen=SCREEN, rect=(0, 45, 1440, 810), size=(360, 640), duration=1.5)
    got = align(found, showing, onset, None)
    time, xy = true_gaze
    assert len(got.time) == (time < 1.5).sum() and got.time[0] == pytest.approx(0, abs=1e-3)
    inside = (xy[:90, 1] >= 45) & (xy[:90, 1] < 855)
    np.testing.assert_allclose(got.xy[inside], (xy[:90][inside] - [0, 45]) / 2.25, atol=0.05)
    assert got.lost == pytest.approx(3 / 90)
    told = summary([got])
    assert told.startswith("1 viewer, 90 samples, 3 % lost, offset ") and "0 % outside the picture" in told


EMPTY_CELLS = "time,x,y\n0,700,400\n4,,\n8,-1,-1\n12,0,0\n16,705,\n20,701,401\n"


def test_lost_samples_are_never_a_look(tmp_path):
    (tmp_path / "a.csv").write_text(EMPTY_CELLS)
    (found,) = gaze.read(tmp_path / "a.csv")
    assert found.seen.tolist() == [True, False, False, False, False, True]
    assert np.isnan(found.xy[~found.seen]).all() and "clock in milliseconds" in found.notes


def test_one_sample_off_does_not_turn_shares_into_pixels(tmp_path):
    rows = [f"{k / 60:.4f},{0.3 + 0.005 * k:.3f},0.5" for k in range(60)] + ["1.0,1.7,0.2"]
    (tmp_path / "a.csv").write_text("time,x,y\n" + "\n".join(rows) + "\n")
    with pytest.raises(InputError, match="shares of the screen; say its size with --screen"):
        gaze.read(tmp_path / "a.csv")
    (found,) = gaze.read(tmp_path / "a.csv", screen=SCREEN)
    assert found.xy[0].tolist() == [432, 450]


def test_positions_of_a_scene_camera_are_said_to_be_such(tmp_path):
    head = "section id,recording id,timestamp [ns],gaze x [px],gaze y [px],worn,fixation id\n"
    rows = [f"s,r,{17 * 10**17 + 5_000_000 * k},800.5,600.25,{int(k != 2)},{1 if k < 4 else ''}" for k in range(6)]
    (tmp_path / "gaze.csv").write_text(head + "\n".join(rows) + "\n")
    (found,) = gaze.read(tmp_path / "gaze.csv")
    assert found.viewer == "r" and found.xy[0].tolist() == [800.5, 600.25] and found.seen.sum() == 5
    assert found.fixating is not None and found.fixating.sum() == 4
    assert "positions in the picture of the scene camera" in found.notes


def test_an_eyelink_file_of_events_alone_still_says_where_fixations_were(tmp_path):
    (tmp_path / "a.asc").write_text(
        "MSG 100 GO\nEFIX R 100 200 100 300.0 200.0 800\nEFIX R 300 340 40 500.0 100.0 800\n"
    )
    (found,) = gaze.read(tmp_path / "a.asc")
    assert found.time.tolist() == [t / 1000 for t in [*range(100, 201, 10), *range(300, 341, 10)]]
    assert found.xy[0].tolist() == [300, 200] and found.xy[-1].tolist() == [500, 100]
    assert found.fixating is not None and found.fixating.all() and "events only" in found.notes[0]


FAULTS = {
    "no clock": ("a.csv", "x,y\n1,2\n", "no column 'time'"),
    "no sample": ("a.csv", "time,x,y\n", "holds no sample"),
    "nothing seen": ("a.csv", "time,x,y\n0,,\n4,,\n", "no sample with a position"),
    "a word": ("a.csv", "time,x,y\n0,5,5\n4,left,5\n", "line 3: 'left' is no number"),
    "a row too short": ("a.csv", "time,x,y\n0,5,5\n4,5\n", "line 3 has 2 cells"),
    "times run back": ("a.csv", "time,x,y\n0,5,5\n4,5,5\n2,5,5\n", "time of sample 3"),
    "one sample a minute": ("a.csv", "time,x,y\n0,5,5\n150000,5,5\n", "the rate of no eye tracker"),
    "one column": ("a.csv", "hello\n", "names no columns"),
    "a picture": ("a.csv", "\x89PNG\0\0\0\r\n", "is no text"),
    "another file": ("a.asc", "hello\n", "no EyeLink sample"),
    "half a line": ("a.asc", "START 0 LEFT SAMPLES\n12 300\n", "line 2 is no line of an EyeLink"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_what_is_no_recording_is_refused_in_one_line(tmp_path, case):
    name, text, message = FAULTS[case]
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=message) as caught:
        gaze.read(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name)) and "\n" not in str(caught.value)


def test_an_onset_that_nothing_says_is_refused_with_what_there_is(vendor_file):
    vendor, path, _ = vendor_file
    (found,) = gaze.read(path, screen=SCREEN)
    assert onset_of(found, "0.5") == pytest.approx(found.time[0] + 0.5)
    with pytest.raises(InputError, match="has no such message") as caught:
        onset_of(found, "dog")
    assert vendor == "pupil" or "cat" in str(caught.value) or "GO" in str(caught.value)
