"""Learners of every kind in one run: what they share, and what stays their own."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from saliency.config.run import Learner, Optimizer, Run, Stage, Training
from saliency.datasets.digits import Digits
from saliency.distillation.bi_kd import BiKD
from saliency.distillation.control import TaskOnly
from saliency.distillation.dml import DML
from saliency.distillation.kd import KD
from saliency.distillation.kl_dp import KLDP
from saliency.errors import InputError
from saliency.models.digits import CNNConfig, MLPConfig
from saliency.tasks.classification import ClassificationTask
from saliency.tasks.saliency import SaliencyTask
from saliency.testing import ToyData, ToyNetConfig, ToyTask
from saliency.training.run_folder import best_file
from saliency.training.trainer import train
from saliency.types import InputSpec

ADAM = Optimizer(lr=1e-2)
SGD = Optimizer(name="sgd", lr=0.1, schedule="cosine", warmup_steps=2, clip_norm=1.0)
LARGE = InputSpec(length=4, stride=2, size=(16, 24), mean=(0.45, 0.45, 0.45), std=(0.225, 0.225, 0.225))
"""Another size, stride and normalisation than the toy model's own."""
LARGE_TIME = InputSpec(length=4, size=(8, 12))


def toy(learners, distiller, *, epochs=2, task=None) -> Run:
    return Run(
        name="toy",
        task=task or ToyTask(),
        data=ToyData(),
        learners=learners,
        stages=(Stage(name="s", epochs=epochs, distiller=distiller),),
        train=Training(batch_size=4, device="cpu", log_every=1, max_bad_steps=2, threads=1),
    )


def poisoned(after: int) -> Learner:
    return Learner(model=ToyNetConfig(poison_after=after), optimizer=ADAM)


