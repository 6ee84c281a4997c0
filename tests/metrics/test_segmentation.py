import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from saliency.metrics.segmentation import (
    confusion_matrix,
    frequency_weighted_iou,
    mean_accuracy,
    mean_iou,
    pixel_accuracy,
)
from saliency.types import IGNORED

C = 6


@pytest.fixture
def batch():
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(0, C, (3, 20, 30), generator=random)
    pred = torch.where(torch.rand(labels.shape, generator=random) < 0.6, labels, 1)
    labels[:, :3] = IGNORED
    labels[2][labels[2] == 4] = 0
    return pred, labels


def test_confusion_matrix_against_scikit_learn(batch):
    pred, labels = batch
    mine = confusion_matrix(pred, labels, C)
    assert mine.dtype == torch.int64
    for i in range(3):
        kept = labels[i] != IGNORED
        expected = sk.confusion_matrix(labels[i][kept], pred[i][kept], labels=range(C))
        np.testing.assert_array_equal(mine[i].numpy(), expected)


def test_scores_against_scikit_learn(batch):
    pred, labels = batch
    kept = labels != IGNORED
    truth, guess = labels[kept], pred[kept]
    total = confusion_matrix(pred, labels, C).sum(0)
    assert mean_iou(total).item() == pytest.approx(sk.jaccard_score(truth, guess, average="macro"), abs=1e-12)
    weighted = sk.jaccard_score(truth, guess, average="weighted")
    assert frequency_weighted_iou(total).item() == pytest.approx(weighted, abs=1e-12)
    assert mean_accuracy(total).item() == pytest.approx(sk.balanced_accuracy_score(truth, guess), abs=1e-12)
    assert pixel_accuracy(total).item() == pytest.approx(sk.accuracy_score(truth, guess), abs=1e-12)


def test_classes_without_ground_truth_are_left_out():
    labels = torch.tensor([[[0, 0, 1, 1]]])
    pred = torch.tensor([[[0, 2, 1, 1]]])  # class 2 is predicted only
    confusion = confusion_matrix(pred, labels, 3)
    assert mean_iou(confusion).tolist() == [0.75]
    assert mean_accuracy(confusion).tolist() == [0.75]
    assert frequency_weighted_iou(confusion).tolist() == [0.75]
    assert pixel_accuracy(confusion).tolist() == [0.75]


def test_nothing_labelled_is_nan():
    labels = torch.full((1, 2, 2), IGNORED)
    confusion = confusion_matrix(torch.zeros(1, 2, 2, dtype=torch.long), labels, 3)
    for score in (mean_iou, frequency_weighted_iou, mean_accuracy, pixel_accuracy):
        assert score(confusion).isnan().all()
