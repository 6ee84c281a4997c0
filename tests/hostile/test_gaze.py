"""Gaze files and maps that do not say what they seem to say: refused by name, never taken for another frame's."""

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saliency.datasets.dhf1k import DHF1K, parse_numbers
from saliency.datasets.folder import Folder, read_gaze_csv
from saliency.errors import InputError
from saliency.evaluation.baselines import MapFolder
from saliency.gaze.recording import read_recording

pytestmark = pytest.mark.hostile("gaze and maps")

HEAD = "observer,frame,x,y\n"
GOOD = "a,0,5,6\na,1,7,8\nb,0,9,10\nb,1,11,12\n"
SIZE = (36, 64)

CSV = {
    "empty": "",
    "header only": HEAD,
    "header and blank lines": HEAD + "\n\n",
    "all NaN": HEAD + "a,0,nan,nan\na,1,nan,nan\n",
    "x is NaN": HEAD + GOOD + "c,0,nan,5\n",
    "y is NaN": HEAD + GOOD + "c,0,5,nan\n",
    "frame is NaN": HEAD + GOOD + "c,nan,5,5\n",
    "x is infinite": HEAD + GOOD + "c,0,inf,5\n",
    "y is minus infinite": HEAD + GOOD + "c,0,5,-inf\n",
    "frame is infinite": HEAD + GOOD + "c,inf,5,5\n",
    "frame 1.5": HEAD + GOOD + "c,1.5,5,5\n",
    "frame as a word": HEAD + GOOD + "c,first,5,5\n",
    "short row": HEAD + GOOD + "c,0,5\n",
    "row of one cell": HEAD + GOOD + "c\n",
    "long row": HEAD + GOOD + "c,0,5,5,5\n",
    "decimal commas": HEAD + "a,0,5,5,6,5\na,1,7,5,8,5\n",
    "no observer": HEAD + GOOD + ",0,5,5\n",
    "observer last and missing": "frame,x,y,observer\n0,5,5,a\n1,5,5\n",
    "no x": "observer,frame,y\na,0,5\n",
    "x twice": "observer,frame,x,x,y\na,0,5,6,7\n",
    "semicolons": HEAD.replace(",", ";") + GOOD.replace(",", ";"),
    "shares of the picture": HEAD + "a,0,0.5,0.5\na,1,0.2,0.7\n",
    "pixels of a screen": HEAD + "".join(f"a,{i % 2},{i * 90},{i * 50}\n" for i in range(20)),
    "frames from 1000": HEAD + "a,1000,5,5\na,1001,5,5\n",
    "NUL": HEAD + GOOD + "c,0,\0,5\n",
    "a huge field": HEAD + GOOD + f'"{"c" * 200_000}",0,5,5\n',
    "UTF-16": (HEAD + GOOD).encode("utf-16"),
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(200),
}


@pytest.mark.parametrize("case", CSV)
def test_gaze_that_is_none_is_refused(tmp_path, case):
    path = tmp_path / "cat.csv"
    path.write_bytes(CSV[case] if isinstance(CSV[case], bytes) else CSV[case].encode())
    with pytest.raises(InputError) as caught:
        read_gaze_csv(path, 2, 25.0, SIZE)
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and "\n" not in text and len(text) < 400


def test_the_line_of_a_bad_sample_is_named(tmp_path):
    (tmp_path / "cat.csv").write_text(HEAD + GOOD + "c,0,inf,5\n")
    with pytest.raises(InputError, match="line 6"):
        read_gaze_csv(tmp_path / "cat.csv", 2, 25.0, SIZE)


def test_blinks_are_left_out_and_told(tmp_path, caplog):
    """A sample without any position: what trackers write while the eye is shut."""
    (tmp_path / "cat.csv").write_text(HEAD + GOOD + "b,1,nan,nan\nc,0,NaN,NaN\nc,1,20,20\n")
    with caplog.at_level(logging.INFO):
        gaze = read_gaze_csv(tmp_path / "cat.csv", 2, 25.0, SIZE)
    wanted = [[[5, 6], [7, 8]], [[9, 10], [11, 12]], [[np.nan] * 2, [20, 20]]]
    np.testing.assert_array_equal(gaze, np.array(wanted, np.float32))
    assert "2 of 7 samples have no position" in caplog.text


