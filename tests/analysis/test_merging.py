"""Soups against weights worked by hand, and of a run of toy models against what its weights files say."""

import json
import math
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import nn

from saliency.analysis.merging import Bench, Scored, fisher_mean, greedy, mean, merge
from saliency.analysis.merging_text import write_merging
from saliency.commands.main import main
from saliency.config.run import Learner, Run, Stage, Training
from saliency.distillation.bi_kd import BiKD
from saliency.errors import InputError
from saliency.io.weights import load_model
from saliency.testing import ToyData, ToyNetConfig, ToyTask
from saliency.training.run_folder import best_file
from saliency.training.trainer import train
from saliency.types import Batch

CPU = torch.device("cpu")


def state(weight, statistic=0.0, count=0):
    return {"w": torch.tensor([weight]), "s": torch.tensor([statistic]), "n": torch.tensor(count)}


def test_means_by_hand():
    merged = mean([state(1.0, 2.0, 7), state(4.0, 4.0, 9)])
    assert (merged["w"], merged["s"], merged["n"]) == (2.5, 3.0, 7)
    fishers = [{"w": torch.tensor([3.0]).double()}, {"w": torch.tensor([1.0]).double()}]
    merged = fisher_mean([state(0.0, 2.0), state(4.0, 4.0)], fishers)
    assert merged["w"].item() == pytest.approx(1.0, abs=1e-4), "(3 * 0 + 1 * 4) / 4"
    assert merged["s"] == 3.0, "buffers have no Fisher information"
    nobody = [{"w": torch.zeros(1).double()}] * 2
    assert fisher_mean([state(0.0), state(4.0)], nobody)["w"] == 2.0


@dataclass
class Line:
    """Samples x = 1, 2, 3 with the answer 2."""

    metrics: ClassVar = {}

    def __len__(self):
        return 3

    def __getitem__(self, key):
        return key[-1] + 1.0 if isinstance(key, tuple) else key + 1.0

    def prepare(self, samples, device):
        return Batch(inputs={"m": torch.tensor(samples)}, target=torch.full((len(samples),), 2.0), ids=samples)

    def align(self, output, target):
        return output

    def loss(self, pred, target):
        return (pred - target) ** 2


class Times(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(factor))

    def forward(self, x):
        return self.w * x


def test_fisher_information_of_a_line():
    line = Line()
    bench = Bench(task=line, training=line, validation=line, view="m", batch_size=2, device=CPU)
    # w = 1: the derivatives 2 (x - 2) x are -2, 0, 6
    assert bench.fisher(Times(1.0), 0, 3)["w"].item() == pytest.approx((4 + 0 + 36) / 3)
    assert bench.scores(Times(1.0)) == {"loss": pytest.approx((1 + 0 + 1) / 3)}


def test_greedy_leaves_out_what_makes_it_worse():
    """The loss of a weight w is (w - 1)^2; the ingredients are 0, 2.2 and 9: 0 and 2.2 together are best."""

    def score(found):
        return {"loss": float((found["w"] - 1) ** 2)}

    given = [Scored(name=str(w), members=[str(w)], scores=score(state(w)), state=state(w)) for w in (9.0, 2.2, 0.0)]
    soup = greedy(given, "loss", score)
    assert soup.members == ["0.0", "2.2"] and soup.state["w"].item() == pytest.approx(1.1)
    assert soup.scores["loss"] == pytest.approx(0.01)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "seed-0"
    run = Run(
        name="toy",
        task=ToyTask(),
        data=ToyData(size=8, held_out=6),
        learners={
            "a": Learner(model=ToyNetConfig()),
            "b": Learner(model=ToyNetConfig()),
            "c": Learner(model=ToyNetConfig(width=2)),
        },
        stages=(
            Stage(name="before", epochs=1),
            Stage(name="control", epochs=1, start="before"),
            Stage(name="bi_kd", epochs=1, start="before", distiller=BiKD()),
        ),
        train=Training(batch_size=2, device="cpu", threads=1),
    )
    train(run, folder)
    return folder


def test_a_run(toy, tmp_path):
    first, narrow = merge([toy], stages=["control", "bi_kd"], fisher_samples=4, device="cpu")
    assert (first.name, narrow.name, first.metric, first.samples) == ("a+b", "c", "loss", 6)
    names = [f"seed-0/{stage}/{learner}" for stage in ("control", "bi_kd") for learner in "ab"]
    assert [each.name for each in first.ingredients] == names
    files = [best_file(toy, *name.split("/")[1:]) for name in names]
    for each, file in zip(first.ingredients, files, strict=True):
        assert each.scores["loss"] == pytest.approx(float(load_model(file).metadata["val_loss"]), rel=1e-4)
    uniform, chosen, fisher = first.soups
    weights = [load_model(file).model.state_dict()["first.weight"] for file in files]
    assert torch.allclose(uniform.state["first.weight"], sum(weights) / 4)
    assert chosen.scores["loss"] <= first.best.scores["loss"] and set(chosen.members) <= set(names)
    assert all(math.isfinite(soup.scores["loss"]) for soup in first.soups)
    assert not torch.equal(fisher.state["first.weight"], uniform.state["first.weight"])

    written = write_merging([first, narrow], tmp_path)
    assert {path.name for path in written} == {
        *(f"{name}_{soup}.safetensors" for name in ("a+b", "c") for soup in ("uniform", "greedy", "fisher")),
        *("merging.md", "merging.json"),
    }
    loaded = load_model(tmp_path / "a+b_uniform.safetensors")
    assert loaded.metadata["merged"] == "uniform" and json.loads(loaded.metadata["members"]) == names
    assert torch.equal(loaded.model.state_dict()["first.weight"], uniform.state["first.weight"])
    assert f"{uniform.scores['loss']:.4f}" in (tmp_path / "merging.md").read_text()


def test_the_command(toy, tmp_path, capsys):
    with pytest.raises(SystemExit) as done:
        main(["analyze", "merge", str(toy), "--fisher-samples", "1", "--device", "cpu", "--out", str(tmp_path / "out")])
    assert done.value.code == 0
    assert "uniform" in capsys.readouterr().out and (tmp_path / "out" / "a+b_fisher.safetensors").is_file()


def test_what_cannot_be_merged_is_named(toy, tmp_path):
    with pytest.raises(InputError, match=r"has no stage 'contol'.*did you mean 'control'"):
        merge([toy], stages=["contol"])
    with pytest.raises(InputError, match=r"name the folders of its seeds, such as .*seed-0"):
        merge([toy.parent])
    with pytest.raises(InputError, match="is not the folder of a run: train first"):
        merge([tmp_path])
    with pytest.raises(InputError, match="--fisher-samples must be at least 1, got 0"):
        merge([toy], fisher_samples=0)
    (tmp_path / "config.json").write_bytes((toy / "config.json").read_bytes())
    with pytest.raises(InputError, match="train stage 'bi_kd' first"):
        merge([tmp_path])
    for learner in "abc":
        best_file(tmp_path, "bi_kd", learner).parent.mkdir(exist_ok=True)
        best_file(tmp_path, "bi_kd", learner).write_bytes(best_file(toy, "bi_kd", learner).read_bytes())
    text = (tmp_path / "config.json").read_text()
    other = text.replace('"held_out": 6', '"held_out": 5')
    assert other != text
    (tmp_path / "config.json").write_text(other)
    with pytest.raises(InputError, match="was trained on other data or for another task"):
        merge([toy, tmp_path])
