import shutil
from pathlib import Path

import numpy as np
import pytest

from saliency.datasets.folder import Folder, read_gaze_csv
from saliency.errors import InputError


@pytest.fixture
def root(tmp_path, make_video, write_maps, write_frames):
    """A video with maps, a folder of frames with gaze, a video without ground truth."""
    stems = [f"m{i:05d}" for i in range(7, 13)]
    make_video(tmp_path / "videos/cat.mp4", 6)
    write_maps(tmp_path / "maps/cat", stems)
    write_maps(tmp_path / "fixations/cat", stems, suffix=".mat")
    write_frames(tmp_path / "videos/dog", ["1", "2", "10"])
    (tmp_path / "gaze").mkdir()
    (tmp_path / "gaze/dog.csv").write_text("observer,frame,x,y\nb,0,10,20\na,0,12.5,3\na,2,1,1\na,2,3,3\n")
    make_video(tmp_path / "videos/fox.avi", 2)
    return tmp_path


def test_videos_with_maps_or_gaze(root):
    cat, dog, fox = Folder(root=root).videos("test")
    assert [(v.id, v.num_frames, v.size, v.annotated) for v in (cat, dog, fox)] == [
        ("cat", 6, (48, 64), True),
        ("dog", 3, (48, 64), True),
        ("fox", 2, (48, 64), False),
    ]
    assert np.argwhere(cat.fixations(5)).tolist() == [[2, 5]]
    assert np.argwhere(cat.density(5)).tolist() == [[2, 5]]
    assert cat.observers() is None
    assert np.argwhere(dog.fixations(0)).tolist() == [[3, 12], [20, 10]]
    assert dog.density(0).max() == 1
    assert not dog.fixations(1).any()
    gaze = dog.observers()
    assert gaze is not None
    assert gaze[0, 2].tolist() == [2, 2]  # two samples of one frame are averaged
    with pytest.raises(InputError, match="no ground truth"):
        fox.density(0)


def test_splits_are_patterns(root):
    data = Folder(root=root, splits={"train": "c*, dog", "val": "fox"})
    assert [v.id for v in data.videos("train")] == ["cat", "dog"]
    assert [v.id for v in data.videos("val")] == ["fox"]
    with pytest.raises(InputError, match="no split 'test'"):
        data.videos("test")
    with pytest.raises(InputError, match="no video called 'dgo'; did you mean 'dog'"):
        Folder(root=root, splits={"train": "dgo"}).videos("train")


def test_gaze_by_time(tmp_path):
    path = tmp_path / "g.csv"
    path.write_text("Observer, Time, X, Y\n1,0.099,5,5\n1,0.1,6,6\n1,0.31,nan,nan\n")
    gaze = read_gaze_csv(path, 5, 10.0, (10, 10))
    assert gaze[0, :, 0].tolist()[:2] == [5, 6]
    assert np.isnan(gaze[0, 2:]).all()


def test_points_outside_are_counted_or_refused(tmp_path, caplog):
    path = tmp_path / "g.csv"
    path.write_text("observer,frame,x,y\n" + "a,0,5,5\n" * 9 + "a,0,10,5\n")
    assert read_gaze_csv(path, 1, 25.0, (10, 10))[0, 0].tolist() == [5, 5]
    assert "1 of 10 points lie outside" in caplog.text
    path = tmp_path / "h.csv"
    path.write_text("observer,frame,x,y\n" + "a,0,500,5\n" * 9 + "a,0,1,5\n")
    with pytest.raises(InputError, match="9 of 10 points lie outside of 10x10 pixels"):
        read_gaze_csv(path, 1, 25.0, (10, 10))


@pytest.mark.parametrize(
    ("text", "message"),
    [("frame,x,y\n", "no column observer"), ("observer,frame,x,y\na,0,?,1\n", "not a number"), ("", "no column")],
)
def test_bad_gaze_is_named(tmp_path, text, message):
    path = tmp_path / "g.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_gaze_csv(path, 1, 25.0, (10, 10))


def change(name: str):
    def one_too_few(root: Path) -> None:
        (root / "maps/cat/m00012.png").unlink()

    def a_gap(root: Path) -> None:
        (root / "maps/cat/m00012.png").rename(root / "maps/cat/m00014.png")

    def other_size(root: Path) -> None:
        from PIL import Image

        Image.new("L", (10, 10)).save(root / "maps/cat/m00007.png")

    def no_fixations(root: Path) -> None:
        shutil.rmtree(root / "fixations")

    def same_name(root: Path) -> None:
        shutil.copy(root / "videos/cat.mp4", root / "videos/cat.mov")

    def no_videos(root: Path) -> None:
        shutil.rmtree(root / "videos")

    return locals()[name]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("one_too_few", "holds 5 maps but the video has 6 frames"),
        ("a_gap", "does not end in the next number"),
        ("other_size", "maps have its size"),
        ("no_fixations", "fixations/cat: is missing and there is no"),
        ("same_name", "has the same name"),
        ("no_videos", "put videos"),
    ],
)
def test_faults_are_named(root, fault, message):
    change(fault)(root)
    with pytest.raises(InputError, match=message):
        Folder(root=root).videos("test")
