import shutil
from pathlib import Path

import numpy as np
import pytest

from saliency.data.video import VideoSamples
from saliency.datasets.dhf1k import DHF1K, frame_counts, gaze_files, parse_numbers
from saliency.errors import InputError
from saliency.types import InputSpec


def small(root: Path | None, **kwargs) -> DHF1K:
    splits = {"train": "1-2", "val": "5", "test": "7"}
    return DHF1K(**{"root": root, "splits": splits, "register": False, **kwargs})


def test_the_register_of_frame_counts():
    counts = frame_counts()
    assert len(counts) == 1000
    assert (sum(counts[:600]), sum(counts[600:700]), sum(counts[700:])) == (346_140, 60_273, 176_192)
    assert (min(counts[:600]), max(counts[:600])) == (186, 1558)
    assert counts[1] == 783


@pytest.mark.parametrize("layout", ["videos", "images"])
def test_both_layouts_are_read(dhf1k_tree, level, layout):
    root = dhf1k_tree({1: 6, 2: 9, 5: 4}, videos=layout == "videos", images=layout == "images")
    data = small(root)
    train = data.videos("train")
    assert [(v.id, v.num_frames, v.size) for v in train] == [("001", 6, (48, 64)), ("002", 9, (48, 64))]
    assert train[0].path.name == ("001.AVI" if layout == "videos" else "images")
    assert [v.id for v in data.videos("val")] == ["005"]
    with train[1].open() as source:
        grey = source.read([8, 0, 3]).mean(axis=(1, 2, 3))
    assert np.abs(grey - [level(8), level(0), level(3)]).max() <= 1
    assert np.argwhere(train[1].fixations(8)).tolist() == [[4, 8]]
    density = train[1].density(8)
    assert density.dtype == np.float32
    assert density.max() == 1
    assert np.argwhere(density).tolist() == [[4, 8]]
    assert train[0].observers() is None


def test_both_copies_of_the_fixation_maps_agree(dhf1k_tree):
    root = dhf1k_tree({1: 6, 2: 3})
    png, mat = (small(root, fixations=kind).videos("train")[0] for kind in ("png", "mat"))
    assert all((png.fixations(i) == mat.fixations(i)).all() for i in range(6))


def test_the_videos_win_unless_told_otherwise(dhf1k_tree):
    root = dhf1k_tree({1: 4, 2: 4}, images=True)
    assert small(root).videos("train")[0].path.suffix == ".AVI"
    assert small(root, frames="images").videos("train")[0].path.name == "images"
    shutil.rmtree(root / "video")
    with pytest.raises(InputError, match=r"001\.AVI is missing"):
        small(root, frames="video").videos("train")


def test_hidden_ground_truth(dhf1k_tree):
    video = small(dhf1k_tree({1: 4, 7: 5}, hidden=(7,))).videos("test")[0]
    assert (video.annotated, video.num_frames, video.size) == (False, 5, (48, 64))
    with pytest.raises(InputError, match="007 has no ground truth"):
        video.density(0)
    with pytest.raises(InputError, match="no ground truth"):
        VideoSamples([video], {"a": InputSpec(length=2)}, (8, 8))


def test_the_register_is_held_against_the_maps(dhf1k_tree):
    root = dhf1k_tree({1: 6})
    with pytest.raises(InputError, match=r"0450.png is missing: video 001 of DHF1K has 450 frames"):
        small(root, splits={"train": "1"}, register=True).videos("train")


def test_missing_data_is_one_clear_line(dhf1k_tree, monkeypatch, tmp_path):
    monkeypatch.delenv("DHF1K_ROOT", raising=False)
    with pytest.raises(InputError, match=r"option `root` or the environment variable DHF1K_ROOT; .*video/001.AVI") as e:
        DHF1K().videos("train")
    assert "\n" not in str(e.value)
    assert "https://github.com/wenguanwang/DHF1K" in str(e.value)
    with pytest.raises(InputError, match="does not exist"):
        DHF1K(root=tmp_path / "nowhere").videos("train")
    with pytest.raises(InputError, match="holds no annotation or video"):
        DHF1K(root=str(tmp_path)).videos("train")
    root = dhf1k_tree({1: 4})
    with pytest.raises(InputError, match=r"1 of 2 videos of split 'train' .*, the first: neither .*002\.AVI"):
        small(root).videos("train")
    with pytest.raises(InputError, match="no split 'trian'; did you mean 'train'"):
        small(root).videos("trian")
    monkeypatch.setenv("DHF1K_ROOT", str(root))
    assert small(None, splits={"train": "1"}).videos("train")[0].id == "001"


def test_a_gap_in_the_maps_is_found(dhf1k_tree):
    root = dhf1k_tree({1: 6, 2: 4})
    (root / "annotation/0001/maps/0003.png").unlink()
    with pytest.raises(InputError, match=r"0003.png: is missing between 1 and 6"):
        small(root).videos("train")
    (root / "annotation/0001/maps/0001.png").unlink()
    (root / "annotation/0001/maps/0002.png").unlink()
    with pytest.raises(InputError, match=r"0001.png is missing: the first map is 0004.png"):
        small(root).videos("train")


def test_frames_are_paired_by_name(dhf1k_tree):
    root = dhf1k_tree({1: 6, 2: 4}, videos=False, images=True)
    images = root / "annotation/0001/images"
    (images / "0001.png").rename(images / "0007.png")
    with pytest.raises(InputError, match="frame 0 of video 001 should be called 0001 but the file is 0002"):
        small(root).videos("train")[0].open()


def test_clip_sampling():
    vinet_a = InputSpec(stride=2, target="middle", shift=1)
    causal = InputSpec()
    assert DHF1K().view(vinet_a) == vinet_a
    assert DHF1K(clip_sampling="official").view(vinet_a).offsets == list(range(-32, 31, 2))
    assert DHF1K(clip_sampling="official").view(causal) == causal


def test_numbers():
    assert parse_numbers("1-3, 7") == [1, 2, 3, 7]
    for bad in ("", "3-1", "a", "1--2"):
        with pytest.raises(InputError):
            parse_numbers(bad)


def test_raw_gaze_becomes_observers(dhf1k_tree, write_recording):
    root = dhf1k_tree({1: 13, 2: 4})
    write_recording(root / "exportdata_train" / "P05" / "P05_Trail001.txt", 5, 0.4)
    (root / "exportdata_train" / "P017_Trail0001.txt").write_text(
        "time x y event\n5000000 720 450 Fixation\n5010000 0 0 F\n5040000 720 450 Saccade\n"
    )
    assert [p.name for p in gaze_files(root / "exportdata_train", 1)] == ["P05_Trail001.txt", "P017_Trail0001.txt"]
    gaze = small(root).videos("train")[0].observers()
    assert gaze is not None
    assert gaze.shape == (2, 13, 2)
    assert gaze.dtype == np.float32
    assert gaze[1, 0].tolist() == [32, 24]  # the middle of the screen; the sample at (0, 0) is on a black bar
    assert np.isnan(gaze[1, 1:]).all()
    assert small(root).videos("train")[1].observers() is None


def test_a_root_one_folder_too_high_is_told(dhf1k_tree):
    root = dhf1k_tree({1: 3})
    with pytest.raises(InputError, match=rf"\(but {root} does\)"):
        DHF1K(root=root.parent).videos("train")
