import numpy as np
import pytest
import torch

from saliency.analysis.cases import cases, pairwise_cases, teacher_share
from saliency.errors import InputError


def test_the_fourth_case_exists():
    """The teacher gives the label more than the student does, and yet only the student is right."""
    teacher, student = torch.tensor([0.45, 0.55, 0.0]), torch.tensor([0.40, 0.30, 0.30])
    scores = np.array([[float(teacher[0])], [float(student[0])]])
    correct = np.array([[bool(teacher.argmax() == 0)], [bool(student.argmax() == 0)]])
    found = cases(scores, correct)
    assert (found.both, found.teacher_only, found.neither, found.student_only) == (0, 0, 0, 100)
    assert found.exactly_one == 100


def test_shares_add_up():
    random = np.random.default_rng(0)
    logits = random.normal(size=(2, 500, 5)) * 2
    labels = random.integers(0, 5, 500)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    scores, correct = p[:, np.arange(500), labels], p.argmax(-1) == labels
    found = cases(scores, correct)
    assert found.both + found.teacher_only + found.neither + found.student_only == pytest.approx(100)
    assert found.both == pytest.approx(100 * (correct[0] & correct[1]).mean())
    # two accuracies and case 1 determine "exactly one"
    assert found.exactly_one == pytest.approx(100 * (correct[0].mean() + correct[1].mean()) - 2 * found.both)


def test_the_papers_cases_are_the_accuracies():
    """ViT-S and ViT-T of section 4.3: case 2 before is 12.5 as printed, after it is 9.9 and not the printed 10.1."""
    assert pytest.approx(12.5, abs=0.05) == 78.842 + 75.466 - 2 * 70.9
    assert pytest.approx(9.89, abs=0.01) == 79.68 + 76.412 - 2 * 73.1
    assert abs(79.68 + 76.412 - 2 * 73.1 - 10.1) > 2 * 0.05 + 0.05


def test_pairs_of_three_models():
    scores = [[0.9, 0.1, 0.2, 0.5], [0.5, 0.8, 0.1, 0.5], [0.1, 0.2, 0.7, 0.4]]
    correct = [[1, 0, 0, 1], [1, 1, 0, 1], [0, 0, 1, 0]]
    found = pairwise_cases(scores, correct)
    assert found[0, 1].samples == 2  # samples 0 and, by the tie rule, 3
    assert found[0, 1].both == 100
    assert found[0, 2].teacher_only == 100
    assert found[None, None].samples == 8
    assert teacher_share(scores).tolist() == [0.5, 0.25, 0.25]
    assert teacher_share(scores, tie="none").tolist() == [0.25, 0.25, 0.25]
    with pytest.raises(InputError, match="use pairwise_cases"):
        cases(scores, correct)
    with pytest.raises(InputError, match="K >= 2"):
        pairwise_cases(scores[:1], correct[:1])
