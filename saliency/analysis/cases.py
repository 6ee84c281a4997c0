"""Who was right, teacher or student (section 4.3 of the Bi-KD paper).

The teacher of a sample is the model that gives its label the highest probability. Case 1: both are right; case 2: only
the teacher; case 3: neither; case 4: only the student. Case 4 is possible with three classes or more, because the
highest probability of the label need not be the model's highest: teacher (.45, .55, 0), student (.40, .30, .30), label
0. The paper counts three cases whose shares add up to 100 %, so its case 2 is "exactly one of them".
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from saliency.distillation.bi_kd import Tie, select_teachers
from saliency.errors import InputError


@dataclass(frozen=True, slots=True)
class Cases:
    """Shares of the samples in percent.

    Attributes:
        both: case 1.
        teacher_only: case 2.
        neither: case 3.
        student_only: case 4.
        samples: samples with a teacher other than the student.
    """

    both: float
    teacher_only: float
    neither: float
    student_only: float
    samples: int

    @property
    def exactly_one(self) -> float:
        """The paper's case 2."""
        return self.teacher_only + self.student_only


def cases(scores: ArrayLike, correct: ArrayLike, *, tie: Tie = "paper") -> Cases:
    """Count the cases between two models, each sample's teacher being the one that does better on it.

    Args:
        scores: (2, N) probability of the label.
        correct: (2, N) bool.
        tie: who teaches at equal scores, as in the training (see `BiKD`).

    Raises:
        InputError: not two models.
    """
    correct = np.asarray(correct, bool)
    if len(correct) != 2:
        raise InputError(f"cases compare two models, got {len(correct)}: use pairwise_cases")
    return pairwise_cases(scores, correct, tie=tie)[None, None]


def pairwise_cases(
    scores: ArrayLike, correct: ArrayLike, *, tie: Tie = "paper"
) -> dict[tuple[int | None, int | None], Cases]:
    """Count the cases of every (teacher, student) pair of K models.

    Args:
        scores: (K, N) probability of the label.
        correct: (K, N) bool.
        tie: who teaches at equal scores.

    Returns:
        (teacher, student) -> cases over the samples this teacher teaches; (None, None) -> over all samples and
        students.
    """
    scores, correct = np.asarray(scores, np.float64), np.asarray(correct, bool)
    if scores.ndim != 2 or scores.shape != correct.shape or len(scores) < 2:
        raise InputError(f"cases want (K, N) scores and correctness, K >= 2, got {scores.shape} and {correct.shape}")
    teaches = select_teachers(-torch.from_numpy(scores), tie).numpy()  # (K, N)
    found: dict[tuple[int | None, int | None], Cases] = {}
    everything = []
    for t in range(len(scores)):
        for s in range(len(scores)):
            if s != t:
                outcomes = np.stack([correct[t, teaches[t]], correct[s, teaches[t]]])  # (2, n)
                everything.append(outcomes)
                found[t, s] = _count(outcomes)
    found[None, None] = _count(np.concatenate(everything, axis=1))
    return found


def teacher_share(scores: ArrayLike, *, tie: Tie = "paper") -> np.ndarray:
    """(K,) share of the samples that each model teaches; they add up to 1 unless nobody teaches some.

    Args:
        scores: (K, N), higher is better.
        tie: who teaches at equal scores.
    """
    return select_teachers(-torch.from_numpy(np.asarray(scores, np.float64)), tie).double().mean(1).numpy()


def _count(outcomes: np.ndarray) -> Cases:
    """Cases from (2, n) bool: teacher right, student right."""
    teacher, student = outcomes
    n = outcomes.shape[1]

    def percent(mask: np.ndarray) -> float:
        return 100.0 * float(mask.mean()) if n else 0.0

    return Cases(
        percent(teacher & student),
        percent(teacher & ~student),
        percent(~teacher & ~student),
        percent(~teacher & student),
        n,
    )
