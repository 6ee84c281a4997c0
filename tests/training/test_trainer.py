"""The training loop: exact, resumable, and one learner's trouble is its own."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from saliency.config.run import Learner, Optimizer, Run, Stage, Training
from saliency.distillation.bi_kd import BiKD
from saliency.errors import InputError
from saliency.io.serial import dumps
from saliency.runtime import interrupt
from saliency.testing import ToyData, ToyNetConfig, ToyTask
from saliency.training.optimization import LossScale, make_optimizer
from saliency.training.run_folder import best_file
from saliency.training.trainer import Trainer, train
from saliency.types import InputSpec

ADAM = Optimizer(lr=1e-2)


def toy_run(**train_options) -> Run:
    options = {"batch_size": 4, "log_every": 1, "checkpoint_every": 1, "device": "cpu"} | train_options
    return Run(
        name="toy",
        task=ToyTask(),
        data=ToyData(),
        learners={
            "a": Learner(model=ToyNetConfig(dropout=0.5), optimizer=ADAM),
            "b": Learner(model=ToyNetConfig(input=InputSpec(length=3, size=(8, 12)), width=6), optimizer=ADAM),
        },
        stages=(
            Stage(name="scratch", epochs=3),
            Stage(name="control", epochs=2, start="scratch"),
            Stage(name="bi_kd", epochs=2, start="scratch", distiller=BiKD()),
        ),
        train=Training(**options),
    )


def read_log(folder: Path, kind: str = "train") -> list[dict]:
    lines = [json.loads(text) for text in (folder / "log.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


def weights(folder: Path, stage: str, learner: str) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(best_file(folder, stage, learner))


def assert_same_weights(a: Path, b: Path, stage: str, learner: str) -> None:
    one, other = weights(a, stage, learner), weights(b, stage, learner)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run."""
    folder = tmp_path_factory.mktemp("reference")
    train(toy_run(), folder)
    return folder


def test_losses_fall_and_every_sample_has_a_teacher(reference: Path) -> None:
    log = read_log(reference)
    scratch = [line["loss/a"] for line in log if line["stage"] == "scratch"]
    assert scratch[-1] < scratch[0]
    shares = [line["taught/a"] + line["taught/b"] for line in log if line["stage"] == "bi_kd"]
    assert shares == pytest.approx([1.0] * len(shares))
    assert all(line["transfer"] > 0 for line in log if line["stage"] == "bi_kd")
    assert not [
        key for line in log if line["stage"] == "control" for key in line if key.startswith(("taught", "trans"))
    ]
    assert all(line["grad_norm/a"] > 0 for line in log if line["kind"] == "train")


def test_same_seed_same_losses_another_seed_others(reference: Path, tmp_path: Path) -> None:
    train(toy_run(), tmp_path / "again")
    assert read_log(tmp_path / "again") == read_log(reference)
    train(toy_run(seed=1), tmp_path / "other")
    assert read_log(tmp_path / "other") != read_log(reference)


def test_workers_do_not_change_a_number(reference: Path, tmp_path: Path) -> None:
    train(toy_run(workers=1), tmp_path)
    assert read_log(tmp_path) == read_log(reference)


def test_control_and_transfer_see_the_same_first_batch(reference: Path) -> None:
    first = {line["stage"]: line for line in reversed(read_log(reference))}
    assert first["control"]["loss/b"] == first["bi_kd"]["loss/b"]


