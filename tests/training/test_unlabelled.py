"""Samples without ground truth: what is paid for them, who teaches on them, and that a run with them is resumed."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from saliency.config.run import Learner, Optimizer, Run, Stage, Training
from saliency.data.clips import SaliencyClips
from saliency.datasets.folder import Folder
from saliency.distillation.base import Transfer, combine
from saliency.distillation.label_free import LabelFree
from saliency.errors import InputError
from saliency.models.vinet_s import ViNetSConfig
from saliency.serve.example import write_study
from saliency.tasks.saliency import SaliencyTask
from saliency.training import predicted_loss
from saliency.training.predicted_loss import LEAST, LossPredictor
from saliency.training.trainer import train
from saliency.types import InputSpec, SaliencyTarget


def test_a_sample_without_label_pays_for_transfer_alone():
    losses = {"a": torch.tensor([1.0, torch.nan]), "b": torch.tensor([3.0, torch.nan])}
    taught = torch.zeros(2, 2, dtype=torch.bool)
    transfer = Transfer(torch.tensor([0.5, 2.0]), taught, labels=False)
    assert combine(losses, transfer).item() == (1 + 3 + 0.5 + 2.0) / 2
    assert combine(losses, replace(transfer, labels=True)).item() == 1 + 3 + 0.5  # the second is left out
    assert combine(losses, replace(transfer, task_weight=0.0)).item() == (0.5 + 2.0) / 2


def test_a_random_teacher_needs_no_score_and_teaches_alike_often():
    preds = {"a": torch.rand(400, 3), "b": torch.rand(400, 3)}
    unknown = {name: torch.full((400,), torch.nan) for name in preds}
    torch.manual_seed(0)
    teachers = LabelFree(by="random")(preds, unknown, lambda s, t: (s - t).abs().sum(1)).teachers
    assert (teachers.sum(0) == 1).all() and 150 < teachers[0].sum() < 250


def maps(count, sharpness, seed):
    """(B, 8, 8) random maps, the more concentrated the sharper."""
    noise = torch.randn(count, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (sharpness.view(-1, 1, 1) * noise).exp()


def test_a_loss_that_follows_from_the_confidence_is_predicted():
    task = SaliencyTask()
    predictor = LossPredictor(["a", "b"], torch.device("cpu"))
    rng = torch.Generator().manual_seed(1)

    def batch(count, seed):
        sharpness = torch.rand(2, count, generator=rng, dtype=torch.float64) * 2
        preds = {name: maps(count, sharpness[k], 10 * seed + k) for k, name in enumerate("ab")}
        # a is right where it is sure, b where it is not
        return preds, {"a": 1 - 0.3 * task.confidence(preds["a"]), "b": 3 + 0.2 * task.confidence(preds["b"])}

    preds, losses = batch(LEAST - 1, 0)
    found = predictor.confidences(task, preds, losses)
    assert torch.equal(found["a"], -losses["a"])  # known losses are taken as they are
    unknown = {name: torch.full_like(loss, torch.nan) for name, loss in losses.items()}
    assert predictor.confidences(task, preds, unknown)["a"].isnan().all()  # too few were seen
    for seed in range(1, 6):
        predictor.confidences(task, *batch(16, seed))
    before = predictor.state()
    assert predictor.read() > 0.95 and predictor.read() != predictor.read()  # NaN: nothing since
    preds, losses = batch(50, 9)
    unknown = {name: torch.full_like(loss, torch.nan) for name, loss in losses.items()}
    found = predictor.confidences(task, preds, unknown)
    for name, loss in losses.items():
        torch.testing.assert_close(found[name], -loss, atol=0.15, rtol=0)
    again = LossPredictor(["a", "b"], torch.device("cpu"))
    again.set_state(json.loads(json.dumps(before)))
    assert torch.equal(again.confidences(task, preds, unknown)["b"], found["b"])
    preds["a"][3] = torch.nan  # no prediction, no place among the teachers
    assert predictor.confidences(task, preds, unknown)["a"].isnan().nonzero().tolist() == [[3]]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two tiny networks on three labelled videos and four that nobody watched."""
    root = tmp_path_factory.mktemp("data")
    write_study(root / "labelled", videos=4, frames=6, size=(36, 64))
    write_study(root / "other", videos=4, frames=6, size=(36, 64), seed=7)
    shutil.rmtree(root / "other" / "gaze")
    spec = InputSpec(length=8, size=(32, 32))
    return Run(
        name="unlabelled",
        task=SaliencyTask(),
        data=SaliencyClips(
            source=Folder(root=root / "labelled", splits={"train": "scene_[1-3]", "val": "scene_4"}),
            unlabelled=Folder(root=root / "other", splits={"train": "*"}),
            grid=(18, 32),
            clips_per_video=3,
        ),
        learners={
            name: Learner(model=ViNetSConfig(input=spec, width=width), optimizer=Optimizer(lr=1e-3))
            for name, width in (("a", 0.0625), ("b", 0.125))
        },
        stages=(
            Stage(name="first", epochs=1, samples="labelled"),
            Stage(
                name="mixed",
                epochs=1,
                start="first",
                distiller=LabelFree(by="confidence", task_weight=1.0),
                confidence="predicted",
            ),
            Stage(name="without", epochs=1, start="first", samples="unlabelled", distiller=LabelFree()),
        ),
        train=Training(batch_size=3, checkpoint_every=3, log_every=1, device="cpu"),
    )


