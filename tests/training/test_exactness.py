"""Same seed, same numbers: whatever the workers, from the resolved dump, and in reduced precision."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from saliency.config.load import load_run
from saliency.config.run import Learner, Optimizer, Run, Stage, Training
from saliency.data.clips import SaliencyClips
from saliency.data.video import AnnotatedVideo
from saliency.datasets.folder import Folder
from saliency.distillation.bi_kd import BiKD
from saliency.io.serial import dumps
from saliency.models.vinet_s import ViNetSConfig
from saliency.tasks.saliency import SaliencyTask
from saliency.training.run_folder import best_file
from saliency.training.sampler import Steps
from saliency.training.trainer import train
from saliency.types import InputSpec, SaliencyTarget

CLIP = InputSpec(length=4, size=(32, 48))


def clips_run(root: Path, **options) -> Run:
    """Two small ViNet-S of different views that teach each other, on real files read by the real loader."""
    small = ViNetSConfig(input=CLIP, width=0.0625)
    other = replace(small, input=replace(CLIP, size=(32, 64), stride=2))
    learners = {
        "a": Learner(model=small, optimizer=Optimizer(lr=1e-3)),
        "b": Learner(model=other, optimizer=Optimizer(lr=1e-3)),
    }
    settings = {"batch_size": 2, "log_every": 1, "device": "cpu"} | options
    return Run(
        name="exact",
        task=SaliencyTask(monitor="loss"),
        data=SaliencyClips(
            source=Folder(root=root, splits={"train": "*", "val": "*"}), grid=(32, 48), clips_per_video=2, flip=True
        ),
        learners=learners,
        stages=(Stage(name="bi_kd", epochs=1, distiller=BiKD()),),
        train=Training(**settings),
    )


def log_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def numbers(folder: Path) -> list[dict]:
    """The log without what a clock says."""
    return [{k: v for k, v in line.items() if "second" not in k and "time" not in k} for line in log_of(folder)]


@pytest.fixture
def root(mini_like: list[AnnotatedVideo]) -> Path:
    return mini_like[0].path.parents[1]


@pytest.fixture
def reference(root: Path, tmp_path: Path) -> Path:
    train(clips_run(root), tmp_path / "reference")
    return tmp_path / "reference"


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])  # processes take seconds to start
def test_workers_do_not_change_a_bit(root: Path, reference: Path, tmp_path: Path, workers: int) -> None:
    train(clips_run(root, workers=workers), tmp_path / "again")
    assert numbers(tmp_path / "again") == numbers(reference)
    for name in ("a", "b"):
        one, two = (load_file(best_file(folder, "bi_kd", name)) for folder in (reference, tmp_path / "again"))
        assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def test_the_resolved_dump_trains_to_the_same_bits(root: Path, reference: Path, tmp_path: Path) -> None:
    again = load_run(reference / "config.json")
    assert again == clips_run(root)
    train(again, tmp_path / "again")
    assert numbers(tmp_path / "again") == numbers(reference)


def test_dump_is_the_same_text_again(root: Path, reference: Path) -> None:
    assert dumps(load_run(reference / "config.json")) == dumps(clips_run(root))


def test_sample_order_depends_on_seed_epoch_and_index_alone() -> None:
    def keys(**changes) -> list[list[tuple[int, int, int]]]:
        settings = {"seed": 3, "size": 10, "epochs": 2, "batch_size": 4} | changes
        return list(Steps(**settings))

    assert keys() == keys()
    assert keys(first=1) == keys()[1:]  # a resumed run goes on where it was
    assert keys(seed=4) != keys()
    first, second = keys()[:2], keys()[2:]
    assert [key[2] for part in first for key in part] != [key[2] for part in second for key in part]
    shards = [keys(rank=rank, world=2) for rank in range(2)]
    for whole, left, right in zip(keys(), *shards, strict=True):
        assert sorted(left + right) == sorted(whole)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_bf16_stays_close_to_fp32(root: Path, reference: Path, tmp_path: Path, checkpointing: bool) -> None:
    run = clips_run(root, precision="bf16")
    learners = {
        name: replace(learner, model=replace(learner.model, checkpoint_activations=checkpointing))
        for name, learner in run.learners.items()
    }
    train(replace(run, learners=learners), tmp_path / "bf16")
    for half, full in zip(log_of(tmp_path / "bf16"), log_of(reference), strict=True):
        for key, value in full.items():
            if key.startswith("loss"):
                assert math.isclose(half[key], value, rel_tol=0.02, abs_tol=0.02), key


def test_losses_are_computed_in_float32_whatever_the_models_do() -> None:
    task = SaliencyTask()
    density = torch.rand(2, 8, 12)
    pred = task.align(torch.rand(2, 8, 12).bfloat16(), SaliencyTarget(density, density > 0.9))
    assert pred.dtype == torch.float32
    assert task.loss(pred, SaliencyTarget(density, density > 0.9)).dtype == torch.float32
