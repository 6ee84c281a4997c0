"""The command that gets open data: what it prints, where it puts things, what it refuses."""

import numpy as np
import pytest

from saliency.commands import data
from saliency.errors import InputError
from saliency.io.data_folder import data_folder, find_data
from saliency.io.frames import open_frames
from saliency.preparation.preview import draw_points
from tests.datasets.test_stills import make_set


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SALIENCY_DATA", str(tmp_path / "data"))


def test_list_shows_every_set_and_whether_it_is_here(capsys, tmp_path):
    assert data.main(["list"]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("dhf1k-002"))
    assert row.split()[-1] == "no" and "CC BY 4.0" in row
    (tmp_path / "data/dhf1k_002/video").mkdir(parents=True)
    (tmp_path / "data/dhf1k_002/video/002.AVI").touch()
    assert data.main(["list"]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("dhf1k-002"))
    assert row.split()[-1] == "yes"


def test_a_set_that_is_here_is_left_alone(capsys, tmp_path):
    (tmp_path / "data/dhf1k_002/video").mkdir(parents=True)
    (tmp_path / "data/dhf1k_002/video/002.AVI").touch()
    assert data.main(["get", "dhf1k-002"]) == 0
    assert "already in" in capsys.readouterr().out


def test_unknown_set_names_the_nearest(tmp_path):
    with pytest.raises(InputError, match="did you mean 'dhf1k-002'"):
        data.main(["get", "dhf1k-02"])
    assert not (tmp_path / "data").exists()


def test_a_folder_without_the_files_is_told_what_to_do(tmp_path):
    with pytest.raises(InputError, match=r"18 of 18 files .* first: exportdata_train/P01/P01_Trail002.txt is missing"):
        data.main(["get", "dhf1k-002", "--from", str(tmp_path)])
    with pytest.raises(InputError, match=r"no such folder; .*archive/9f7945a.*\.zip .* --from FOLDER"):
        data.main(["get", "dhf1k-002", "--from", str(tmp_path / "none")])
    with pytest.raises(InputError, match="get it with: saliency data get dhf1k-002"):
        find_data("dhf1k-002", "dhf1k_002", "video/002.AVI")


def test_the_data_folder(tmp_path, monkeypatch):
    assert data_folder() == tmp_path / "data"
    monkeypatch.delenv("SALIENCY_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setattr("sys.platform", "linux")
    assert data_folder() == tmp_path / "caches/saliency/data"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_folder() == tmp_path / ".cache/saliency/data"
    monkeypatch.setattr("sys.platform", "darwin")
    assert data_folder() == tmp_path / "Library/Caches/saliency/data"
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert data_folder() == tmp_path / "local/saliency/data"


def test_preview_films_photographs_in_motion_with_their_gaze(capsys, tmp_path):
    make_set(tmp_path / "data/real_gaze/osie")
    film = tmp_path / "seen" / "osie.mp4"
    words = ["preview", "osie", "--motions", "pan", "object", "--count", "2", "--cuts", "1", "--out", str(film)]
    assert data.main(words) == 0
    assert "2 photographs in motion, 64 frames" in capsys.readouterr().out
    with open_frames(film) as frames:
        assert len(frames) == 64 and frames.size == (240, 640)
    with pytest.raises(InputError, match="did you mean 'osie'"):
        data.main(["preview", "oise"])
    with pytest.raises(InputError, match="'spin' is no motion"):
        data.main(["preview", "osie", "--motions", "spin"])


def test_a_dot_lies_on_its_point():
    drawn = draw_points(np.zeros((20, 30, 3), np.uint8), np.array([[12.5, 7.5], [99.0, 3.0]]))
    rows, columns = np.nonzero(drawn.any(axis=2))
    assert (columns.mean(), rows.mean()) == (12, 7)
