"""The analyses of a whole run, for classification and for saliency."""

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from saliency.analysis import summary
from saliency.analysis.teacher_share import read_shares
from saliency.analysis.transfer import Features, analyse
from saliency.config.run import Learner, Run, Stage, Training
from saliency.datasets.digits import Digits
from saliency.distillation.bi_kd import BiKD
from saliency.errors import InputError
from saliency.io.weights import load_model
from saliency.models.digits import CNNConfig, MLPConfig
from saliency.report.plot import bars, colour_of
from saliency.tasks.classification import ClassificationTask
from saliency.tasks.saliency import SaliencyTask
from saliency.testing import ToyData, ToyNetConfig
from saliency.training.run_folder import best_file
from saliency.training.trainer import train
from saliency.types import InputSpec

STAGES = (
    Stage(name="before", epochs=2),
    Stage(name="control", epochs=1, start="before"),
    Stage(name="bi_kd", epochs=1, start="before", distiller=BiKD()),
)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    pytest.importorskip("sklearn")
    folder = tmp_path_factory.mktemp("digits")
    spec = InputSpec(length=1, size=(8, 8))
    run = Run(
        name="toy",
        task=ClassificationTask(),
        data=Digits(source="sklearn", train_size=500),
        learners={
            "mlp": Learner(model=MLPConfig(input=spec, width=8)),
            "cnn": Learner(model=CNNConfig(input=spec, width=2)),
        },
        stages=STAGES,
        train=Training(batch_size=50, device="cpu", threads=1, validate_every=2),
    )
    run = replace(
        run,
        learners={
            n: replace(learner, optimizer=replace(learner.optimizer, lr=1e-2)) for n, learner in run.learners.items()
        },
    )
    train(run, folder)
    return run, folder


def test_classification(digits):
    run, folder = digits
    analysis = analyse(run, folder, before="before", features=Features(top=5), device="cpu")
    assert [stage.stage for stage in analysis.stages] == ["before", "control", "bi_kd"]
    assert analysis.samples == 1297

    # against a computation of its own
    samples = run.data.validation({n: learner.model.input for n, learner in run.learners.items()})
    batch = samples.prepare(list(range(len(samples))), torch.device("cpu"))
    with torch.no_grad():
        p = {n: load_model(best_file(folder, "before", n)).model(batch.inputs[n]).softmax(1) for n in run.learners}
    correct = {n: (q.argmax(1) == batch.target).double().mean().item() for n, q in p.items()}
    before = analysis.stages[0]
    assert {n: own["top1"] for n, own in before.scores.items()} == pytest.approx(correct)
    together = ((p["mlp"] + p["cnn"]).argmax(1) == batch.target).double().mean().item()
    assert analysis.ensemble["top1"] == pytest.approx(together)
    better = (p["mlp"] > p["cnn"]).gather(1, batch.target[:, None]).double().mean().item()
    assert before.taught["mlp"] == pytest.approx(better, abs=1e-3)

    after = analysis.stages[2]
    for name in run.learners:
        found = after.recovered[name]["top1"]
        assert found.percent == pytest.approx(
            100 * (after.scores[name]["top1"] - correct[name]) / (together - correct[name])
        )
        changed = after.changed[name]
        assert changed.gained - changed.lost == pytest.approx(1297 * (after.scores[name]["top1"] - correct[name]))
    assert after.cases["all"].samples == 1297
    assert after.similarity["mlp / cnn"].dimensions == (8, 16)
    assert after.similarity["mlp / cnn"].score > after.similarity["mlp / cnn"].chance
    assert not before.recovered


def test_the_page_says_everything(digits, tmp_path):
    run, folder = digits
    analysis = analyse(run, folder, before="before", stages=["bi_kd"], features=Features(top=5), device="cpu")
    written = summary.write(analysis, read_shares(folder / "log.jsonl"), tmp_path / "out")
    text = (tmp_path / "out/analysis.md").read_text()
    for heading in ("Scores", "Recovered", "top-1 changed", "Who would teach", "Teacher and student", "Similarity"):
        assert heading in text
    assert "chance" in text
    data = json.loads((tmp_path / "out/analysis.json").read_text())
    assert data["stages"][1]["cases"]["all"]["samples"] == 1297
    for path in written:
        if path.suffix == ".svg":
            ElementTree.parse(path)
    assert {path.name for path in written} >= {"cca.svg", "taught_bi_kd.svg"}


def test_every_series_of_a_plot_has_its_own_colour_and_its_name():
    names = [f"a_stage_with_a_long_name_{k}" for k in range(30)]
    assert len({colour_of(k) for k in range(30)}) == 30
    drawn = bars({"a / b": dict.fromkeys(names, 0.5)}, "title", "y")
    texts = [element.text for element in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert set(names) <= set(texts)


def test_saliency(tmp_path):
    run = Run(
        name="toy",
        task=SaliencyTask(),
        data=ToyData(size=4, held_out=6),
        learners={"a": Learner(model=ToyNetConfig()), "b": Learner(model=ToyNetConfig(width=2))},
        stages=STAGES,
        train=Training(batch_size=2, device="cpu", threads=1),
    )
    train(run, tmp_path)
    analysis = analyse(run, tmp_path, before="before", device="cpu")
    assert set(analysis.ensemble) == {"cc", "kld", "sim", "nss", "auc_judd"}
    stage = analysis.stages[-1]
    assert set(stage.recovered["a"]) == set(analysis.ensemble)
    assert sum(stage.taught.values()) == pytest.approx(1)
    assert not stage.cases
    assert not stage.similarity
    assert np.isfinite(stage.recovered["a"]["cc"].after)
    assert "cc" in summary.markdown(analysis, [])


def test_what_is_missing_is_named(digits, tmp_path):
    run, folder = digits
    with pytest.raises(InputError, match="did you mean 'control'"):
        analyse(run, folder, before="before", stages=["controll"], device="cpu")
    with pytest.raises(InputError, match="train stage 'before' first"):
        analyse(run, Path(tmp_path), before="before", device="cpu")
    with pytest.raises(InputError, match="at least 2 learners"):
        analyse(replace(run, learners={"mlp": run.learners["mlp"]}), folder, before="before", device="cpu")
