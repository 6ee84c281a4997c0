"""The cost of a run before it is begun."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from saliency.config.run import Learner, Run, Stage, Training
from saliency.data.clips import SaliencyClips
from saliency.datasets.dhf1k import DHF1K
from saliency.datasets.synthetic_images import SyntheticADE20K, SyntheticImageFolder
from saliency.distillation.bi_kd import BiKD
from saliency.errors import InputError
from saliency.runtime import memory
from saliency.tasks.saliency import SaliencyTask
from saliency.testing import ToyData, ToyNetConfig, ToyTask
from saliency.training.dry_run import dry_run, with_synthetic_data
from saliency.training.sizes import learner_sizes
from saliency.training.trainer import Trainer
from saliency.types import ImageSpec, InputSpec


def toy_run(data: object) -> Run:
    return Run(
        name="toy",
        task=SaliencyTask() if isinstance(data, SaliencyClips) else ToyTask(),
        data=data,  # pyright: ignore[reportArgumentType]
        learners={"a": Learner(model=ToyNetConfig(), init="kinetics"), "b": Learner(model=ToyNetConfig(width=6))},
        stages=(
            Stage(name="before", epochs=0),
            Stage(name="scratch", epochs=5),
            Stage(name="bi_kd", epochs=2, start="scratch", distiller=BiKD()),
        ),
        train=Training(batch_size=4, device="cpu", validate_every=2),
    )


def test_every_stage_is_measured_and_projected() -> None:
    before, scratch, bi_kd = dry_run(toy_run(ToyData()), 2)
    assert (before.steps, before.step_seconds, before.validations) == (0, [], 1)
    assert (scratch.steps, len(scratch.step_seconds), scratch.validations) == (15, 2, 3)  # epochs 2, 4 and the last
    assert bi_kd.steps == 6
    second = scratch.step_seconds[1]
    assert scratch.samples_per_second == pytest.approx(4 / second)
    assert scratch.hours == pytest.approx((15 * second + 3 * scratch.validation_seconds) / 3600)
    assert scratch.memory_gib > 0


def test_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    list(dry_run(toy_run(ToyData()), 1))
    assert not list(tmp_path.iterdir())


def test_made_up_videos_stand_in_for_missing_ones(tmp_path: Path) -> None:
    run = toy_run(SaliencyClips(source=DHF1K(root=tmp_path), grid=(9, 16)))
    with pytest.raises(InputError, match="DHF1K"):
        list(dry_run(run, 1))
    costs = list(dry_run(with_synthetic_data(replace(run, stages=run.stages[1:])), 1))
    assert [cost.steps for cost in costs] == [5 * 150, 2 * 150], "600 training videos as in DHF1K"


def test_bad_requests_are_refused() -> None:
    with pytest.raises(InputError, match="at least 1 step"):
        list(dry_run(toy_run(ToyData()), 0))
    with pytest.raises(InputError, match="stands in for videos, ImageNet and ADE20K; toy learns from ToyData"):
        with_synthetic_data(toy_run(ToyData()))


def test_the_batch_is_lowered_to_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a gigabyte left, and samples that take 100 MB each."""
    asked = []

    def rehearse(self: Trainer, stage: Stage, learners: list, count: int) -> list[float]:
        asked.append(self.run.train.batch_size)
        return [0.01] * count

    monkeypatch.setattr(Trainer, "rehearse", rehearse)
    monkeypatch.setattr(memory, "left", lambda device: 10**9)
    monkeypatch.setattr(memory, "taken", lambda device: 5 * 10**8)
    monkeypatch.setattr(memory, "peak", lambda device: 5 * 10**8 + 10**8 * asked[-1])
    run = replace(toy_run(ToyData()), train=Training(batch_size=128, device="cpu"))
    (cost,) = dry_run(replace(run, stages=run.stages[1:2]), 2)
    assert asked == [2, 4, 8, 8], "16 would take 1.6 GB of the 0.8 that may be used; 8 take just that"
    assert (cost.batch, cost.measured_batch, len(cost.step_seconds)) == (128, 8, 2)
    assert cost.hours == pytest.approx((cost.steps * 0.01 * 16 + 5 * cost.validation_seconds) / 3600)


def test_a_gpu_that_is_full_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    def rehearse(self: Trainer, stage: Stage, learners: list, count: int) -> list[float]:
        if self.run.train.batch_size > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [0.01] * count

    monkeypatch.setattr(Trainer, "rehearse", rehearse)
    run = replace(toy_run(ToyData()), train=Training(batch_size=32, device="cpu"))
    run = replace(run, stages=run.stages[1:2])
    most = 5
    assert next(dry_run(run, 1)).measured_batch == 4
    most = 1
    assert next(dry_run(run, 1)).measured_batch == 1
    most = 0
    with pytest.raises(InputError, match="not even one sample fits"):
        list(dry_run(replace(run, train=replace(run.train, batch_size=1)), 1))


def test_memory_is_told() -> None:
    cpu = torch.device("cpu")
    memory.reset_peak(cpu)
    before = memory.taken(cpu)
    block = torch.ones(50_000_000)
    assert memory.peak(cpu) - before > 190_000_000 and memory.taken(cpu) > before
    del block
    assert (memory.left(cpu) or 1) > 0


def test_made_up_images_are_as_many_and_as_large_as_the_real_ones() -> None:
    views = {"a": ImageSpec(size=(32, 32))}
    folder = SyntheticImageFolder()
    images = folder.training(views)
    assert (len(images), len(folder.validation(views))) == (1_281_167, 50_000)
    samples = [images[0, 0, 1_281_166], images[0, 0, 1000]]
    batch = images.prepare(samples, torch.device("cpu"))
    assert batch.inputs["a"].shape == (2, 3, 32, 32) and batch.target.tolist() == [166, 0]
    scenes = SyntheticADE20K(size=(64, 64)).training({"a": InputSpec(length=1, size=(64, 64))})
    assert len(scenes) == 20_210
    made = scenes.prepare([scenes[0, 0, 5]], torch.device("cpu"))
    assert made.inputs["a"].shape == (1, 3, 64, 64) and set(made.target.labels.unique().tolist()) <= set(range(10))


def test_sizes_are_counted_without_building_weights() -> None:
    run = toy_run(SaliencyClips(source=DHF1K()))
    a, _ = learner_sizes(run)
    # two convolutions over 2x8x12 positions: 3 -> 4 channels of 27 weights, 4 -> 1 of one; a product and a sum each
    assert (a.learner, a.parameters, a.trained) == ("a", 3 * 4 * 27 + 4 + 4 + 1, 3 * 4 * 27 + 4 + 4 + 1)
    assert a.gflop == pytest.approx(2 * 192 * (3 * 4 * 27 + 4) / 1e9)
    frozen = replace(run.learners["a"], optimizer=None)
    (teacher, _) = learner_sizes(replace(run, learners={**run.learners, "a": frozen}))
    assert teacher.trained == 0
