"""The running average of weights: its closed form, and what a run keeps."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from saliency.config.run import Learner, Optimizer, Run, Stage, Training
from saliency.runtime import interrupt
from saliency.testing import ToyData, ToyNetConfig, ToyTask
from saliency.training import average
from saliency.training.run_folder import best_file
from saliency.training.trainer import Trainer, train


def test_the_share_that_is_kept_grows_to_the_limit() -> None:
    assert average.keep(0.9, 0) == 0.1
    assert average.keep(0.9, 8) == 0.5
    assert average.keep(0.9, 10_000) == 0.9


def test_an_average_by_hand() -> None:
    model = nn.BatchNorm1d(1)
    mean = average.copy_of(model)
    with torch.no_grad():
        model.weight.fill_(11.0)
        model.running_mean.fill_(1.0)
        model.num_batches_tracked.fill_(7)
    average.follow(mean, model, 0.9, 0)  # 0.1 * 1 + 0.9 * 11
    assert mean.weight.item() == pytest.approx(10.0)
    assert mean.running_mean.item() == pytest.approx(0.9)
    assert mean.num_batches_tracked.item() == 7
    average.follow(mean, model, 0.9, 10_000)  # 0.9 * 10 + 0.1 * 11
    assert mean.weight.item() == pytest.approx(10.1)
    assert not mean.weight.requires_grad and not mean.training


def run(ema: float) -> Run:
    return Run(
        name="toy",
        task=ToyTask(),
        data=ToyData(),
        learners={"a": Learner(model=ToyNetConfig(dropout=0.5), optimizer=Optimizer(lr=1e-2))},
        stages=(Stage(name="scratch", epochs=3), Stage(name="more", epochs=1, start="scratch")),
        train=Training(batch_size=4, log_every=1, checkpoint_every=1, device="cpu", ema=ema),
    )


def kept(folder: Path, stage: str) -> dict[str, torch.Tensor]:
    return load_file(best_file(folder, stage, "a"))


def test_training_itself_does_not_change_and_the_average_is_kept(tmp_path: Path) -> None:
    train(run(0.0), tmp_path / "plain")
    train(run(0.9), tmp_path / "averaged")
    plain = (tmp_path / "plain" / "log.jsonl").read_text().splitlines()
    averaged = (tmp_path / "averaged" / "log.jsonl").read_text().splitlines()
    losses = [[line for line in lines if '"scratch"' in line and '"train"' in line] for lines in (plain, averaged)]
    assert losses[0] == losses[1] and losses[0]
    one, other = kept(tmp_path / "plain", "scratch"), kept(tmp_path / "averaged", "scratch")
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_an_interrupted_run_resumes_with_the_same_average(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(run(0.9), tmp_path / "whole")
    original, steps = Trainer._step, []

    def step(self, *arguments):
        steps.append(1)
        if len(steps) == 5:
            self.request.signal = 15
        return original(self, *arguments)

    monkeypatch.setattr(Trainer, "_step", step)
    with pytest.raises(interrupt.Interrupted):
        train(run(0.9), tmp_path / "parts")
    monkeypatch.undo()
    train(run(0.9), tmp_path / "parts", resume=True)
    for stage in ("scratch", "more"):
        one, other = kept(tmp_path / "whole", stage), kept(tmp_path / "parts", stage)
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_an_average_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="ema must be"):
        Training(ema=1.0)