def test_interrupted_run_resumes_with_the_same_numbers(
    reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = 0

    def stop_at_step_five(self) -> bool:
        nonlocal checks
        checks += 1
        self.request.signal = signal.SIGINT if checks == 5 else None
        return checks == 5

    monkeypatch.setattr("saliency.training.trainer.Trainer._stop_requested", stop_at_step_five)
    with pytest.raises(interrupt.Interrupted) as stopped:
        train(toy_run(checkpoint_every=100), tmp_path)
    assert stopped.value.exit_status == 130
    assert len(read_log(tmp_path)) == 5
    train(toy_run(checkpoint_every=100), tmp_path, resume=True)
    assert read_log(tmp_path) == read_log(reference)
    assert read_log(tmp_path, "val") == read_log(reference, "val")
    for stage in ("scratch", "control", "bi_kd"):
        assert_same_weights(reference, tmp_path, stage, "a")


def test_a_log_line_goes_on_where_it_was_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = Learner(model=ToyNetConfig(poison_after=1), optimizer=ADAM)
    run = toy_run(log_every=3, checkpoint_every=100, max_bad_steps=50)
    run = replace(run, learners={**run.learners, "bad": bad}, stages=(Stage(name="scratch", epochs=3),))
    train(run, tmp_path / "whole")
    checks = 0

    def stop_at_step_five(self) -> bool:
        nonlocal checks
        checks += 1
        self.request.signal = signal.SIGINT if checks == 5 else None
        return checks == 5

    monkeypatch.setattr("saliency.training.trainer.Trainer._stop_requested", stop_at_step_five)
    with pytest.raises(interrupt.Interrupted):
        train(run, tmp_path / "parts")
    # the poisoned model counts its own passes, so its steps after the start are compared up to the interruption
    train(run, tmp_path / "parts", resume=True)
    whole, parts = read_log(tmp_path / "whole"), read_log(tmp_path / "parts")
    assert [line["loss/a"] for line in parts] == [line["loss/a"] for line in whole]
    assert read_log(tmp_path / "parts", "skipped")[:4] == read_log(tmp_path / "whole", "skipped")[:4]


RUN_TOY = """
import sys
from pathlib import Path
from saliency.config.load import load_run
from saliency.runtime.interrupt import Interrupted
from saliency.training.trainer import train
try:
    train(load_run(sys.argv[1]), Path(sys.argv[2]), resume=True)
except Interrupted as request:
    sys.exit(request.exit_status)
"""


def start_toy(config: Path, folder: Path) -> subprocess.Popen[bytes]:
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", RUN_TOY, str(config), str(folder)], env=env)


def wait_for_log(folder: Path, lines: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        path = folder / "log.jsonl"
        if path.exists() and path.read_text().count("\n") >= lines:
            return
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.hostile("interrupted trainings")
def test_run_killed_twenty_times_gives_the_same_numbers(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    record_property("cases", (20, 0))
    run = toy_run()
    run = replace(run, stages=tuple(replace(stage, epochs=stage.epochs * 6) for stage in run.stages))
    train(run, tmp_path / "reference")
    config = tmp_path / "config.json"
    config.write_text(dumps(run))
    random.seed(0)
    killed = 0
    while killed < 20:
        process = start_toy(config, tmp_path / "killed")
        path = tmp_path / "killed" / "log.jsonl"
        before = path.read_text().count("\n") if path.exists() else 0
        wait_for_log(tmp_path / "killed", before + random.randint(1, 4), process)
        time.sleep(random.random() * 0.02)
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed += 1
    assert killed == 20, "the run finished before it was killed often enough"
    assert start_toy(config, tmp_path / "killed").wait(timeout=240) == 0
    assert read_log(tmp_path / "killed") == read_log(tmp_path / "reference")
    assert_same_weights(tmp_path / "killed", tmp_path / "reference", "bi_kd", "b")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_save_and_exit_with_their_status(tmp_path: Path, number: signal.Signals, status: int) -> None:
    run = toy_run(checkpoint_every=10_000)
    run = replace(run, stages=(Stage(name="scratch", epochs=3000),))
    config = tmp_path / "config.json"
    config.write_text(dumps(run))
    process = start_toy(config, tmp_path / "run")
    wait_for_log(tmp_path / "run", 4, process)
    process.send_signal(number)
    assert process.wait(timeout=60) == status
    saved = sorted((tmp_path / "run" / "scratch" / "checkpoints").glob("step-*"))
    assert len(saved) == 1
    step = json.loads((saved[0] / "progress.json").read_text())["step"]
    assert step == max(line["step"] for line in read_log(tmp_path / "run"))


def test_accumulation_gives_the_gradient_of_the_whole_batch(tmp_path: Path) -> None:
    def run(accumulate: int) -> Run:
        run = toy_run(accumulate=accumulate)
        learners = {"b": run.learners["b"], "c": replace(run.learners["b"], init="scratch")}
        return replace(run, learners=learners, stages=run.stages[:1])

    for accumulate in (1, 2):
        train(run(accumulate), tmp_path / str(accumulate))
    whole, parts = (weights(tmp_path / name, "scratch", "b") for name in ("1", "2"))
    for key, value in whole.items():
        torch.testing.assert_close(parts[key], value, rtol=1e-4, atol=1e-5)


def test_a_learner_that_goes_nan_is_stopped_and_leaves_the_others_alone(tmp_path: Path, caplog) -> None:
    run = toy_run(max_bad_steps=2)
    alone = replace(run, stages=run.stages[:1], learners={"b": run.learners["b"]})
    bad = Learner(model=ToyNetConfig(poison_after=2), optimizer=ADAM)
    mixed = replace(alone, learners={"bad": bad, "b": run.learners["b"]})
    train(alone, tmp_path / "alone")
    train(mixed, tmp_path / "mixed")
    assert_same_weights(tmp_path / "alone", tmp_path / "mixed", "scratch", "b")
    assert "learner bad is stopped" in caplog.text
    losses = [line["loss/bad"] for line in read_log(tmp_path / "mixed")]
    assert math.isnan(losses[-1])
    skipped = read_log(tmp_path / "mixed", "skipped")
    assert [(line["learner"], line["step"]) for line in skipped] == [("bad", 3), ("bad", 4)]
    assert all(len(line["ids"]) == 4 for line in skipped), "the samples of the step by name"


def test_a_nan_learner_does_not_teach_and_is_not_taught(tmp_path: Path) -> None:
    run = toy_run(max_bad_steps=2)
    learners = {"bad": Learner(model=ToyNetConfig(poison_after=3), optimizer=ADAM), **run.learners}
    train(replace(run, learners=learners, stages=(Stage(name="bi_kd", epochs=3, distiller=BiKD()),)), tmp_path)
    last = read_log(tmp_path)[-1]
    assert last["taught/bad"] == 0
    assert last["taught/a"] + last["taught/b"] == pytest.approx(1.0)
    assert math.isfinite(last["transfer"]) and math.isfinite(last["loss/a"])


def test_half_precision_scales_the_loss_and_survives_overflow(tmp_path: Path) -> None:
    run = replace(toy_run(precision="fp16", max_bad_steps=20), stages=toy_run().stages[:1])
    whole = replace(run, train=replace(run.train, precision="fp32"))
    train(run, tmp_path / "half")
    train(whole, tmp_path / "whole")
    half, whole_log = read_log(tmp_path / "half"), read_log(tmp_path / "whole")
    assert half[-1]["loss/b"] == pytest.approx(whole_log[-1]["loss/b"], rel=0.05)


def test_loss_scale_halves_after_overflow_and_doubles_after_good_steps() -> None:
    scale = LossScale([1024.0, 0.0], torch.device("cpu"))
    good, bad = torch.tensor(0.0), torch.tensor(1.0)
    scale.update([good, bad])
    assert scale.state() == [512.0, 0.0]
    for _ in range(LossScale.PATIENCE - 1):
        scale.update([good, good])
    assert scale.state() == [512.0, LossScale.PATIENCE - 1]
    scale.update([good])
    assert scale.state() == [1024.0, 0.0]


class MarkedData(ToyData):
    """Toy data that can say which it is."""

    mark = "one"

    def training(self, views):
        samples = super().training(views)
        samples.fingerprint = lambda: self.mark  # pyright: ignore[reportAttributeAccessIssue]
        return samples


def test_resume_on_other_data_is_refused_unless_forced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = replace(toy_run(), data=MarkedData(), stages=toy_run().stages[:1])
    train(run, tmp_path)
    monkeypatch.setattr(MarkedData, "mark", "two")
    with pytest.raises(InputError, match='training: "one" -> "two"'):
        train(run, tmp_path, resume=True)
    train(run, tmp_path, resume=True, force=True)


def test_summary_says_where_everything_lies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(replace(toy_run(), stages=toy_run().stages[:1]), tmp_path)
    text = capsys.readouterr().err
    assert str(best_file(tmp_path, "scratch", "a")) in text
    assert "best loss" in text and str(tmp_path / "log.jsonl") in text


class ScoredTask(ToyTask):
    """A toy task with a metric that is best in the beginning."""

    metrics: ClassVar[Mapping[str, Callable]] = {
        "worst": lambda pred, target: ((pred - target.density) ** 2).mean((-2, -1)),
    }


def test_best_weights_are_kept_for_every_metric_asked_for(tmp_path: Path) -> None:
    run = replace(toy_run(keep_best=("worst",)), task=ScoredTask(), stages=toy_run().stages[:1])
    train(run, tmp_path)
    by_loss, by_worst = weights(tmp_path, "scratch", "a"), weights(tmp_path, "scratch", "a.worst")
    assert not torch.equal(by_loss["last.weight"], by_worst["last.weight"])
    with pytest.raises(InputError, match="no metric 'cc'; this task has loss, worst"):
        train(replace(run, train=replace(run.train, keep_best=("cc",))), tmp_path / "other")


def test_all_learners_nan_ends_the_run_with_the_reason(tmp_path: Path) -> None:
    run = toy_run(max_bad_steps=2)
    bad = Learner(model=ToyNetConfig(poison_after=1), optimizer=ADAM)
    with pytest.raises(InputError, match="no learner is left"):
        train(replace(run, learners={"bad": bad}, stages=run.stages[:1]), tmp_path)


def test_frozen_learner_teaches_and_never_moves(reference: Path, tmp_path: Path) -> None:
    run = toy_run()
    frozen = Learner(model=run.learners["b"].model, optimizer=None, init=str(best_file(reference, "scratch", "b")))
    learners = {"frozen": frozen, "a": run.learners["a"]}
    train(replace(run, learners=learners, stages=(Stage(name="kd", epochs=2, distiller=BiKD()),)), tmp_path)
    assert not best_file(tmp_path, "kd", "frozen").exists()
    assert sum(line["taught/frozen"] for line in read_log(tmp_path)) > 0


def test_second_run_into_a_folder_is_refused(reference: Path) -> None:
    with pytest.raises(InputError, match="already holds a run"):
        train(toy_run(), reference)


def test_resume_with_another_config_says_what_changed(reference: Path) -> None:
    with pytest.raises(InputError, match=r"train\.batch_size: 4 -> 2"):
        train(toy_run(batch_size=2), reference, resume=True)


def test_resume_of_a_finished_run_does_nothing(reference: Path) -> None:
    before = (reference / "log.jsonl").read_text()
    train(toy_run(), reference, resume=True)
    assert (reference / "log.jsonl").read_text() == before


def test_running_folder_is_locked(tmp_path: Path) -> None:
    from saliency.training import run_folder

    with (
        run_folder.claim(tmp_path, toy_run(), {}, resume=True),
        pytest.raises(InputError, match="another process"),
        run_folder.claim(tmp_path, toy_run(), {}, resume=True),
    ):
        pass


def test_no_host_synchronisation_inside_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values reach the host when a line is logged, never in between."""
    waits: list[str] = []
    inside = False
    step = Trainer._step

    def watched(self, *args) -> None:
        nonlocal inside
        inside = True
        step(self, *args)
        inside = False

    monkeypatch.setattr(Trainer, "_step", watched)
    for name in ("item", "__bool__", "tolist", "__float__", "__int__"):
        original = getattr(torch.Tensor, name)

        def hooked(self, *args, _name=name, _original=original):
            if inside:
                waits.append(_name)
            return _original(self, *args)

        monkeypatch.setattr(torch.Tensor, name, hooked)
    run = toy_run(log_every=100)
    train(replace(run, stages=(Stage(name="bi_kd", epochs=1, distiller=BiKD()),)), tmp_path)
    assert waits == []


def test_a_stage_replaces_learning_rate_and_weight_decay() -> None:
    config = Optimizer(lr=1e-2, weight_decay=0.5)
    stage = Stage(name="transfer", epochs=1, lr=1e-6, weight_decay=1e-5)
    (group,) = make_optimizer(config, ToyNetConfig().build(), stage).param_groups
    assert (group["lr"], group["weight_decay"]) == (1e-6, 1e-5)
    (group,) = make_optimizer(config, ToyNetConfig().build(), Stage(name="first", epochs=1)).param_groups
    assert (group["lr"], group["weight_decay"]) == (1e-2, 0.5)
