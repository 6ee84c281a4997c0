"""The data set of docs/add-a-data-set.md is read, scored and checked as the page prints it."""

import importlib.util
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from saliency.errors import InputError
from saliency.preparation.catalogue import DATA_SETS, find
from saliency.preparation.picking import choose
from saliency.preparation.verify import verify

PAGE = Path(__file__).parents[2] / "docs/add-a-data-set.md"
BLOCKS = {
    text.splitlines()[0].removeprefix("# "): text
    for text in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
}


@pytest.fixture
def root(tmp_path):
    """Recordings of 3 frames of 12x16; the one viewer of ``t1`` looks at (5, 4), (6, 4), then nowhere."""
    for name in ("a1", "t1"):
        folder = tmp_path / "lab/recordings" / name
        (folder / "frames").mkdir(parents=True)
        for number in range(3):
            cv2.imwrite(str(folder / f"frames/{number + 1:04d}.png"), np.full((12, 16, 3), 50 * number, np.uint8))
        np.save(folder / "gaze.npy", np.array([[[5, 4], [6, 4], [np.nan, np.nan]]], np.float32))
    return tmp_path / "lab"


@pytest.fixture(autouse=True)
def entry(tmp_path, monkeypatch):
    """The file and its entry are there, as the page prints them."""
    for file, name in (
        ("datasets/lab.py", "saliency.datasets.lab"),
        ("saliency/preparation/catalogue.py", "page_entry"),
    ):
        path = tmp_path / "page" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(BLOCKS[file])
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
    monkeypatch.setitem(DATA_SETS, "lab", sys.modules["page_entry"].LAB)


def test_it_is_found_by_its_name(root, monkeypatch):
    with pytest.raises(InputError, match=r"no folder: set the option `root` or the environment variable LAB_ROOT"):
        choose("lab").videos()
    monkeypatch.setenv("LAB_ROOT", str(root))
    chosen = choose("lab", split="test")
    assert chosen.title == "lab test"
    (video,) = chosen.videos()
    assert (video.id, video.num_frames, video.size) == ("t1", 3, (12, 16))
    assert np.argwhere(video.fixations(1)).tolist() == [[4, 6]]
    assert np.unravel_index(video.density(1).argmax(), (12, 16)) == (4, 6)
    assert not video.fixations(2).any() and not video.density(2).any()
    with pytest.raises(InputError, match="no split 'val'; they have train and test"):
        choose("lab", split="val").videos()


def test_it_can_be_checked(root):
    entry = find("lab")
    videos = entry.all_videos(entry.make_whole(root))
    assert [video.id for video in videos] == ["a1", "t1"]
    report = verify("lab", root, videos)
    assert (report.videos, report.frames, report.maps, report.empty, report.faults) == (2, 6, 6, 2, [])
    (root / "recordings/a1/frames/0003.png").unlink()
    with pytest.raises(InputError, match=r"a1/gaze\.npy: has gaze of 3 frames, the video 2; export it again"):
        entry.all_videos(entry.make_whole(root))