def weights(folder: Path, learner: str) -> dict[str, torch.Tensor]:
    return load_file(best_file(folder, "s", learner))


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def log(folder: Path) -> list[dict]:
    lines = [json.loads(text) for text in (folder / "log.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == "train"]


@pytest.mark.parametrize("distiller", [BiKD(), BiKD(stop_gradient=False), DML()], ids=["bi_kd", "no_stop", "dml"])
def test_a_nan_learner_leaves_a_transfer_as_it_is_without_it(distiller, tmp_path, caplog):
    """The bad one is NaN from the first step and stopped after the second; the others teach each other."""
    good = {
        "a": Learner(model=ToyNetConfig(dropout=0.5), optimizer=ADAM),
        "b": Learner(model=ToyNetConfig(width=6), optimizer=SGD),
    }
    train(toy(good, distiller), tmp_path / "without")
    train(toy({"bad": poisoned(0), **good}, distiller), tmp_path / "with")
    for name in good:
        assert same(weights(tmp_path / "with", name), weights(tmp_path / "without", name))
    assert "learner bad is stopped in stage s at step 2" in caplog.text
    assert log(tmp_path / "without")[-1]["transfer"] == log(tmp_path / "with")[-1]["transfer"] > 0


@pytest.mark.parametrize("distiller", [BiKD(), DML(), KD(teacher="bad")], ids=["bi_kd", "dml", "kd"])
def test_the_last_learner_goes_on_when_its_partner_is_stopped(distiller, tmp_path, caplog):
    good = Learner(model=ToyNetConfig(width=6), optimizer=ADAM)
    train(toy({"bad": poisoned(2), "a": good}, distiller, epochs=4), tmp_path)
    assert "learner bad is stopped" in caplog.text
    lines = log(tmp_path)
    assert lines[0]["transfer"] > 0
    assert lines[-1]["step"] == 12
    assert lines[-1]["transfer"] == lines[-1]["taught/bad"] == 0
    assert lines[-1]["loss/a"] < lines[0]["loss/a"]


def test_sizes_strides_and_normalisations_meet_in_one_batch(tmp_path):
    learners = {
        "small": Learner(model=ToyNetConfig(), optimizer=ADAM),
        "large": Learner(model=ToyNetConfig(input=LARGE, width=2), optimizer=ADAM),
    }
    train(toy(learners, BiKD(), task=SaliencyTask()), tmp_path)
    assert sum(line["taught/small"] + line["taught/large"] for line in log(tmp_path)) == len(log(tmp_path))


def test_every_learner_has_its_own_optimizer_and_schedule(tmp_path):
    """Without transfer a run of several learners is the runs of each."""
    learners = {
        "adam": Learner(model=ToyNetConfig(dropout=0.5), optimizer=ADAM),
        "sgd": Learner(model=ToyNetConfig(width=6), optimizer=SGD),
    }
    train(toy(learners, TaskOnly()), tmp_path / "both")
    for name, learner in learners.items():
        train(toy({name: learner}, TaskOnly()), tmp_path / name)
        assert same(weights(tmp_path / "both", name), weights(tmp_path / name, name))
    rates = [(line["lr/adam"], line["lr/sgd"]) for line in log(tmp_path / "both")]
    assert {adam for adam, _ in rates} == {1e-2}
    sgd = [rate for _, rate in rates]
    assert sgd[:2] == pytest.approx([0.05, 0.1])
    assert sgd[2:] == sorted(sgd[2:], reverse=True)
    assert sgd[-1] < 0.05


@pytest.mark.parametrize("frozen", ["learner", "copy"])
def test_a_frozen_network_is_in_eval_mode_and_keeps_its_statistics(frozen, tmp_path, monkeypatch):
    """Its batch norm neither adapts nor depends on the batch; the trainable one's does."""
    modes: dict[bool, set[bool]] = {True: set(), False: set()}  # may it learn -> training flags seen
    from saliency.models.digits import Classifier

    forward = Classifier.forward

    def watched(self, images):
        if torch.is_inference_mode_enabled() or not _in_step(self):
            return forward(self, images)
        modes[any(p.requires_grad for p in self.parameters())].add(self.training)
        return forward(self, images)

    inside = []

    def _in_step(_):
        return bool(inside)

    from saliency.training.trainer import Trainer

    step = Trainer._step

    def entered(self, *args):
        inside.append(1)
        step(self, *args)
        inside.pop()

    monkeypatch.setattr(Trainer, "_step", entered)
    monkeypatch.setattr(Classifier, "forward", watched)
    pytest.importorskip("sklearn")
    image = InputSpec(length=1, size=(8, 8))
    teacher = Learner(model=CNNConfig(input=image), optimizer=None)
    student = Learner(model=MLPConfig(input=image), optimizer=ADAM)
    if frozen == "copy":
        learners = {"cnn": replace(teacher, optimizer=ADAM), "mlp": student}
        stage = Stage(name="s", epochs=1, distiller=KD(teacher="old"), frozen={"old": "cnn"})
    else:
        learners = {"cnn": teacher, "mlp": student}
        stage = Stage(name="s", epochs=1, distiller=KD(teacher="cnn"))
    run = Run(
        name="frozen",
        task=ClassificationTask(),
        data=Digits(source="sklearn", train_size=64),
        learners=learners,
        stages=(stage,),
        train=Training(batch_size=32, validation_batch=1000, device="cpu", threads=1),
    )
    train(run, tmp_path)
    assert modes == {True: {True}, False: {False}}
    assert best_file(tmp_path, "s", "cnn").exists() == (frozen == "copy")


def test_one_learner_cannot_transfer(tmp_path):
    with pytest.raises(InputError, match="Bi-KD needs at least 2 learners, got 1"):
        train(toy({"a": Learner(model=ToyNetConfig(), optimizer=ADAM)}, BiKD()), tmp_path)


def test_models_with_heads_of_different_tasks_are_refused(tmp_path):
    """One message names what the task wants and what came."""
    pytest.importorskip("sklearn")
    image = InputSpec(length=1, size=(8, 8))
    digits = Digits(source="sklearn", train_size=64)
    mlp = Learner(model=MLPConfig(input=image), optimizer=ADAM)
    run = replace(toy({"a": mlp, "b": replace(mlp, model=MLPConfig(input=image, classes=7))}, BiKD()), data=digits)
    with pytest.raises(TypeError, match=r"stage s .* a \(4, 10\), b \(4, 7\): learners need the same task's head"):
        train(replace(run, task=ClassificationTask()), tmp_path / "classes")
    with pytest.raises(TypeError, match=r"saliency task wants maps \(B, H, W\) from a model, got \(4, 10\)"):
        train(replace(run, task=SaliencyTask()), tmp_path / "task")


def test_frozen_copies_are_the_learners_as_a_stage_begins(tmp_path):
    """KL+DP with one teacher after the other: each stage freezes the student that the one before has made."""
    learners = {
        "student": Learner(model=ToyNetConfig(), optimizer=ADAM),
        "first": Learner(model=ToyNetConfig(width=6), optimizer=None),
        "second": Learner(model=ToyNetConfig(input=LARGE_TIME), optimizer=None),
    }
    stages = [
        Stage(
            name=teacher,
            epochs=2,
            start=start,
            frozen={"initial": "student"},
            distiller=KLDP(teachers=(teacher,), initial="initial", supervised=True, task_weight=1.0),
        )
        for teacher, start in (("first", None), ("second", "first"))
    ]
    train(replace(toy(learners, TaskOnly()), stages=tuple(stages)), tmp_path)
    lines = log(tmp_path)
    beginnings = [line for line in lines if line["step"] == 1]
    assert [line["stage"] for line in beginnings] == ["first", "second"]
    for line in beginnings:
        assert line["loss/student"] == line["loss/initial"]
    assert all(line["loss/student"] != line["loss/initial"] for line in lines if line["step"] > 1)
    assert beginnings[1]["loss/initial"] < beginnings[0]["loss/initial"]
