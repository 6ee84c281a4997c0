import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from saliency.datasets.dhf1k import DHF1K, gaze_files, gaze_points
from saliency.datasets.folder import Folder
from saliency.datasets.hollywood2 import Hollywood2
from saliency.datasets.ucf_sports import UCFSports
from saliency.gaze.recording import DHF1K_SIGMA
from saliency.preparation.extract import write_ground_truth
from saliency.preparation.verify import Report, dhf1k_items, folder_videos, hollywood2_items, ucf_sports_items, verify


def run(root: Path, splits: str, **kwargs) -> Report:
    items, extra = dhf1k_items(DHF1K(root=root, splits={"train": splits}, register=kwargs.pop("register", False)))
    return verify("DHF1K", root, items, extra=extra, **kwargs)


def test_a_clean_tree_is_clean(dhf1k_tree, tmp_path):
    root = dhf1k_tree({1: 6, 2: 9})
    report = run(root, "1-2")
    assert report.faults == []
    assert (report.videos, report.frames, report.maps) == (2, 15, 15)
    assert report.register == {"001": (6, 48, 64), "002": (9, 48, 64)}
    report.write(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["register"]["002"] == [9, 48, 64]
    assert run(dhf1k_tree({1: 6, 2: 9}, images=True), "1-2").faults == []


def grey(path: Path, value: int, size: tuple[int, int] = (64, 48)) -> None:
    Image.new("L", size, value).save(path)


FAULTS = {
    "missing_video": lambda r: (r / "video/001.AVI").unlink(),
    "unreadable_video": lambda r: (r / "video/001.AVI").write_bytes(b"RIFF"),
    "frame_count": lambda r: None,  # video of 7 frames, see below
    "frame_size": lambda r: None,
    "missing_map": lambda r: (r / "annotation/0001/maps/0003.png").unlink(),
    "missing_fixation": lambda r: (r / "annotation/0001/fixation/0006.png").unlink(),
    "unreadable_map": lambda r: (r / "annotation/0001/maps/0003.png").write_bytes(b"\x89PNG"),
    "unreadable_fixation": lambda r: (r / "annotation/0001/fixation/maps/0003.mat").write_bytes(b"no"),
    "map_size": lambda r: grey(r / "annotation/0001/maps/0002.png", 1, (10, 10)),
    "empty_map": lambda r: grey(r / "annotation/0001/maps/0002.png", 0),
    "empty_fixation": lambda r: grey(r / "annotation/0001/fixation/0002.png", 0),
    "misnumbered": lambda r: (r / "annotation/0001/maps/0003.png").rename(r / "annotation/0001/maps/3.png"),
    "extra_file": lambda r: grey(r / "annotation/0001/maps/0007.png", 1),
    "extra_folder": lambda r: (r / "annotation/0009").mkdir(),
    "missing_folder": lambda r: shutil.rmtree(r / "annotation/0001/maps"),
    "fixation_copies_differ": lambda r: savemat(
        r / "annotation/0001/fixation/maps/0003.mat", {"I": np.eye(48, 64, dtype=np.uint8)}
    ),
    "map_without_fixation": lambda r: shutil.copy(
        r / "annotation/0001/maps/0003.png", r / "annotation/0001/maps/0004.png"
    ),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_every_planted_fault_is_found(dhf1k_tree, make_video, kind):
    root = dhf1k_tree({1: 6})
    FAULTS[kind](root)
    if kind == "frame_count":
        make_video(root / "video/001.AVI", 7)
    if kind == "frame_size":
        make_video(root / "video/001.AVI", 6, 32, 40)
    report = run(root, "1")
    expected = "map_size" if kind == "frame_size" else kind
    assert report.counts.get(expected), report.counts
    assert all(fault.message for fault in report.faults)
    if kind not in ("extra_folder",):
        assert {fault.video for fault in report.faults} == {"001"}
    # what can be seen without decoding is also found the quick way
    deep = ("empty", "unreadable_map", "unreadable_fixation", "fixation_copies", "map_without")
    if not kind.startswith(deep):
        assert run(root, "1", thorough=False).counts.get(expected)


def test_all_faults_at_once_are_told_apart(dhf1k_tree):
    root = dhf1k_tree(dict.fromkeys(range(1, 8), 6))
    plant = ["missing_map", "unreadable_map", "map_size", "empty_map", "misnumbered", "extra_file", "missing_video"]
    for number, kind in enumerate(plant, start=1):
        FAULTS[kind](root)
        if number < len(plant):  # each fault in a video of its own: swap it out of the way
            (root / f"annotation/000{number + 1}").rename(root / "annotation/tmp")
            (root / "annotation/0001").rename(root / f"annotation/000{number + 1}")
            (root / "annotation/tmp").rename(root / "annotation/0001")
    counts = run(root, "1-7").counts
    assert set(plant) <= set(counts)


@pytest.mark.slow
def test_processes_find_the_same(dhf1k_tree):
    root = dhf1k_tree({1: 6, 2: 4})
    FAULTS["missing_map"](root)
    assert run(root, "1-2", workers=2) == run(root, "1-2")


def test_a_truncated_video_is_found(dhf1k_tree, make_video):
    root = dhf1k_tree({1: 40}, hidden=(1,))
    path = root / "video/001.AVI"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.6)])
    counts = run(root, "1").counts
    assert counts.get("frame_count") or counts.get("unreadable_video")