RECORDING = "Time\tType\tTrial\tDia X\tDia Y\tPOR X\tPOR Y\tEvent\n"


def samples(x: str = "700.0", y: str = "400.0", time: str = "{}", event: str = "Fixation") -> str:
    rows = [f"{time.format(1000 * i)}\tSMP\t1\t20\t20\t{x}\t{y}\t{event}" for i in range(40)]
    return RECORDING + "\n".join(rows) + "\n"


RECORDINGS = {
    "NaN": samples("nan", "nan"),
    "one NaN": samples() + "40000\tSMP\t1\t20\t20\tnan\t400\tFixation\n",
    "infinite": samples("inf"),
    "time is NaN": samples(time="nan"),
    "time is infinite": samples(time="inf"),
    "time runs back": samples() + "-1\tSMP\t1\t20\t20\t700\t400\tFixation\n",
    "time of 10^300": samples() + f"1{'0' * 300}\tSMP\t1\t20\t20\t700\t400\tFixation\n",
}


@pytest.mark.parametrize("case", RECORDINGS)
def test_recordings_without_gaze_are_refused(tmp_path, case):
    path = tmp_path / "P01_Trail001.txt"
    path.write_text(RECORDINGS[case])
    with pytest.raises(InputError) as caught:
        read_recording(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_a_lost_eye_in_a_recording_is_no_gaze(tmp_path):
    path = tmp_path / "P01_Trail001.txt"
    path.write_text(samples() + "40000\tSMP\t1\t20\t20\tnan\tnan\t-\n")
    assert np.isnan(read_recording(path).xy[-1]).all() and np.isfinite(read_recording(path).xy[:-1]).all()


def write_map(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros(SIZE, np.uint8)
    pixels[0, value] = 255
    Image.fromarray(pixels).save(path)


def test_maps_numbered_from_zero_belong_to_their_own_frames(gaze_video, tmp_path):
    """Each second frame, numbered from 0: map k marks column k."""
    for k in (0, 2, 4):
        write_map(tmp_path / "001" / f"{k:04d}.png", k)
    got = dict(MapFolder(name="x", root=tmp_path).maps(gaze_video(), [0, 2, 4]))
    assert {frame: int(pred[0].argmax()) for frame, pred in got.items()} == {0: 0, 2: 2, 4: 4}


@pytest.mark.parametrize(
    ("names", "match"),
    [
        (["0000", "0001", "0002", "0003"], r"none for frame 4 \(0004\.png\)"),
        (["0001", "0003", "0007"], r"0007\.png.*6 frames"),
        (["a_0001", "b_0001", "a_0003"], r"two maps .*number 1"),
        (["mean", "0001", "0002", "0003", "0004", "0005"], r"mean\.png.*no number"),
        (["mean", "0001", "0003"], r"mean\.png.*no number"),
    ],
)
def test_maps_that_could_be_another_frames_are_refused(gaze_video, tmp_path, names, match):
    for k, name in enumerate(names):
        write_map(tmp_path / "001" / f"{name}.png", k)
    with pytest.raises(InputError, match=match):
        list(MapFolder(name="x", root=tmp_path).maps(gaze_video(), [0, 2, 4]))


def test_maps_of_a_folder_must_have_numbers(mini_like, tmp_path):
    root = tmp_path / "own"
    for name in ("0001", "0002", "mean"):
        write_map(root / "maps" / "1" / f"{name}.png", 1)
    with pytest.raises(InputError, match="does not end in the next number"):
        Folder(root=root).videos("test")


def test_a_map_before_the_first_is_one_too_many(dhf1k_tree):
    root = dhf1k_tree({1: 5})
    write_map(root / "annotation" / "0001" / "maps" / "0000.png", 1)
    with pytest.raises(InputError, match=r"0001\.png is missing|0000\.png"):
        DHF1K(root=root, register=False, splits={"train": "1"}).videos("train")


@pytest.mark.parametrize("text", ["1-99999999999", "1" * 5000, "0-100000000", "²", "1-²"])
def test_numbers_beyond_reason_are_refused_at_once(text):
    with pytest.raises(InputError):
        parse_numbers(text)
