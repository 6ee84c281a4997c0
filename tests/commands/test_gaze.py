"""Recordings onto a video from the command line: what is written, what is said, what is refused."""

import csv
import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from saliency.commands.gaze import main
from saliency.datasets.folder import Folder
from saliency.errors import InputError
from saliency.io.stamped import scene


def write_video(path: Path, times: list[int]) -> Path:
    """Encode frames of 90x160 that start at these milliseconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=1000)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 160, 90, "yuv420p", Fraction(1, 1000)
        for i, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(scene(i, (90, 160)), "rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture
def study(tmp_path):
    """A video of six frames, the third lasting four times as long as the others, and two recordings at 100 Hz.

    On a screen of 400x300 the picture takes 320x180 at 40,60: two pixels for one of the video. Viewer anna looks at
    the middle of the left half until 0.1 s, then of the right half; viewer ben's eye is lost all the time but the
    first 20 ms, when he looks beside the picture.
    """
    write_video(tmp_path / "videos/cat.mkv", [0, 40, 80, 240, 280, 320])
    rows = ["viewer,time,x,y,message"]
    for k in range(50):  # half a second, of which the first 0.1 s come before the video
        x = 120 if k < 20 else 280
        rows.append(f"anna,{k * 10},{x},150,{'play cat' if k == 10 else ''}")
    for k in range(50):
        place = "20,150" if k in (10, 11) else ","
        rows.append(f"ben,{k * 10},{place},{'play cat' if k == 10 else ''}")
    (tmp_path / "export.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def mend(study: Path, old: str, new: str) -> None:
    text = (study / "export.csv").read_text()
    assert old in text
    (study / "export.csv").write_text(text.replace(old, new))


def words(study: Path, *more: str) -> list[str]:
    out = str(study / "gaze/cat.csv")
    where = ["--screen", "400x300", "--video-rect", "40,60,320,180", "--onset", "play cat", "--out", out]
    return ["import", str(study / "export.csv"), *where, *more]


def test_a_recording_is_brought_onto_its_video(study, capsys):
    with pytest.raises(InputError, match=r"viewer ben: 100 % of the looks lie outside"):
        main(words(study))
    assert not (study / "gaze").exists()
    mend(study, "ben,110,20,", "ben,110,120,")
    assert main(words(study, "--screen-cm", "20", "--distance-cm", "57.3")) == 0
    told = capsys.readouterr().out
    # 0.36 s of video: 36 samples each; 34 of ben's are lost, one of the 38 others lies beside the picture
    assert "2 viewers, 72 samples, 47 % lost, offset 0.10 s, 3 % outside the picture" in told
    assert "positions in pixels" in told and "clock in milliseconds" in told
    rows = list(csv.DictReader((study / "gaze/cat.csv").open()))
    assert {row["observer"] for row in rows} == {"v01", "v02"} and len(rows) == 72
    assert rows[0] == {"observer": "v01", "time": "0.0000", "x": "40.00", "y": "45.00"}
    # 20 pixels of the screen are a degree: 1/16 of the picture's 320
    assert json.loads((study / "gaze/viewing.json").read_text())["cat"]["degree"] == pytest.approx(1 / 16, rel=1e-3)


def test_frames_of_unequal_length_get_the_looks_of_their_own_time(study):
    mend(study, "ben,110,20,", "ben,110,120,")
    assert main(words(study, "--fixations", "all", "--keep-names")) == 0
    (video,) = Folder(root=study).videos("test")
    points = video.observers()
    assert points is not None and video.viewers() == ("anna", "ben")
    # anna looks to the right from 0.1 s on, 20 ms after the third frame came: 2 samples left, 14 right
    assert points[0, :, 0].tolist() == pytest.approx([40, 40, (2 * 40 + 14 * 120) / 16, 120, 120, 120])
    assert np.isfinite(points[1]).all(axis=1).tolist() == [True] + [False] * 5


def test_regions_are_measured_for_each_viewer(study, capsys):
    (study / "gaze").mkdir()
    # anna: left, left, out, left, right, right; ben: lost, right, right, lost, right, right
    rows = ["observer,frame,x,y"]
    for who, places in (("anna", "LL.LRR"), ("ben", "xRRxRR")):
        rows += [
            f"{who},{i},{dict(L='40,45', R='120,45', x=',')[p]}" if p != "." else f"{who},{i},80,80"
            for i, p in enumerate(places)
        ]
    (study / "gaze/cat.csv").write_text("\n".join(rows) + "\n")
    assert main(["areas", str(study), "cat", "--roi", "left=0,0,80,60", "right=80,0,80,60"]) == 0
    found = {(row["viewer"], row["region"]): row for row in csv.DictReader((study / "areas/cat.csv").open())}
    numbers = ("dwell_s", "dwell_share", "first_look_s", "visits", "revisits")
    # frames last 40, 40, 160, 40, 40, 40 ms
    assert [found["anna", "left"][n] for n in numbers] == ["0.120", "0.333", "0.000", "2", "1"]
    assert [found["anna", "right"][n] for n in numbers] == ["0.080", "0.222", "0.280", "1", "0"]
    assert [found["ben", "right"][n] for n in numbers] == ["0.280", "1.000", "0.040", "1", "0"]  # a blink is no leaving
    assert [found["ben", "left"][n] for n in numbers] == ["0.000", "0.000", "", "0", "0"]
    assert (
        "left: 1 of 2 viewers looked at it, the first after 0.00 s; mean dwell time 0.06 s" in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--screen", "400"], "write 2 numbers, width x? ?height|write 2 numbers"),
        (["--video-rect", "40,60,400,180"], "does not lie on the screen of 400x300"),
        (["--onset", "play dog"], "did you mean 'play cat'"),
        (["--onset", "9"], "no sample falls into the 0.36 s"),
        (["--screen-cm", "50"], "need both --screen-cm and --distance-cm"),
        (["--fixations", "idt"], "needs degrees"),
        (["--fixations", "recorded"], "says of no sample"),
        (["--out", "gaze/dog.csv"], "no such video"),
        (["--out", "gaze/cat.txt"], r"DATA/gaze/NAME\.csv"),
    ],
)
def test_what_cannot_be_imported_is_refused_in_one_line(study, change, message):
    given = words(study)
    if change[0] == "--out":
        change = ["--out", str(study / change[1])]
    if change[0] in given:
        given[given.index(change[0]) + 1] = change[1]
    else:
        given += change
    with pytest.raises(InputError, match=message) as caught:
        main(given)
    assert "\n" not in str(caught.value) and not (study / "gaze").exists()


def test_a_gaze_file_that_is_there_is_not_written_over(study):
    (study / "gaze").mkdir()
    (study / "gaze/cat.csv").write_text("kept")
    with pytest.raises(InputError, match="is there already"):
        main(words(study))
    assert (study / "gaze/cat.csv").read_text() == "kept"
    with pytest.raises(InputError, match="name the recordings to import"):
        main(["import", "--out", str(study / "gaze/dog.csv")])
