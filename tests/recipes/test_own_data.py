import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from saliency.commands.splits import parse_splits
from saliency.commands.train import main
from saliency.config.load import load_run
from saliency.datasets.folder import Inventory, inventory
from saliency.errors import InputError
from saliency.inference.zoo import resolve
from saliency.io.serial import decode, encode
from saliency.io.weights import load_model
from saliency.models.vinet_s import ViNetSConfig
from saliency.recipes.own_data import divide, own_run
from saliency.recipes.parts import with_splits

SMALL = ["stages.train.epochs=1", "train.batch_size=2", "train.threads=1"]
TINY = ["data.clips_per_video=1", "learners.own.model.input.length=8", "learners.own.model.input.size=32,64"]


@pytest.fixture
def study(tmp_path):
    """Three videos of four frames with gaze, one without, and gaze of a video that is not there."""
    root, rng = tmp_path / "my study", np.random.default_rng(0)
    (root / "gaze").mkdir(parents=True)
    for name in ("a", "b", "c", "dark"):
        (root / "videos" / name).mkdir(parents=True)
        for i in range(4):
            picture = rng.integers(0, 255, (36, 64, 3), dtype=np.uint8)
            Image.fromarray(picture).save(root / "videos" / name / f"{i:02d}.png")
    for name in ("a", "b", "c", "owl"):
        rows = [f"{who},{i},{rng.uniform(0, 64):.1f},{rng.uniform(0, 36):.1f}" for who in "xyz" for i in range(4)]
        (root / "gaze" / f"{name}.csv").write_text("observer,frame,x,y\n" + "\n".join(rows) + "\n")
    return root


def test_a_folder_says_what_its_videos_lack(study):
    found = inventory(study)
    assert found.ready == ("a", "b", "c")
    left_out, stray = found.complaints()
    assert "videos/dark: left out, lacks gaze/dark.csv (or maps/dark and fixations/dark)" in left_out
    assert stray.endswith(f"gaze/owl.csv: belongs to no video in {study / 'videos'}")


def test_videos_that_nobody_names_are_divided():
    names, two, one = (
        Inventory(root=Path("study"), ready=tuple(f"v{i}" for i in range(n)), lacking={"dark": "gaze"}, stray=())
        for n in (10, 2, 1)
    )
    assert divide(names, {}) == {"val": "v2,v7", "train": "v0,v1,v3,v4,v5,v6,v8,v9"}
    assert divide(two, {}) == {"val": "v1", "train": "v0"}
    assert divide(names, {"train": "v[0-3]", "test": "v9"}) == {"train": "v0,v1,v2,v3", "val": "v6", "test": "v9"}
    with pytest.raises(InputError, match="no video is left for train"):
        divide(one, {})
    with pytest.raises(InputError, match="v1 is in train and in val"):
        divide(names, {"train": "v1,v2", "val": "v1"})
    with pytest.raises(InputError, match="videos/dark: lacks gaze; it cannot be in val"):
        divide(names, {"val": "dark"})


def test_a_model_is_trained_on_a_folder_without_a_config(study, tmp_path, caplog):
    words = [
        "--data",
        str(study),
        "--model",
        "vinet_s-small",
        *SMALL,
        "data.clips_per_video=1",
        "--out",
        str(tmp_path / "run"),
    ]
    with caplog.at_level(logging.INFO):
        assert main([*words, "--splits", "train=a,b", "val=c"]) == 0
    assert "videos/dark: left out" in caplog.text and "train: 2 videos: a, b" in caplog.text
    learnt = load_model(tmp_path / "run" / "train" / "own.safetensors")
    assert isinstance(learnt.config, ViNetSConfig) and learnt.config.width == 0.25
    assert main([str(tmp_path / "run" / "config.json"), "--out", str(tmp_path / "run"), "--resume"]) == 0


