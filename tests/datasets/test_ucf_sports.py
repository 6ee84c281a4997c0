import pytest

from saliency.datasets.ucf_sports import UCFSports, frame_counts
from saliency.errors import InputError

SIZE = (32, 48)


@pytest.fixture
def tree(shot_tree):
    return shot_tree(
        {
            "training/Diving-Side-005": ("Diving-Side_005_", 3, 1, 5, SIZE),
            "training/Run-Side-010": ("Run-Side_010_", 3, 1, 3, SIZE),
            "testing/Diving-Side-001": ("Diving-Side_001_", 3, 1, 4, SIZE),
        }
    )


def test_videos(tree):
    data = UCFSports(root=tree, held_out=1, register=False)
    videos = {split: data.videos(split) for split in ("train", "val", "test")}
    assert [(v.id, v.num_frames, v.size) for v in videos["test"]] == [("Diving-Side-001", 4, SIZE)]
    assert {v.id for v in videos["train"] + videos["val"]} == {"Diving-Side-005", "Run-Side-010"}
    assert videos["test"][0].fixations(3)[1, 3]
    with videos["test"][0].open() as source:
        assert len(source) == 4
    assert UCFSports(root=tree, validate_on="test", register=False).videos("val")[0].id == "Diving-Side-001"


def test_the_register():
    counts = frame_counts()
    assert [len(counts[part]) for part in ("training", "testing")] == [103, 47]
    assert [sum(counts[part].values()) for part in ("training", "testing")] == [6501, 2929]
    assert [sum(n < 32 for n in counts[part].values()) for part in ("training", "testing")] == [14, 6]


def test_the_register_is_held_against_the_folders(tree):
    with pytest.raises(InputError, match="101 of 103 videos are missing, the first: Diving-Side-006"):
        UCFSports(root=tree, held_out=0).videos("train")
    data = UCFSports(root=tree)
    with pytest.raises(InputError, match="has 5 frames, the published video 54"):
        data._video(tree / "training/Diving-Side-005")


def test_unknown_split(tree):
    with pytest.raises(InputError, match="no split"):
        UCFSports(root=tree).videos("dev")
