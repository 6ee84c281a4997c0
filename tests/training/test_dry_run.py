"""The cost of a run before it is begun."""

from dataclasses import replace
from pathlib import Path

import pytest

from saliency.config.run import Learner, Run, Stage, Training
from saliency.data.clips import SaliencyClips
from saliency.datasets.dhf1k import DHF1K
from saliency.distillation.bi_kd import BiKD
from saliency.errors import InputError
from saliency.tasks.saliency import SaliencyTask
from saliency.testing import ToyData, ToyNetConfig, ToyTask
from saliency.training.dry_run import dry_run, with_synthetic_videos


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
    costs = list(dry_run(with_synthetic_videos(replace(run, stages=run.stages[1:])), 1))
    assert [cost.steps for cost in costs] == [5 * 150, 2 * 150], "600 training videos as in DHF1K"


def test_bad_requests_are_refused() -> None:
    with pytest.raises(InputError, match="at least 1 step"):
        list(dry_run(toy_run(ToyData()), 0))
    with pytest.raises(InputError, match="stands in for videos"):
        with_synthetic_videos(toy_run(ToyData()))