def test_the_default_model_is_adapted_and_averaged(study, tmp_path):
    words = [
        "--data",
        str(study),
        "--from",
        "default",
        *SMALL,
        "data.clips_per_video=2",
        "--out",
        str(tmp_path / "run"),
    ]
    assert main(words) == 0
    before, after = load_model(resolve()), load_model(tmp_path / "run" / "train" / "own.safetensors")
    kept = load_model(tmp_path / "run" / "adapted.safetensors")
    assert kept.config == before.config and kept.metadata["adapted_from_sha256"] == before.sha256
    assert "Apache-2.0" in kept.metadata["licences"] and "card" not in kept.metadata
    moved = 0
    for name, tensor in kept.model.state_dict().items():
        a, b = before.model.state_dict()[name], after.model.state_dict()[name]
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, (a.float() + b.float()) / 2)
            moved += int(not torch.equal(a, b))
    assert moved > 50
    scores = json.loads((tmp_path / "run" / "adaptation.json").read_text())["learners"]["own"]
    assert set(scores) == {"before", "learnt", "mean"} and all(np.isfinite(each["nss"]) for each in scores.values())


def test_photographs_of_ones_own_are_learnt_from_as_they_are(tmp_path):
    rng = np.random.default_rng(1)
    (tmp_path / "images").mkdir()
    for i in range(4):
        Image.fromarray(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(tmp_path / "images" / f"{i}.png")
    (tmp_path / "images.csv").write_text("image,width,height\n" + "".join(f"{i}.png,60,40\n" for i in range(4)))
    (tmp_path / "split.csv").write_text("image,split\n0.png,train\n1.png,train\n2.png,train\n3.png,val\n")
    image = np.arange(4).repeat(6)
    x, y = rng.uniform(0, 59, 24), rng.uniform(0, 39, 24)
    rest = {"viewer": np.tile(np.arange(3), 8), "order": np.zeros(24), "duration_ms": np.full(24, 200)}
    np.savez(tmp_path / "fixations.npz", images=[f"{i}.png" for i in range(4)], image=image, x=x, y=y, **rest)
    run = own_run(tmp_path, start="default")
    samples = run.data.training({"own": run.learners["own"].model.input})
    assert len(samples) == 162 and samples[(0, 0, 3)].density.sum() > 0  # 3 photographs, 54 times
    with pytest.raises(InputError, match=r"split\.csv says"):
        own_run(tmp_path, splits={"train": "a"})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "{}", "--model", "vinet_s-smal"], "did you mean 'vinet_s-small'"),
        (["--data", "{}", "--model", "vinet_s", "--from", "default"], "leave --model out"),
        (["--data", "{}", "--from", "nothing"], "no such file"),
        (["--data", "{}/videos"], "put videos"),
        (["--data", "{}", "mini_tmfi_vinet"], "not both"),
        (["--data", "{}", "--splits", "train=q"], "no video called 'q'"),
        (["--model", "vinet_s"], "goes with --data"),
        ([], "name a config"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(study, words, message):
    with pytest.raises(InputError, match=message) as caught:
        main([word.format(study) for word in words])
    assert "\n" not in str(caught.value)


def test_a_config_of_the_project_takes_a_part_of_its_data():
    run = with_splits(load_run("dhf1k_vinet_s"), {"train": "1-3", "val": "601"})
    source: Any = run.data
    assert source.source.splits == {"train": "1-3", "val": "601", "test": "701-1000"}
    report: Any = run.report
    assert report.source == source.source
    with pytest.raises(InputError, match="has no videos to choose by name"):
        with_splits(load_run("digits_bi_kd"), {"train": "a"})


def test_the_same_is_a_config(study):
    run = load_run("folder")
    assert decode(encode(run)) == run
    data: Any = with_splits(run, {"train": "a,b", "val": "c"}).data
    source = replace(data.source, root=study)
    views = {"vinet_s": run.learners["vinet_s"].model.input}
    assert len(replace(data, source=source).training(views)) == 40  # two videos, 20 clips each


def test_splits_are_words_of_their_own():
    assert parse_splits(["test=a,b", "train=c*"]) == {"test": "a,b", "train": "c*"}
    for words, message in ((["tets=a"], "did you mean 'test'"), (["val="], "no video"), (["val=a", "val=b"], "twice")):
        with pytest.raises(InputError, match=message):
            parse_splits(words)
