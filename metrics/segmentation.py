"""Scores of semantic segmentation from a confusion matrix: mIoU, fwIoU, mACC, pACC.

Definitions as in Long et al., "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015, section 5.
Means run over the classes that occur in the ground truth; a class that is only predicted shows as a loss of
the others. A data set's score is that of the *sum* of its images' matrices, not the mean of their scores.
"""

import torch
from torch import Tensor

from saliency.types import IGNORED


def confusion_matrix(pred: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Count pixels by true and predicted class.

    Args:
        pred: (B, H, W) int, predicted classes in [0, C).
        labels: (B, H, W) int, true classes in [0, C), or `IGNORED`: such pixels are not counted.
        num_classes: C.

    Returns:
        (B, C, C) int64; rows are true classes, columns predicted ones.

    Example:
        >>> confusion_matrix(torch.tensor([[[0, 1, 1]]]), torch.tensor([[[0, 0, 255]]]), 2).tolist()
        [[[1, 1], [0, 0]]]
    """
    counted = labels != IGNORED
    pair = torch.where(counted, labels, 0).long() * num_classes + pred.long()  # (B, H, W)
    counts = torch.zeros(len(pred), num_classes * num_classes, dtype=torch.int64, device=pred.device)
    counts.scatter_add_(1, pair.flatten(1), counted.flatten(1).long())
    return counts.view(-1, num_classes, num_classes)


def mean_iou(confusion: Tensor) -> Tensor:
    """Mean over classes of true positives / (true + predicted - true positives).

    Args:
        confusion: (..., C, C) counts of `confusion_matrix`.

    Returns:
        (...) float64 in [0, 1]; NaN without any labelled pixel.
    """
    hits, true, predicted = _counts(confusion)
    return _mean(hits / (true + predicted - hits), true > 0)


def frequency_weighted_iou(confusion: Tensor) -> Tensor:
    """As `mean_iou`, classes weighted by their share of the labelled pixels."""
    hits, true, predicted = _counts(confusion)
    iou = torch.where(true > 0, hits / (true + predicted - hits), 0.0)
    return (true * iou).sum(-1) / true.sum(-1)


def mean_accuracy(confusion: Tensor) -> Tensor:
    """Mean over classes of the share of their pixels that is recognised; arguments as in `mean_iou`."""
    hits, true, _ = _counts(confusion)
    return _mean(hits / true, true > 0)


def pixel_accuracy(confusion: Tensor) -> Tensor:
    """Share of the labelled pixels that is recognised; arguments as in `mean_iou`."""
    hits, true, _ = _counts(confusion)
    return hits.sum(-1) / true.sum(-1)


def _counts(confusion: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(..., C) hits, true and predicted pixels of each class."""
    confusion = confusion.double()
    return confusion.diagonal(dim1=-2, dim2=-1), confusion.sum(-1), confusion.sum(-2)


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    return torch.where(valid, values, 0.0).sum(-1) / valid.sum(-1)
