"""The methods that only the study of teaching uses, against cases worked out by hand."""

import math

import pytest
import torch

from saliency.distillation.bi_kd import BiKD
from saliency.distillation.ensemble import EnsembleTeacher
from saliency.distillation.leader import Leader
from saliency.distillation.margin import Margin
from saliency.tasks.other_viewers import OtherViewersTask, TwoLabelsTarget
from saliency.tasks.saliency import SaliencyTask
from saliency.types import SaliencyTarget

LOSSES = {"a": torch.tensor([1.0, 2.0, 0.5]), "b": torch.tensor([3.0, 1.0, 0.6])}


def maps() -> dict[str, torch.Tensor]:
    """Two places; a says (1/4, 3/4), b says (1/2, 1/2), not normalised."""
    a = torch.tensor([[1.0, 3.0]] * 3).requires_grad_()
    b = torch.tensor([[5.0, 5.0]] * 3).requires_grad_()
    return {"a": a, "b": b}


def difference(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    return (student - teacher).abs().sum(-1)


def test_the_ensemble_is_the_mean_of_distributions():
    transfer = EnsembleTeacher(weight=2.0)(maps(), LOSSES, lambda s, t: (t * 1000).sum(-1) * 0 + t[:, 0])
    assert transfer.loss.tolist() == pytest.approx([2 * 2 * 0.375] * 3)  # both pay; teacher (3/8, 5/8), weight 2
    raw = EnsembleTeacher(normalise=False)(maps(), LOSSES, difference)
    assert raw.loss.tolist() == [2 * (2.0 + 1.0)] * 3  # mean (3, 4): each is off by 2 and 1


def test_a_learner_without_a_score_is_not_in_the_ensemble():
    losses = {"a": torch.tensor([math.nan, 2.0, 0.5]), "b": LOSSES["b"]}
    preds = maps()
    transfer = EnsembleTeacher(normalise=False)(preds, losses, difference)
    assert transfer.loss.tolist() == [0.0, 6.0, 6.0]
    transfer.loss.sum().backward()
    assert preds["a"].grad is not None and preds["a"].grad[0].tolist() == [0.0, 0.0]


def test_the_leader_is_the_best_of_the_batch_and_teaches_all_of_it():
    preds = maps()
    transfer = Leader()(preds, LOSSES, difference)  # a: 3.5 in all, b: 4.6
    assert transfer.teachers.tolist() == [[True] * 3, [False] * 3]
    assert transfer.loss.tolist() == [4.0 + 2.0] * 3
    transfer.loss.sum().backward()
    assert not preds["a"].grad.any() and preds["b"].grad.any()
    without = {"a": LOSSES["a"], "b": torch.tensor([math.nan, 1.0, 0.6])}
    assert Leader()(maps(), without, difference).teachers.tolist() == [[False] * 3, [False, True, True]]


def test_nobody_teaches_within_the_margin():
    transfer = Margin(margin=0.2)(maps(), LOSSES, difference)
    assert transfer.teachers.tolist() == [[True, False, False], [False, True, False]]
    assert transfer.loss.tolist() == [6.0, 6.0, 0.0]
    wide = Margin(margin=0.05)(maps(), LOSSES, difference)
    assert wide.loss.tolist() == BiKD()(maps(), LOSSES, difference).loss.tolist()


def test_other_viewers_choose_who_teaches():
    """a is right about the labels, b about the other viewers' ones."""
    left, right = torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)
    left[..., :2], right[..., 2:] = 1.0, 1.0
    target = TwoLabelsTarget(left, left > 0, right)
    preds = {"a": (left + 0.1).requires_grad_(), "b": (right + 0.1).requires_grad_()}
    for task, teacher in ((SaliencyTask(), [[True], [False]]), (OtherViewersTask(), [[False], [True]])):
        losses = {name: task.loss(pred, target) for name, pred in preds.items()}
        assert losses["a"] < losses["b"]
        ranked = {name: task.ranking(pred, target, losses[name]) for name, pred in preds.items()}
        assert BiKD()(preds, ranked, task.divergence).teachers.tolist() == teacher
    with pytest.raises(TypeError, match="needs a TwoLabelsTarget"):
        OtherViewersTask().ranking(preds["a"], SaliencyTarget(left, left > 0), losses["a"])
