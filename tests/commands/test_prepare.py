import json
import zipfile
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from saliency.commands import prepare
from saliency.errors import InputError


@pytest.fixture
def root(tmp_path) -> Path:
    """Two videos of 6 and 5 frames in DHF1K's layout."""
    root = tmp_path / "DHF1K"
    (root / "video").mkdir(parents=True)
    for number, n in ((1, 6), (2, 5)):
        with av.open(str(root / f"video/{number:03d}.AVI"), "w") as container:
            stream = container.add_stream("mpeg4", rate=30)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for i in range(n):
                picture = np.full((48, 64, 3), 20 * i, dtype=np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
            container.mux(stream.encode())
        for folder in ("maps", "fixation"):
            place = root / f"annotation/{number:04d}" / folder
            place.mkdir(parents=True)
            for i in range(n):
                picture = np.zeros((48, 64), dtype=np.uint8)
                picture[i, i] = 255
                Image.fromarray(picture).save(place / f"{i + 1:04d}.png")
    return root


def test_verify(root, tmp_path, capsys):
    command = ["verify", "dhf1k", str(root), "--videos", "1-2", "--own", "--report", str(tmp_path / "r.json")]
    assert prepare.main(command) == 0
    assert "2 videos, 11 frames, 11 maps, 0 frames nobody looked at: no faults" in capsys.readouterr().out
    (root / "annotation/0002/maps/0003.png").unlink()
    assert prepare.main(command) == 1
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["counts"] == {"missing_map": 1}
    assert report["faults"][0]["video"] == "002"
    assert "0003.png: no such file" in capsys.readouterr().out
    with pytest.raises(InputError, match="does not exist"):
        prepare.main(["verify", "dhf1k", str(root / "nowhere")])


def test_cache(root, tmp_path, capsys):
    command = ["cache", "dhf1k", str(root), str(tmp_path / "c"), "--videos", "1-2", "--size", "24", "32"]
    assert prepare.main([*command, "--dry-run"]) == 0
    assert not (tmp_path / "c").exists()
    assert prepare.main(command) == 0
    assert "2 shards are good, 2 of them new, 0 failed" in capsys.readouterr().out
    assert prepare.main(command) == 0
    assert "2 shards are good, 0 of them new" in capsys.readouterr().out
    assert prepare.main([*command, "--check"]) == 0
    shard = tmp_path / "c/24x32-raw/001.frames"
    shard.write_bytes(shard.read_bytes()[:-1])
    assert prepare.main([*command, "--check"]) == 1
    assert prepare.main([*command, "--kind", "jpeg", "--size", "8", "8"]) == 0
    assert (tmp_path / "c/8x8-jpeg/002.tar").is_file()


def test_extract_and_stats(root, tmp_path, capsys):
    assert prepare.main(["extract", str(root), "--videos", "1", "--own", "--out", str(tmp_path / "o")]) == 0
    assert len(list((tmp_path / "o/annotation/0001/images").iterdir())) == 6
    assert prepare.main(["stats", "dhf1k", str(root), str(tmp_path / "s"), "--videos", "1-2", "--own"]) == 0
    assert (tmp_path / "s/centre_bias.png").is_file()
    assert "2 / 11 / 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["extract", "ROOT", "--videos", "1", "--own", "--folder", "{name}"], "only {number} can be filled in"),
        (["extract", "ROOT", "--videos", "1,2", "--own", "--folder", "x"], "several videos one folder"),
        (["extract", "ROOT", "--videos", "one"], "not a number"),
        (["cache", "dhf1k", "ROOT", "c", "--videos", "1", "--size", "0", "8"], "at least 1"),
        (["cache", "dhf1k", "ROOT", "c", "--videos", "9"], "is there; complete the data set"),
        (["stats", "folder", "ROOT", "s"], "videos: is missing"),
    ],
)
def test_wrong_use_is_one_line(root, command, said):
    with pytest.raises(InputError) as error:
        prepare.main([str(root) if word == "ROOT" else word for word in command])
    assert said in str(error.value) and "\n" not in str(error.value)


def test_gaze(root, tmp_path, capsys):
    (root / "exportdata_train").mkdir()
    (root / "exportdata_train/P1_Trail001.txt").write_text("t x y e\n0 720 450 F\n")
    assert prepare.main(["gaze", str(root), str(tmp_path / "g"), "--videos", "1"]) == 0
    assert len(list((tmp_path / "g/annotation/0001/maps").iterdir())) == 6
    assert "1 observers, 6 frames, 0-1 points per frame" in capsys.readouterr().out
    with pytest.raises(InputError, match="no recording of video 002"):
        prepare.main(["gaze", str(root), str(tmp_path / "g"), "--videos", "2"])


def test_download(root, tmp_path, capsys):
    assert prepare.main(["download", "dhf1k"]) == 0
    assert "https://github.com/wenguanwang/DHF1K" in capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(root / "video/001.AVI", "video/001.AVI")
    with pytest.raises(InputError, match="--root"):
        prepare.main(["download", "dhf1k", str(tmp_path / "a.zip")])
    assert prepare.main(["download", "dhf1k", str(tmp_path / "a.zip"), "--root", str(tmp_path / "new")]) == 1
    assert "a.zip: 1 new files" in capsys.readouterr().out