def test_the_register_is_used(dhf1k_tree):
    root = dhf1k_tree({2: 6})
    report = run(root, "2", register=True)
    assert report.counts["frame_count"] == 1
    assert report.counts["missing_map"] == 783 - 6


def test_damaged_and_missing_extracted_frames(dhf1k_tree):
    root = dhf1k_tree({1: 6}, videos=False, images=True)
    images = root / "annotation/0001/images"
    (images / "0004.png").write_bytes((images / "0004.png").read_bytes()[:60])
    Image.new("RGB", (10, 10)).save(images / "0005.png")
    (images / "0002.png").unlink()
    counts = run(root, "1").counts
    assert {"unreadable_frame", "frame_size", "missing_frame"} <= set(counts)


def test_hollywood2_and_ucf_sports(shot_tree):
    root = shot_tree(
        {
            "training/actioncliptrain00001_1": ("actioncliptrain00001_", 5, 3, 4, (48, 64)),
            "training/actioncliptrain00001_10": ("actioncliptrain00001_", 5, 10, 1, (48, 64)),
            "testing/actioncliptest00001_1": ("actioncliptest00001_", 5, 2, 3, (32, 40)),
        }
    )
    items, extra = hollywood2_items(Hollywood2(root=root))
    assert verify("Hollywood-2", root, items, extra=extra).faults == []
    shot = root / "training/actioncliptrain00001_1"
    for folder in ("maps", "fixation"):
        Image.new("L", (64, 48)).save(shot / folder / "actioncliptrain00001_00004.png")
    savemat(shot / "fixation/maps/actioncliptrain00001_00004.mat", {"I": np.zeros((48, 64), np.uint8)})
    report = verify("Hollywood-2", root, items, extra=extra)
    assert (report.faults, report.empty) == ([], 1)
    (shot / "maps/actioncliptrain00001_00005.png").unlink()
    (root / "training/notes.txt").write_text("x")
    items, extra = hollywood2_items(Hollywood2(root=root))
    assert verify("Hollywood-2", root, items, extra=extra).counts == {"missing_map": 1, "extra_file": 1}

    root = shot_tree({"training/Run-Side-010": ("Run-Side_010_", 3, 1, 3, (32, 48))})
    shutil.rmtree(root / "testing")
    shutil.rmtree(root / "training/actioncliptrain00001_1")
    shutil.rmtree(root / "training/actioncliptrain00001_10")
    (root / "training/notes.txt").unlink()
    items, extra = ucf_sports_items(UCFSports(root=root, register=False))
    assert verify("UCF Sports", root, items, extra=extra).faults == []
    items, extra = ucf_sports_items(UCFSports(root=root))
    counts = verify("UCF Sports", root, items, extra=extra, thorough=False).counts
    assert counts["missing_folder"] == 149 * 3
    assert counts["frame_count"] == 1


def test_own_videos_are_checked_through_what_they_return(tmp_path, make_video, write_maps):
    make_video(tmp_path / "videos/cat.mp4", 4)
    stems = [f"{i}" for i in range(4)]
    write_maps(tmp_path / "maps/cat", stems)
    write_maps(tmp_path / "fixations/cat", stems)
    assert verify("cat", tmp_path, Folder(root=tmp_path).videos("test")).faults == []
    Image.new("L", (64, 48)).save(tmp_path / "maps/cat/1.png")
    shutil.copy(tmp_path / "maps/cat/3.png", tmp_path / "maps/cat/2.png")
    (tmp_path / "fixations/cat/3.png").write_bytes(b"x")
    counts = verify("cat", tmp_path, Folder(root=tmp_path).videos("test")).counts
    assert counts == {"unreadable_map": 1, "empty_map": 1, "map_without_fixation": 1}


def test_own_videos_that_cannot_be_used_are_named_beside_the_others(tmp_path, make_video, write_maps):
    for name in ("cat", "dog", "eel", "fox"):
        make_video(tmp_path / f"videos/{name}.mp4", 4)
    for kind in ("maps", "fixations"):
        write_maps(tmp_path / kind / "cat", [str(i) for i in range(4)])
        write_maps(tmp_path / kind / "dog", [str(i) for i in range(3)])
        write_maps(tmp_path / kind / "gnu", ["0"])
    (tmp_path / "videos/eel.mp4").write_bytes(b"no video")
    (tmp_path / "gaze").mkdir()
    (tmp_path / "gaze/fox.csv").write_text("observer,frame,x,y\nA,0,0.5,0.2\n")
    videos, faults = folder_videos(Folder(root=tmp_path))
    assert [video.id for video in videos] == ["cat", "fox"]
    report = verify("own", tmp_path, videos, extra=faults, thorough=False)
    assert report.counts == {"unusable_video": 2, "extra_folder": 2, "unreadable_gaze": 1}
    assert {fault.video for fault in report.faults} == {"dog", "eel", "fox", ""}
    assert "pixels of the video" in report.faults[-1].message


@pytest.mark.slow
def test_the_real_video_is_clean(real_video, tmp_path):
    (tmp_path / "video").mkdir()
    shutil.copy(real_video / "video" / "002.AVI", tmp_path / "video" / "002.AVI")
    points = gaze_points(gaze_files(real_video / "exportdata_train", 2), (360, 640), 783)
    write_ground_truth(points, (360, 640), float(DHF1K_SIGMA), tmp_path / "annotation" / "0002")
    report = run(tmp_path, "2", register=True)
    assert report.faults == []
    assert report.register == {"002": (783, 360, 640)}
