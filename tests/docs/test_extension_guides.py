"""The examples of the two extension guides run as they are printed."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest
import torch

from saliency.training.trainer import train

DOCS = Path(__file__).parents[2] / "docs"


def blocks(guide):
    return re.findall(r"```python\n(.*?)```", (DOCS / guide).read_text(), re.DOTALL)


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Imports all examples of a guide as one module."""

    def run(guide):
        path = tmp_path / "example.py"
        path.write_text("\n\n".join(blocks(guide)))
        spec = importlib.util.spec_from_file_location("guide_example", path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "guide_example", module)
        spec.loader.exec_module(module)
        return module

    return run


@pytest.mark.parametrize("guide", ["add-a-task.md", "add-a-distillation-method.md"])
def test_the_example_is_short_and_trains(guide, load, tmp_path):
    first = [line for line in blocks(guide)[0].splitlines() if line.strip() and not line.startswith(("from", "import"))]
    assert len(first) <= 30
    run = load(guide).config()
    train(run, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    last = [line for line in lines if line["kind"] == "train" and line["stage"] == run.stages[-1].name][-1]
    assert last["transfer"] > 0
    assert last["taught/small"] + last["taught/large"] > 0


def test_the_task_of_the_guide_keeps_the_rules(load):
    module = load("add-a-task.md")
    task = module.PointTask()
    with pytest.raises(TypeError, match="points are read from maps"):
        task.align(torch.zeros(2, 10), None)
    student = torch.tensor([[0.1, 0.2], [torch.nan, 0.0]]).requires_grad_()
    loss = task.divergence(student, torch.tensor([[0.1, 0.4], [0.5, 0.5]]))
    assert loss[0].item() == pytest.approx(0.04)
    assert loss[1].isnan()
    loss.nan_to_num().sum().backward()
    assert student.grad.isfinite().all()
    one = torch.zeros(1, 5, 9)
    one[0, 4, 2] = 7
    torch.testing.assert_close(module.centre_of_mass(one), torch.tensor([[1.0, 0.25]]))


def test_the_method_of_the_guide_keeps_the_rules(load):
    method = load("add-a-distillation-method.md").FromTheOthers()
    preds = {name: torch.full((2, 3), value).requires_grad_() for name, value in (("a", 0.0), ("b", 1.0), ("c", 5.0))}
    losses = {"a": torch.zeros(2), "b": torch.zeros(2), "c": torch.tensor([0.0, torch.nan])}
    transfer = method(preds, losses, lambda student, teacher: (student - teacher).abs().mean(1))
    assert transfer.loss.tolist() == pytest.approx([3.0 + 1.5 + 4.5, 0.0])
    transfer.loss.sum().backward()
    assert all(pred.grad.isfinite().all() for pred in preds.values())
