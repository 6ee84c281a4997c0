"""Who may write into a run's folder."""

from dataclasses import dataclass

import pytest
from torch import nn

from saliency.config.run import Learner, Run, Stage, Training
from saliency.errors import InputError
from saliency.testing import ToyData, ToyNetConfig, ToyTask
from saliency.training.trainer import train
from saliency.types import InputSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class WithoutWeights:
    """A model whose weights are not there."""

    input: InputSpec = ToyNetConfig().input

    def build(self, init: str = "scratch") -> nn.Module:
        raise InputError("put the weights there")


def run(model) -> Run:
    return Run(
        name="toy",
        task=ToyTask(),
        data=ToyData(),
        learners={"a": Learner(model=model)},
        stages=(Stage(name="s", epochs=1),),
        train=Training(batch_size=4, device="cpu"),
    )


def test_a_run_that_cannot_begin_leaves_its_folder_free(tmp_path):
    with pytest.raises(InputError, match="put the weights there"):
        train(run(WithoutWeights()), tmp_path)
    train(run(ToyNetConfig()), tmp_path)  # neither resumed nor forced
    with pytest.raises(InputError, match="already holds a run"):
        train(run(WithoutWeights()), tmp_path)
    train(run(ToyNetConfig()), tmp_path, resume=True)
