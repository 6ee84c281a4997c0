import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from saliency.data.held_out import held_out
from saliency.data.map_files import JoinedVideo, MapFilesVideo
from saliency.data.video import VideoSamples
from saliency.datasets.hollywood2 import Hollywood2
from saliency.errors import InputError
from saliency.types import InputSpec

BIG, SMALL = (48, 64), (32, 40)


@pytest.fixture
def tree(shot_tree):
    """Gaps of three frames between shots, no shot 1, ten shots, one frame only, two sizes, first number not 1."""

    def clip(part, name, shots, size=BIG):
        return {f"{part}/{name}_{shot}": (f"{name}_", 5, first, n, size) for shot, (first, n) in shots.items()}

    return shot_tree(
        {
            **clip("training", "actioncliptrain00001", {1: (3, 6)}),
            **clip("training", "actioncliptrain00002", {2: (3, 4), 3: (10, 1), 10: (14, 5)}, SMALL),
            **clip("training", "actioncliptrain00003", {1: (3, 2), 2: (8, 3)}),
            **clip("testing", "actioncliptest00001", {1: (4, 7), 2: (14, 2)}),
        }
    )


def data(root: Path, **kwargs) -> Hollywood2:
    return Hollywood2(**{"root": root, "held_out": 1, **kwargs})


def test_shots_are_joined_in_numeric_order(tree, level):
    video = next(v for split in ("train", "val") for v in data(tree).videos(split) if v.id == "actioncliptrain00002")
    assert isinstance(video, JoinedVideo)
    assert [part.id[-2:] for part in video.parts] == ["_2", "_3", "10"]
    assert (video.num_frames, video.size) == (10, SMALL)
    with video.open() as source:
        grey = source.read([9, 0, 4, 5, 3, 3]).mean(axis=(1, 2, 3))
        assert np.abs(grey - [level(i) for i in (4, 0, 0, 0, 3, 3)]).max() <= 1
        walked = [frame.mean() for frame in source.iterate(2, 7)]
        assert np.abs(np.array(walked) - [level(i) for i in (2, 3, 0, 0, 1)]).max() <= 1
    assert [np.argwhere(video.fixations(i))[0, 1] for i in range(10)] == [0, 1, 2, 3, 0, 0, 1, 2, 3, 4]
    assert video.density(9).shape == SMALL
    with pytest.raises(IndexError):
        video.density(10)


def test_shots_can_be_kept_apart(tree):
    videos = data(tree, shots="separate").videos("test")
    assert [(v.id, v.num_frames) for v in videos] == [("actioncliptest00001_1", 7), ("actioncliptest00001_2", 2)]
    assert all(isinstance(v, MapFilesVideo) for v in videos)
    assert videos[0].fixations(6)[3, 6]


def test_splits(tree):
    split = {name: {v.id for v in data(tree).videos(name)} for name in ("train", "val", "test")}
    assert len(split["train"]) == 2
    assert len(split["val"]) == 1
    assert not split["train"] & split["val"]
    assert split["test"] == {"actioncliptest00001"}
    published = data(tree, validate_on="test")
    assert len(published.videos("train")) == 3
    assert {v.id for v in published.videos("val")} == split["test"]
    with pytest.raises(InputError, match="no split 'dev'"):
        data(tree).videos("dev")
    with pytest.raises(InputError, match="leaves none to train on"):
        data(tree, held_out=3).videos("train")


def test_the_clips_held_out_do_not_depend_on_the_rest():
    names = [f"clip{i}" for i in range(40)]
    chosen = held_out(names, 5)
    assert held_out(names[::-1], 5) == chosen
    assert held_out([n for n in names if n in chosen or n < "clip2"], 5) == chosen


def test_official_sampling_joins_in_text_order_as_recorded(shot_tree):
    golden = json.loads((Path(__file__).parents[1] / "data/datasets/clip_indices.json").read_text())
    case = golden["hollywood2_multi_shot"]
    shots, first = {}, 3
    for name, n in case["shot_lengths"].items():
        shots[f"testing/{name}"] = ("vid7_", 5, first, n, BIG)
        first += n + 3
    root = shot_tree(shots)
    video = data(root, clip_sampling="official").videos("test")[0]
    assert isinstance(video, JoinedVideo)
    assert [part.id for part in video.parts] == case["sorted_order_used"]
    assert video.num_frames == case["concatenated_length"]
    vinet_a = InputSpec(stride=2, target="middle", shift=1)
    for example in case["examples"]:
        part, at = video.locate(example["t"])
        assert [part.id, at + 1] == example["target_file"]
        specs = {
            "causal32": InputSpec(),
            "center64_odd": vinet_a,
            "center32_dense": data(root, clip_sampling="official").view(vinet_a),
        }
        for rule, spec in specs.items():
            assert spec.frames(example["t"], video.num_frames) == example[rule]
    assert data(root).view(vinet_a) == vinet_a
    natural = data(root).videos("test")[0]
    assert isinstance(natural, JoinedVideo)
    assert [part.id for part in natural.parts] == ["vid7_1", "vid7_2", "vid7_10"]


def test_the_matlab_maps_are_the_same(tree):
    png, mat = (data(tree, fixations=kind).videos("test")[0] for kind in ("png", "mat"))
    assert all((png.fixations(i) == mat.fixations(i)).all() for i in range(9))


@pytest.mark.parametrize("kind", ["maps", "fixation", "images"])
def test_missing_partners_are_named(tree, kind):
    shot = tree / "testing/actioncliptest00001_1"
    (shot / kind / "actioncliptest00001_00010.png").unlink()
    with pytest.raises(InputError, match=rf"{kind}/actioncliptest00001_00010\.png: is missing"):
        data(tree).videos("test")
    kept = data(tree, incomplete="leave_out").videos("test")
    assert [(v.id, v.num_frames) for v in kept] == [("actioncliptest00001_2", 2)]
    shutil.rmtree(shot / kind)
    with pytest.raises(InputError, match="cannot be listed"):
        data(tree).videos("test")


def test_shots_of_one_clip_have_one_size(tree, write_maps, write_frames):
    shot = tree / "testing/actioncliptest00001_2"
    shutil.rmtree(shot)
    stems = ["actioncliptest00001_00014"]
    write_frames(shot / "images", stems, *SMALL)
    write_maps(shot / "maps", stems, *SMALL)
    write_maps(shot / "fixation", stems, *SMALL)
    with pytest.raises(InputError, match="only parts of one size"):
        data(tree).videos("test")
    assert [v.size for v in data(tree, shots="separate").videos("test")] == [BIG, SMALL]


def test_clips_run_across_the_cuts_and_short_ones_repeat_frames(tree):
    videos = data(tree).videos("test")
    spec = InputSpec(length=4, size=(16, 16))
    samples = VideoSamples(videos, {"a": spec}, (16, 16), targets=[(0, 8), (0, 0)])
    assert samples[0].views["a"] == [0, 1, 2, 3]  # frames 5, 6 of the first shot, 0, 1 of the second
    assert samples[1].views["a"] == [0, 0, 0, 0]
    assert samples.prepare([samples[0], samples[1]], "cpu").inputs["a"].shape == (2, 3, 4, 16, 16)


def test_an_empty_folder_is_one_line(tmp_path):
    (tmp_path / "training").mkdir()
    with pytest.raises(InputError, match="holds no shot"):
        data(tmp_path).videos("train")
    with pytest.raises(InputError, match="HOLLYWOOD2_ROOT"):
        Hollywood2(root=tmp_path / "x").videos("train")
