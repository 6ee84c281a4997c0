"""A stage in which every learner trains alone, with its own batch size, length and schedule."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from saliency.config import overrides
from saliency.config.run import Alone, Learner, Optimizer, Run, Stage, Training
from saliency.data.clips import OwnClips, SaliencyClips
from saliency.data.targets import Sampling, Targets
from saliency.datasets.synthetic import Synthetic
from saliency.distillation.bi_kd import BiKD
from saliency.errors import InputError
from saliency.io.serial import decode, encode
from saliency.runtime import interrupt
from saliency.tasks.saliency import SaliencyTask
from saliency.testing import ToyData, ToyNetConfig
from saliency.training.dry_run import dry_run
from saliency.training.run_folder import best_file
from saliency.training.samples import RunSamples
from saliency.training.trainer import check_splits, train
from saliency.types import InputSpec

TASK = SaliencyTask(monitor="loss")
ADAM = Optimizer(lr=1e-2)
SGD = Optimizer(name="sgd", lr=1e-2, schedule="cosine")
LEARNERS = {
    "a": Learner(model=ToyNetConfig(dropout=0.5), optimizer=ADAM),
    "b": Learner(model=ToyNetConfig(input=InputSpec(length=3, size=(8, 12)), width=6), optimizer=ADAM),
}
ALONE = {
    "a": Alone(epochs=3, batch_size=1),
    "b": Alone(epochs=2, batch_size=6, accumulate=2, validate_every=2, monitor="cc", optimizer=SGD),
}


def toy_run() -> Run:
    return Run(
        name="toy",
        task=TASK,
        data=ToyData(),
        learners=LEARNERS,
        stages=(Stage(name="scratch", alone=ALONE), Stage(name="bi_kd", epochs=1, start="scratch", distiller=BiKD())),
        train=Training(batch_size=4, log_every=1, checkpoint_every=1, device="cpu"),
    )


def single(learner: str) -> Run:
    """What the learner's part of the stage must equal: a run that knows no other learner."""
    own = ALONE[learner]
    config = LEARNERS[learner]
    return Run(
        name=learner,
        task=replace(TASK, monitor=own.monitor or "loss"),
        data=ToyData(),
        learners={learner: replace(config, optimizer=own.optimizer or config.optimizer)},
        stages=(Stage(name="scratch", epochs=own.epochs),),
        train=Training(
            batch_size=own.batch_size, accumulate=own.accumulate, validate_every=own.validate_every, device="cpu"
        ),
    )


def read_log(folder: Path) -> list[dict]:
    return [json.loads(text) for text in (folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    train(toy_run(), folder)
    return folder


@pytest.mark.parametrize("learner", ["a", "b"])
def test_each_learner_is_the_one_of_a_run_of_its_own(learner: str, done: Path, tmp_path: Path) -> None:
    train(single(learner), tmp_path)
    one = load_file(best_file(tmp_path, "scratch", learner))
    other = load_file(best_file(done, "scratch", learner))
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_the_log_has_the_steps_of_both_and_the_next_stage_follows(done: Path) -> None:
    log = read_log(done)
    size = len(ToyData().training({"a": LEARNERS["a"].model.input}))
    steps = {
        name: [line["step"] for line in log if line.get("alone") == name and line["kind"] == "train"] for name in "ab"
    }
    assert steps == {"a": [*range(1, 3 * size + 1)], "b": [*range(1, 2 * (size // 6) + 1)]}
    assert [line["step"] for line in log if line["stage"] == "bi_kd" and line["kind"] == "train"]
    assert {key for line in log for key in line if key.startswith("loss/") and line.get("alone") == "a"} == {"loss/a"}


@pytest.mark.parametrize("stop_at", [3, 14])
def test_a_stopped_run_goes_on_with_the_same_numbers(
    stop_at: int, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from saliency.training.trainer import Trainer

    step, count = Trainer._step, 0

    def stopping(self, *arguments) -> None:
        nonlocal count
        count += 1
        if count == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        step(self, *arguments)

    monkeypatch.setattr(Trainer, "_step", stopping)
    with pytest.raises(interrupt.Interrupted):
        train(toy_run(), tmp_path)
    monkeypatch.setattr(Trainer, "_step", step)
    train(toy_run(), tmp_path, resume=True)
    assert read_log(tmp_path) == read_log(done)
    for stage in ("scratch", "bi_kd"):
        for learner in LEARNERS:
            one, other = (load_file(best_file(folder, stage, learner)) for folder in (done, tmp_path))
            assert all(torch.equal(one[key], other[key]) for key in one)


def test_it_is_part_of_a_config() -> None:
    run = toy_run()
    assert decode(encode(run)) == run
    changed = overrides.apply(run, ["stages.scratch.alone.a.epochs=7"])
    assert changed.stages[0].alone["a"].epochs == changed.stages[0].length == 7


def test_a_dry_run_measures_each_learner() -> None:
    a, b, bi_kd = dry_run(toy_run(), 1)
    assert [cost.stage for cost in (a, b, bi_kd)] == ["scratch/a", "scratch/b", "bi_kd"]
    assert (a.batch, b.batch, bi_kd.batch) == (1, 6, 4)
    assert b.measured_batch == 3, "a step of 6 is done in two parts"
    assert b.hours == pytest.approx((b.steps * b.step_seconds[0] * 2 + b.validation_seconds) / 3600)


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    run = toy_run()
    with pytest.raises(ValueError, match="trains a alone; it must say how for each of a, b"):
        replace(run, stages=(Stage(name="scratch", alone={"a": ALONE["a"]}),))
    with pytest.raises(ValueError, match="have no teachers"):
        replace(run, stages=(Stage(name="scratch", alone=ALONE, distiller=BiKD()),))
    unknown = overrides.apply(run, ["stages.scratch.alone.b.monitor=ccc"])
    with pytest.raises(InputError, match=r"stages\.scratch\.alone\.b\.monitor: no metric 'ccc'; did you mean 'cc'"):
        train(unknown, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match=r"choose stages\.scratch\.alone\.a\.batch_size as a multiple of 2"):
        check_splits(run, RunSamples.of(run), 2)


def test_clips_may_have_rules_of_their_own_for_a_learner() -> None:
    rule = OwnClips(grid=(9, 16), sampling=Sampling(val=Targets(lead=3, step=8)))
    clips = SaliencyClips(source=Synthetic(train=2, val=1, frames=20), grid=(18, 32), alone={"a": rule})
    own = clips.own("a")
    assert own.grid == (9, 16) and own.source.sampling == rule.sampling
    assert own.source.train == 2, "the rest of the data set is the run's"
    assert clips.own("b") is clips
    stage = Stage(name="scratch", alone=ALONE)
    run = replace(toy_run(), data=clips, stages=(stage,))
    samples = RunSamples.of(run)
    assert len(samples.alone["scratch", "a"].validation) == 3  # frames 3, 11 and 19 of the one video
    assert len(samples.alone["scratch", "b"].validation) == 1  # frame 15
