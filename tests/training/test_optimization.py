"""Which weights move how fast, and which are decayed."""

from pathlib import Path

import pytest
import torch
from torch import nn

from saliency.config.load import load_run
from saliency.config.run import Optimizer, Stage
from saliency.errors import InputError
from saliency.training.optimization import make_optimizer, parameter_groups, rate

CONFIGS = Path(__file__).parents[2] / "configs"


class Net(nn.Module):
    """A backbone and a head, each with a normalisation; an embedding, a shared and a frozen weight."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        self.backbone.relative_position_bias_table = nn.Parameter(torch.zeros(2))
        self.head = nn.ModuleDict({"linear": nn.Linear(4, 2), "norm": nn.LayerNorm(2), "queries": nn.Embedding(3, 2)})
        self.tied = self.head["linear"]
        self.frozen = nn.Parameter(torch.zeros(1), requires_grad=False)


def settings(net, groups):
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    return {
        names[id(parameter)]: (group["lr"], group["weight_decay"]) for group in groups for parameter in group["params"]
    }


def test_one_group_unless_asked():
    net = Net()
    groups = parameter_groups(Optimizer(weight_decay=0.1), net, 0.5)
    assert len(groups) == 1 and (groups[0]["lr"], groups[0]["weight_decay"]) == (0.5, 0.1)
    learnt = [parameter for parameter in net.parameters() if parameter.requires_grad]
    assert all(a is b for a, b in zip(groups[0]["params"], learnt, strict=True))


def test_slow_backbone_and_undecayed_norms():
    net = Net()
    config = Optimizer(weight_decay=0.1, lr_factors={"backbone.": 0.1}, decay_norms=False)
    found = settings(net, parameter_groups(config, net, 1.0))
    assert found == {
        "backbone.0.weight": (0.1, 0.1),
        "backbone.0.bias": (0.1, 0.1),  # biases are decayed
        "backbone.1.weight": (0.1, 0.0),
        "backbone.1.bias": (0.1, 0.0),
        "backbone.relative_position_bias_table": (0.1, 0.0),
        "head.linear.weight": (1.0, 0.1),
        "head.linear.bias": (1.0, 0.1),
        "head.norm.weight": (1.0, 0.0),
        "head.norm.bias": (1.0, 0.0),
        "head.queries.weight": (1.0, 0.0),
    }


def test_a_name_that_fits_nothing_is_refused():
    with pytest.raises(InputError, match="no parameter of Net has 'bakbone' in its name"):
        parameter_groups(Optimizer(lr_factors={"bakbone": 0.1}), Net(), 1.0)


def test_the_stage_scales_every_group():
    net = Net()
    config = Optimizer(name="adamw", lr=1e-3, lr_factors={"backbone": 0.1})
    optimizer = make_optimizer(config, net, Stage(name="s", epochs=1, lr_factor=0.5))
    assert sorted({group["initial_lr"] for group in optimizer.param_groups}) == pytest.approx([5e-5, 5e-4])


@pytest.mark.parametrize("name", ["ade20k_r50_swin_t", "ade20k_swin_t_swin_s"])
def test_the_published_mask2formers(name):
    """A tenth of the rate for the backbone, no decay of norms and embeddings, as their own training has it."""
    pytest.importorskip("transformers")
    for learner in load_run(CONFIGS / f"{name}.py").learners.values():
        assert learner.optimizer is not None
        with torch.device("meta"):
            net = learner.model.build()
        found = settings(net, parameter_groups(learner.optimizer, net, learner.optimizer.lr))
        assert found.keys() == {name for name, parameter in net.named_parameters() if parameter.requires_grad}
        for key, (lr, decay) in found.items():
            backbone = ".encoder." in key and ".decoder." not in key
            assert lr == pytest.approx(1e-7 if backbone else 1e-6), key
            undecayed = any(word in key for word in ("norm", "queries_", "relative_position_bias_table"))
            undecayed |= key.endswith("transformer_module.level_embed.weight")
            if undecayed:
                assert decay == 0.0, key
            elif key.endswith(("weight", "bias")) and "_1." not in key and "projections" not in key:
                assert decay == 1e-5, key


def test_a_trapezoid_is_flat_and_falls_over_its_last_fifth() -> None:
    plan = Optimizer(schedule="trapezoid", warmup_steps=4)
    assert [rate(plan, step, 100) for step in (0, 3, 4, 79, 80)] == [0.25, 1.0, 1.0, 1.0, 1.0]
    assert rate(plan, 90, 100) == pytest.approx(0.5)
    assert rate(plan, 99, 100) == pytest.approx(0.05)
    # the flat part does not depend on where the end is: a run can be made longer and go on
    assert all(rate(plan, step, 100) == rate(plan, step, 1000) for step in range(81))