def test_samples_without_label_are_told_apart(run):
    samples = run.data.training({"a": InputSpec(length=2, size=(18, 32))})
    assert samples.subset(labelled=True) == list(range(9)) and samples.subset(labelled=False) == list(range(9, 21))
    batch = samples.prepare([samples[0, 0, 0], samples[0, 0, 20]], "cpu")
    assert batch.target.density.flatten(1).sum(1).tolist()[1] == 0 and batch.ids[1].startswith("scene_4:")
    loss = run.task.loss(torch.rand(2, 18, 32), SaliencyTarget(batch.target.density, batch.target.fixations))
    assert loss.isnan().tolist() == [False, True]
    with pytest.raises(InputError, match="video scene_1 has no ground truth"):
        replace(run.data, source=run.data.unlabelled, unlabelled=None).training({})


def test_a_run_with_them_logs_who_is_taught_and_is_resumed_to_the_last_bit(run, tmp_path, monkeypatch):
    monkeypatch.setattr(predicted_loss, "LEAST", 4)
    train(run, tmp_path / "whole")
    lines = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    steps = {name: [line for line in lines if line.get("stage") == name and "transfer" in line] for name in
             ("mixed", "without")}  # fmt: skip
    assert len(steps["mixed"]) == 7 and len(steps["without"]) == 4
    taught = [line["taught/a"] + line["taught/b"] for line in steps["mixed"]]
    assert taught[0] < 1 and taught[-1] == 1  # nobody is believed on unlabelled samples before enough was seen
    assert 0 <= steps["mixed"][-1]["teacher_predicted"] <= 1
    assert all(line["transfer"] > 0 for line in steps["without"])

    part, count = replace(run, stages=run.stages[:2]), 0
    predicted = LossPredictor.confidences

    class Stop(Exception):
        """Ends the first attempt."""

    def stops(self, *given):
        nonlocal count
        count += 1
        if count == 6:  # two steps after the checkpoint
            raise Stop
        return predicted(self, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LossPredictor, "confidences", stops)
        with pytest.raises(Stop):
            train(part, tmp_path / "stopped")
    train(part, tmp_path / "stopped", resume=True)
    for learner in "ab":
        one, two = (load_file(tmp_path / name / "mixed" / f"{learner}.safetensors") for name in ("whole", "stopped"))
        assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_stage_that_asks_for_samples_that_are_not_there_is_refused(run, tmp_path):
    wrong = replace(run, data=replace(run.data, unlabelled=None), stages=(replace(run.stages[2], start=None),))
    with pytest.raises(InputError, match="stage without: the data has no unlabelled samples"):
        train(wrong, tmp_path / "run")
