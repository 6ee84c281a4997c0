"""Teachers chosen without ground truth, on cases worked out by hand."""

import pytest
import torch

from saliency.distillation.base import combine
from saliency.distillation.label_free import LabelFree
from saliency.errors import InputError


def gap(student, teacher):
    """(B,) squared distance."""
    return ((student - teacher) ** 2).sum(1)


PREDS = {name: torch.tensor(values, requires_grad=True) for name, values in {
    "a": [[0.0, 0.0], [9.0, 0.0]],
    "b": [[1.0, 0.0], [1.0, 0.0]],
    "c": [[5.0, 0.0], [2.0, 0.0]],
}.items()}  # fmt: skip
UNKNOWN = {name: torch.full((2,), torch.nan) for name in PREDS}


def test_who_agrees_most_with_the_mean_teaches():
    # means 2 and 4: b is nearest on the first sample, c on the second
    transfer = LabelFree(normalise=False)(PREDS, UNKNOWN, gap)
    assert transfer.teachers.tolist() == [[False, False], [True, False], [False, True]]
    assert transfer.loss.tolist() == [1 + 16, 49 + 1]  # a and c from 1; a and b from 2


def test_who_is_most_confident_teaches_and_pays_nothing():
    confidences = {"a": torch.tensor([3.0, 1.0]), "b": torch.tensor([1.0, 1.0]), "c": torch.tensor([2.0, 5.0])}
    transfer = LabelFree(by="confidence", weight=0.5)(PREDS, UNKNOWN, gap, confidences=confidences)
    assert transfer.teachers.tolist() == [[True, False], [False, False], [False, True]]
    assert transfer.loss.tolist() == [(1 + 25) / 2, (49 + 1) / 2]
    with pytest.raises(InputError, match="need the task's confidences"):
        LabelFree(by="confidence")(PREDS, UNKNOWN, gap)


def test_without_labels_no_sample_is_dropped_and_no_gradient_reaches_the_teacher():
    total = combine(UNKNOWN, LabelFree(normalise=False)(PREDS, UNKNOWN, gap))
    assert total.item() == (17 + 50) / 2
    total.backward()
    assert PREDS["b"].grad[0].tolist() == [0, 0] and PREDS["c"].grad[1].tolist() == [0, 0]
    assert PREDS["a"].grad[0, 0].item() == (0 - 1) * 2 / 2  # of the mean over two samples
