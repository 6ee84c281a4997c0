"""The segmentation configs, run for two steps with tiny models on tiny data."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saliency.config.load import load_run
from saliency.datasets.ade20k import PUBLISHED_AUGMENTATION
from saliency.distillation.bi_kd import BiKD
from saliency.io.serial import decode, encode
from saliency.models.mask2former import Mask2FormerConfig, ResNet, Swin
from saliency.recipes.segmentation import r50, swin_s, transfer
from saliency.training.dry_run import dry_run, with_synthetic_data
from saliency.training.trainer import train
from saliency.types import InputSpec

pytest.importorskip("transformers")
CONFIGS = Path(__file__).parents[2] / "configs"
RESNET = ResNet(stem=8, widths=(8, 16, 16, 24), depths=(1, 1, 1, 1), block="basic", frozen_norm=False)
SWIN = Swin(width=8, depths=(1, 1, 1, 1), heads=(1, 1, 2, 2), window=4, drop_path=0.0)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    root = tmp_path_factory.mktemp("ade20k")
    random = np.random.default_rng(0)
    for folder, prefix in (("training", "ADE_train"), ("validation", "ADE_val")):
        for kind in ("images", "annotations"):
            (root / kind / folder).mkdir(parents=True)
        for i in range(4):
            height, width = 40 + 10 * i, 90
            pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / "images" / folder / f"{prefix}_{i:08d}.jpg")
            labels = random.integers(0, 151, (height // 10, width // 10), dtype=np.uint8).repeat(10, 0).repeat(10, 1)
            Image.fromarray(labels).save(root / "annotations" / folder / f"{prefix}_{i:08d}.png")
    return root


def shrink(run, root):
    """The same run with tiny models and crops, two steps an epoch."""

    def tiny(config):
        backbone = RESNET if isinstance(config.backbone, ResNet) else SWIN
        return Mask2FormerConfig(
            input=InputSpec(length=1, size=(64, 64)),
            num_classes=150,
            backbone=backbone,
            queries=8,
            width=32,
            heads=4,
            encoder_layers=1,
            encoder_feedforward=32,
            decoder_layers=1,
            decoder_feedforward=32,
        )

    learners = {n: replace(each, model=tiny(each.model), init="scratch") for n, each in run.learners.items()}
    return replace(
        run,
        learners=learners,
        task=replace(run.task, points=64),
        data=replace(run.data, root=root, size=(64, 64)),
        stages=tuple(replace(stage, epochs=min(1, stage.epochs)) for stage in run.stages),
        train=replace(run.train, batch_size=2, accumulate=1, workers=0, device="cpu", threads=1),
    )


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("ade20k_*.py")), ids=lambda path: path.stem)
def test_an_ade20k_config_runs(path, images, tmp_path):
    run = load_run(path)
    assert run.name == path.stem
    assert decode(encode(run)) == run
    for learner in run.learners.values():
        assert learner.optimizer is not None
        assert (learner.optimizer.lr, learner.optimizer.weight_decay, learner.optimizer.name) == (1e-6, 1e-5, "adamw")
        assert learner.init != "scratch" and learner.model.num_classes == 150
    assert [stage.epochs for stage in run.stages] == [0, 20, 20]
    assert (run.train.batch_size, run.train.precision, run.train.validation_batch) == (128, "fp32", 1)
    assert isinstance(run.stages[-1].distiller, BiKD) and not run.task.official

    run = shrink(run, images)
    train(run, tmp_path / "run")
    run.report(run, tmp_path / "run")
    assert "| bi_kd |" in (tmp_path / "run/comparison.md").read_text()


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("ade20k_*.py")), ids=lambda path: path.stem)
def test_an_ade20k_config_starts_without_its_data(path, tmp_path):
    run = shrink(load_run(path), tmp_path)
    run = replace(run, stages=load_run(path).stages)
    before, control, bi_kd = dry_run(with_synthetic_data(run), 1)
    assert before.step_seconds == [] and before.validation_seconds > 0
    assert control.steps == bi_kd.steps == 20 * 20_210 // 2
    assert len(bi_kd.step_seconds) == 1 and bi_kd.hours > 0


def test_the_published_recipe_runs(images, tmp_path):
    run = transfer("published", {"r50": r50(), "swin_s": swin_s()}, recipe="published")
    assert run.task.official and run.data.augmentation == PUBLISHED_AUGMENTATION
    assert run.train.batch_size == 4
    assert all(learner.optimizer.schedule == "poly" for learner in run.learners.values())
    run = shrink(run, images)
    train(replace(run, stages=(replace(run.stages[-1], start=None),)), tmp_path / "run")


def test_the_shapes_config_runs(tmp_path):
    run = load_run(CONFIGS / "shapes_seg_bi_kd.py")
    assert [stage.name for stage in run.stages] == ["before", "control", "bi_kd"]
    run = replace(
        run,
        data=replace(run.data, train_images=8, val_images=4),
        stages=tuple(replace(stage, epochs=2) for stage in run.stages),
        train=replace(run.train, batch_size=4),
    )
    train(run, tmp_path / "run")
    run.report(run, tmp_path / "run")
    rows = (tmp_path / "run/comparison.md").read_text()
    assert all(f"| {stage.name} |" in rows for stage in run.stages) and "not finished" not in rows
