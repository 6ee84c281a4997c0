"""From the authors' files to the neutral form, on small originals laid out as theirs."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from saliency.data.still_video import StillVideo
from saliency.datasets.stills import SIGMAS, Stills
from saliency.errors import InputError
from saliency.preparation import photographs
from saliency.preparation.open_data import SOURCES


@pytest.fixture(autouse=True)
def splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "splits"
    folder.mkdir()
    for name in SIGMAS:
        (folder / f"{name}.csv").write_text("image,split\n1.jpg,train\n2.jpg,val\n3.jpg,test\n")
    monkeypatch.setattr(photographs, "SPLITS", folder)


def make_originals(folder: Path, table: str, fixations: np.ndarray) -> Path:
    (folder / "data/stimuli").mkdir(parents=True)
    for name, size in (("1.jpg", (800, 600)), ("2.jpg", (640, 480)), ("3.jpg", (256, 256))):
        Image.new("RGB", size, (9, 9, 9)).save(folder / "data/stimuli" / name)
    (folder / table).parent.mkdir(parents=True)
    savemat(folder / table, {"fixations": fixations})
    (folder / "LICENSE").write_text("MIT\n")
    return folder


def subject(x: list[float], y: list[float], duration: list[float]) -> dict:
    return {"fix_x": np.array([x]), "fix_y": np.array([y]), "fix_duration": np.array([duration])}


def cells(items: list) -> np.ndarray:
    out = np.empty((1, len(items)), dtype=object)
    out[0, :] = items
    return out


@pytest.fixture
def osie(tmp_path: Path) -> Path:
    """The first pixel's centre, the middle of the picture, a point outside; one subject saw nothing."""
    one = cells([subject([1.0, 400.5, 801.0], [1.0, 300.5, 5.0], [100, 200, 300]), subject([], [], [])])
    other = cells([subject([7.0], [9.0], [50]), subject([3.0, 4.0], [5.0, 6.0], [60, 70])])
    named = [
        {"img": "1.jpg", "subjects": one},
        {"img": "3.jpg", "subjects": other},
        {"img": "2.jpg", "subjects": other},
    ]
    return make_originals(tmp_path / "originals", "data/eye/fixations.mat", cells(named))


def read(folder: Path) -> dict[str, list[list[float]]]:
    with np.load(folder / "fixations.npz") as archive:
        rows = np.stack([archive[key] for key in ("image", "viewer", "order", "x", "y", "duration_ms")], axis=1)
        names = [str(name) for name in archive["images"]]
    return {name: rows[rows[:, 0] == i, 1:].tolist() for i, name in enumerate(names)}


def test_fixations_of_subjects_move_with_their_photograph(osie: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    photographs.convert_osie(osie, folder)
    found = read(folder)
    # 800 -> 640: the first pixel's centre is (1 - 0.5) * 0.8 - 0.5; 801 lies outside
    assert np.allclose(found["1.jpg"], [[0, 0, -0.1, -0.1, 100], [0, 1, 319.5, 239.5, 200]])
    assert found["2.jpg"] == [[0, 0, 6, 8, 50], [1, 0, 2, 4, 60], [1, 1, 3, 5, 70]]  # not made smaller: 1-based to 0
    sizes = [tuple(row) for row in csv.reader((folder / "images.csv").open())][1:]
    assert sizes == [
        ("1.jpg", "640", "480", "800", "600"),
        ("2.jpg", "640", "480", "640", "480"),
        ("3.jpg", "256", "256", "256", "256"),
    ]
    assert (folder / "images/2.jpg").read_bytes() == (osie / "data/stimuli/2.jpg").read_bytes()
    data = Stills(name="osie", root=folder)
    assert [[video.id for video in data.videos(split)] for split in ("train", "val", "test")] == [["1"], ["2"], ["3"]]
    (video,) = data.videos("train")
    assert isinstance(video, StillVideo)
    with video.open() as source:
        assert source.size == (480, 640)
    assert np.argwhere(video.fixations(0)).tolist() == [[0, 0], [240, 320]]


def test_a_table_of_viewers_holds_seconds_and_y_first(tmp_path: Path) -> None:
    table = np.empty((3, 2), dtype=object)
    for row, column in np.ndindex(3, 2):
        table[row, column] = np.zeros((0, 4))
    table[0, 0] = np.array([[300.5, 400.5, 0.1, 0.25], [1.0, 1.0, 0.5, 1.5]])
    table[1, 1] = table[2, 1] = np.array([[20.0, 10.0, 0.0, 0.2]])
    originals = make_originals(tmp_path / "originals", "data/tidy/fixations.mat", table)
    folder = tmp_path / "new"
    folder.mkdir()
    photographs.convert_scene(originals, folder)
    found = read(folder)
    assert np.allclose(found["1.jpg"], [[0, 0, 319.5, 239.5, 250], [0, 1, -0.1, -0.1, 1500]])
    assert np.allclose(found["3.jpg"], [[1, 0, 9, 19, 200]])


def test_a_photograph_without_fixations_is_refused(osie: Path, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(osie / "data/stimuli/4.jpg")  # in no split: left alone
    (photographs.SPLITS / "osie.csv").write_text("image,split\n1.jpg,train\n4.jpg,train\n")
    with pytest.raises(InputError, match=r"no fixations on 4\.jpg"):
        photographs.convert_osie(osie, tmp_path)


def test_a_damaged_table_is_refused(osie: Path, tmp_path: Path) -> None:
    (osie / "data/eye/fixations.mat").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"fixations\.mat: cannot be read"):
        photographs.convert_osie(osie, tmp_path)


@pytest.mark.parametrize(
    ("name", "counts"), [("osie", (560, 70, 70)), ("crowd", (400, 50, 50)), ("scene", (400, 50, 50))]
)
def test_every_photograph_of_the_register_has_a_split(
    name: str, counts: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    source = next(source for source in SOURCES if source.name == name)
    with (photographs.SPLITS / f"{name}.csv").open() as file:
        splits = {row["image"]: row["split"] for row in csv.DictReader(file)}
    there = {Path(file.path).name for file in source.pinned().files if "/stimuli/" in file.path}
    assert there == splits.keys()
    assert tuple(list(splits.values()).count(split) for split in ("train", "val", "test")) == counts
    assert "MIT" in source.attribution()
