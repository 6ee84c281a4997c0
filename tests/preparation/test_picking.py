import logging

import pytest

from saliency.datasets.dhf1k import DHF1K
from saliency.errors import InputError
from saliency.preparation.catalogue import DATA_SETS
from saliency.preparation.picking import pick, shortfall, whole_folder


def test_a_part_of_dhf1k_is_enough(dhf1k_tree):
    """Two videos of the validation split and one of the training split are there, with other lengths than DHF1K's."""
    root = dhf1k_tree({1: 3, 601: 4, 602: 5})
    entry = DATA_SETS["dhf1k"]
    data = pick(entry.make(root), {"val": "601,602", "train": "1"})
    with pytest.raises(InputError, match="of 2 videos of split 'val' cannot be used"):  # held against the register
        data.videos("val")
    own = DHF1K(root=root, register=False, splits={"val": "601,602", "train": "1"})
    assert [video.id for video in own.videos("val")] == ["601", "602"]
    assert shortfall(entry, own, "val") == "2 of 100 videos" and shortfall(entry, own, "train") == "1 of 600 videos"


def test_videos_of_other_sets_are_picked_by_name(shot_tree):
    shots = {
        f"{part}/actioncliptrain{n:05d}_1": (f"actioncliptrain{n:05d}_", 5, 1, 2, (8, 12))
        for part, n in (("training", 1), ("training", 2))
    }
    shots |= {f"testing/actioncliptest{n:05d}_1": (f"actioncliptest{n:05d}_", 5, 1, 2, (8, 12)) for n in (1, 2, 13)}
    entry = DATA_SETS["hollywood2"]
    data = pick(entry.make(shot_tree(shots)), {"test": "*0000?_1"})
    assert [video.id for video in data.videos("test")] == ["actioncliptest00001_1", "actioncliptest00002_1"]
    assert shortfall(entry, data, "test") == "2 of 3 videos"
    with pytest.raises(InputError, match="no video called 'actioncliptest00003_1'; did you mean"):
        pick(entry.make(shot_tree(shots)), {"test": "actioncliptest00003_1"}).videos("test")


def test_a_folder_is_scored_on_all_that_has_ground_truth(mini_like, tmp_path, caplog):
    root = tmp_path / "own"
    (root / "gaze" / "2.csv").rename(root / "gaze" / "3.csv")
    with caplog.at_level(logging.WARNING):
        data = whole_folder(root, {})
    assert [video.id for video in data.videos("test")] == ["1"]
    assert "videos/2: left out, lacks gaze/2.csv" in caplog.text and "3.csv: belongs to no video" in caplog.text
    assert whole_folder(root, {"train": "1"}).splits == {"train": "1"}
