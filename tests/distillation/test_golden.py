"""The distillers against golden numbers: teachers, losses and gradients in float64."""

import json
import math
from pathlib import Path

import pytest
import torch

from saliency.distillation.base import combine
from saliency.distillation.bi_kd import BiKD, select_teachers
from saliency.distillation.dml import DML
from saliency.distillation.kd import KD
from saliency.distillation.kl_dp import KLDP
from saliency.tasks.classification import ClassificationTask
from saliency.tasks.saliency import SaliencyTask
from saliency.types import SaliencyTarget

DATA = Path(__file__).parents[1] / "data/distillation"
MODES = {
    "paper": BiKD(),
    "paper_no_stopgrad": BiKD(stop_gradient=False),
    "tie_none_stopgrad": BiKD(tie="none"),
    "official": BiKD.official(),
}


def load(name):
    return json.loads((DATA / f"{name}.json").read_text())


def tensor(values):
    def plain(value):
        if isinstance(value, list):
            return [plain(v) for v in value]
        return math.nan if value is None else float(value)

    return torch.tensor(plain(values), dtype=torch.float64)


def close(found, expected, tolerance=1e-9):
    torch.testing.assert_close(found.detach(), tensor(expected), rtol=tolerance, atol=tolerance, equal_nan=True)


CASES = [
    (path.stem, mode)
    for path in sorted(DATA.glob("*_k[234]_*.json"))
    for mode in load(path.stem)["expected"]  # ties are also given without a teacher, for classification
]


@pytest.mark.parametrize(("case", "mode"), CASES)
def test_bi_kd_gives_the_golden_numbers(case, mode):
    golden = load(case)
    expected = golden["expected"][mode]
    inputs = golden["inputs"]
    distiller = MODES[mode]
    if golden["kind"] == "cls":
        task = ClassificationTask(temperature=inputs["T"])
        target = torch.tensor(inputs["labels"])
        outputs = [tensor(logits).requires_grad_() for logits in inputs["logits"]]
    else:
        task = SaliencyTask(degenerate="propagate" if mode == "official" else "safe")
        gt = tensor(inputs["gt"])
        target = SaliencyTarget(gt, gt > 0.9)
        outputs = [tensor(maps).requires_grad_() for maps in inputs["preds"]]

    preds = {str(k): task.align(output, target) for k, output in enumerate(outputs)}
    losses = {k: task.loss(pred, target) for k, pred in preds.items()}
    rankings = {k: task.ranking(pred, target, losses[k]) for k, pred in preds.items()}
    transfer = distiller(preds, rankings, task.divergence)
    total = combine(losses, transfer)
    total.backward()

    teacher = torch.where(transfer.teachers.any(0), transfer.teachers.int().argmax(0), -1)
    assert teacher.tolist() == expected["teacher"]
    if golden["kind"] == "cls":
        close(torch.stack([loss.mean() for loss in losses.values()]), expected["ce"])
        close(transfer.loss.mean(), expected["dist_loss"])
    else:
        close(torch.stack(list(losses.values())), expected["task"])
        close(transfer.loss.sum() / sum(expected["kept"]), expected["dist_loss"])
    close(total, expected["total_loss"])
    for output, grad, norm in zip(outputs, expected["grad"], expected["grad_norm"], strict=True):
        # A gradient of 4e12 (one zero pixel, q / eps) is compared relatively.
        close(output.grad, grad, 1e-9)
        close(output.grad.norm(), norm)


@pytest.mark.parametrize("row", load("select_teacher")["rows"], ids=lambda row: str(row["scores"]))
@pytest.mark.parametrize("tie", ["first", "last", "none", "paper"])
def test_teacher_selection(row, tie):
    scores = tensor(row["scores"])[:, None]
    chosen = select_teachers(-scores if row["higher_is_better"] else scores, tie)[:, 0]
    assert chosen.sum() <= 1
    assert (int(chosen.int().argmax()) if chosen.any() else -1) == row[tie]


@pytest.mark.parametrize("case", ["kd_frozen", "kd_frozen_T4"])
@pytest.mark.parametrize("method", ["ce", "kl", "kd_sum", "kd_alpha", "kl_dp", "kl_dp_sup", "dml_student"])
def test_frozen_teacher_methods_give_the_golden_numbers(case, method):
    golden = load(case)
    inputs, expected = golden["inputs"], golden["expected"][method]
    task = ClassificationTask(temperature=inputs["T"])
    target = torch.tensor(inputs["labels"])
    student = tensor(inputs["student"]).requires_grad_()
    preds = {"student": student, "teacher": tensor(inputs["teacher"])}
    distiller = {
        "ce": KD(teacher="teacher", weight=0.0),
        "kl": KD.divergence_only("teacher"),
        "kd_sum": KD(teacher="teacher"),
        "kd_alpha": KD.mixed("teacher", inputs["alpha"]),
        "kl_dp": KLDP(teachers=("teacher",), initial="initial"),
        "kl_dp_sup": KLDP(teachers=("teacher",), initial="initial", supervised=True),
        "dml_student": DML(),
    }[method]
    if isinstance(distiller, KLDP):
        preds["initial"] = tensor(inputs["student_teacher"])

    losses = {name: task.loss(pred, target) for name, pred in preds.items()}
    rankings = {name: task.ranking(pred, target, losses[name]) for name, pred in preds.items()}
    confidences = {name: task.confidence(pred) for name, pred in preds.items()}
    transfer = distiller(preds, rankings, task.divergence, confidences=confidences)
    total = combine({"student": losses["student"]}, transfer)
    total.backward()

    close(total, expected["loss"])
    close(student.grad, expected["grad_student"])
    close(student.grad.norm(), expected["grad_norm"])
    if "teacher_mask" in expected:
        assert transfer.teachers[1].tolist() == [bool(m) for m in expected["teacher_mask"]]


def single(case):
    inputs = load(case)["inputs"]
    labels = torch.tensor(inputs["labels"])
    return [tensor(logits).float().requires_grad_() for logits in inputs["logits"]], labels


def step(task, outputs, labels):
    preds = {str(k): task.align(output, labels) for k, output in enumerate(outputs)}
    losses = {k: task.loss(pred, labels) for k, pred in preds.items()}
    rankings = {k: task.ranking(pred, labels, losses[k]) for k, pred in preds.items()}
    transfer = BiKD()(preds, rankings, task.divergence)
    return combine(losses, transfer), transfer.teachers.int().argmax(0).tolist()


def test_the_extreme_case_is_finite_in_single_precision():
    outputs, labels = single("cls_k2_extreme")
    total, teacher = step(ClassificationTask(), outputs, labels)
    total.backward()
    assert total.item() == pytest.approx(91.621567, rel=1e-6)
    assert all(output.grad.isfinite().all() for output in outputs)
    assert teacher == [0, 0, 0]
    outputs, labels = single("cls_k2_extreme")
    total, _ = step(ClassificationTask(stable_log=False), outputs, labels)
    assert not total.isfinite()


def test_probabilities_saturate_in_single_precision():
    """Both models are sure: their probabilities round to 1 and tie, their logarithms do not."""
    outputs, labels = single("cls_k2_saturated")
    assert step(ClassificationTask(), outputs, labels)[1] == [1, 1]
    assert step(ClassificationTask(compare="log_prob"), outputs, labels)[1] == [0, 0]
