"""What holds for every distiller: who is refused, what a bad value may touch, and that nothing waits."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from saliency.distillation.base import Transfer, combine
from saliency.distillation.bi_kd import BiKD
from saliency.distillation.control import TaskOnly
from saliency.distillation.dml import DML
from saliency.distillation.each import Each
from saliency.distillation.kd import KD
from saliency.distillation.kl_dp import KLDP
from saliency.distillation.label_free import LabelFree
from saliency.errors import InputError
from saliency.tasks.classification import ClassificationTask
from saliency.tasks.saliency import SaliencyTask
from saliency.types import SaliencyTarget

METHODS = {
    "bi_kd": BiKD(),
    "worst": BiKD(teacher="worst"),
    "random": BiKD(teacher="random"),
    "no_stop_gradient": BiKD(stop_gradient=False),
    "kd": KD(teacher="a"),
    "dml": DML(),
    "kl_dp": KLDP(teachers=("a",), initial="b"),
    "kl_dp_supervised": KLDP(teachers=("a",), initial="b", supervised=True),
    "each": Each(methods={"b": KD(teacher="a"), "c": KD(teacher="a")}),
    "agreement": LabelFree(by="agreement", task_weight=1.0, normalise=False),
    "confidence": LabelFree(by="confidence", task_weight=1.0),
    "control": TaskOnly(),
}


def logits(*names, size=6, classes=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(size, classes, generator=generator).requires_grad_() for name in names}


def labels(size=6, classes=5):
    return torch.arange(size) % classes


def transfer_of(method, outputs, target, task=None):
    task = task or ClassificationTask()
    preds = {name: task.align(output, target) for name, output in outputs.items()}
    losses = {name: task.loss(pred, target) for name, pred in preds.items()}
    rankings = {name: task.ranking(pred, target, losses[name]) for name, pred in preds.items()}
    confidences = {name: task.confidence(pred) for name, pred in preds.items()}
    return losses, method(preds, rankings, task.divergence, confidences=confidences)


class NoWaiting(TorchDispatchMode):
    """Fails on the operations that bring a value to the host."""

    READS = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select", "unique")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        assert not name.startswith(self.READS), f"{name} waits for the device"
        if name in ("index", "index_put", "index_put_"):
            assert all(i is None or i.dtype != torch.bool for i in args[1]), "a bool index waits for the device"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_nothing_waits_for_the_device(method):
    outputs, target = logits("a", "b", "c"), labels()
    with NoWaiting():
        losses, transfer = transfer_of(method, outputs, target)
        combine(losses, transfer).backward()


def test_the_saliency_task_waits_for_nothing():
    maps = {name: torch.rand(2, 4, 5).requires_grad_() for name in "abc"}
    density = torch.rand(2, 6, 7)
    target = SaliencyTarget(density, density > 0.5)
    with NoWaiting():
        losses, transfer = transfer_of(BiKD(), maps, target, SaliencyTask())
        combine(losses, transfer).backward()


def test_waiting_would_be_noticed():
    with pytest.raises(AssertionError, match="waits"), NoWaiting():
        torch.ones(1).item()
    with pytest.raises(AssertionError, match="waits"), NoWaiting():
        torch.ones(3)[torch.tensor([True, False, True])]


@pytest.mark.parametrize("name", [name for name in METHODS if name != "control"])
def test_one_learner_is_refused(name):
    with pytest.raises(InputError, match="at least 2 learners"):
        transfer_of(METHODS[name], logits("a"), labels())


def test_the_control_takes_one_learner():
    losses, transfer = transfer_of(TaskOnly(), logits("a"), labels())
    torch.testing.assert_close(combine(losses, transfer), losses["a"].mean())
    assert not transfer.teachers.any()


@pytest.mark.parametrize("name", [name for name in METHODS if name != "control"])
def test_heads_of_different_tasks_are_refused(name):
    outputs = {"a": torch.randn(6, 5), "b": torch.randn(6, 7), "c": torch.randn(6, 5)}
    with pytest.raises(TypeError, match=r"a \(6, 5\), b \(6, 7\).*same task's head"):
        transfer_of(METHODS[name], outputs, labels())


@pytest.mark.parametrize("method", [KD(teacher="teecher"), KLDP(teachers=("teecher",), initial="student")])
def test_an_unknown_teacher_names_the_nearest(method):
    with pytest.raises(InputError, match=r"no learner is called 'teecher'.*did you mean 'teacher'"):
        transfer_of(method, logits("student", "teacher"), labels())


def test_kl_dp_without_confidences_says_what_to_do():
    outputs = logits("a", "b", "c")
    losses = {name: torch.rand(6) for name in outputs}
    with pytest.raises(InputError, match="supervised=True"):
        METHODS["kl_dp"](outputs, losses, ClassificationTask().divergence)


def test_a_frozen_learner_teaches_and_never_pays():
    outputs, target = logits("a", "b"), labels()
    outputs["b"] = outputs["b"].detach()
    losses, transfer = transfer_of(BiKD(stop_gradient=False), outputs, target)
    assert transfer.teachers.any(1).all()
    taught = transfer.teachers[1]
    expected = ClassificationTask().divergence(outputs["a"], outputs["b"]) * taught
    torch.testing.assert_close(transfer.loss, expected)
    combine({"a": losses["a"]}, transfer).backward()
    assert outputs["a"].grad is not None


@pytest.mark.parametrize("name", ["bi_kd", "worst", "no_stop_gradient", "dml", "control"])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_learner_that_goes_bad_changes_nothing_for_the_others(name, bad):
    method, target = METHODS[name], labels()

    def gradients(names):
        outputs = logits("a", "b", "c")
        if "c" in names:
            with torch.no_grad():
                outputs["c"][:] = bad
        losses, transfer = transfer_of(method, {name: outputs[name] for name in names}, target)
        combine(losses, transfer).backward()
        return [outputs[name].grad for name in names]

    with_it, without = gradients("abc"), gradients("ab")
    assert all(torch.equal(x, y) for x, y in zip(with_it[:2], without, strict=True))
    assert torch.equal(with_it[2], torch.zeros_like(with_it[2]))


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_one_bad_sample_of_one_learner_is_left_out(method):
    outputs, target = logits("a", "b", "c"), labels()
    with torch.no_grad():
        outputs["c"][2] = torch.nan
    losses, transfer = transfer_of(method, outputs, target)
    combine(losses, transfer).backward()
    assert not transfer.teachers[2, 2]
    for output in outputs.values():
        assert output.grad is None or output.grad.isfinite().all()
    assert outputs["c"].grad is None or not outputs["c"].grad[2].any()


def test_nobody_can_be_scored():
    outputs = {name: torch.full((3, 5), torch.nan).requires_grad_() for name in "ab"}
    losses, transfer = transfer_of(BiKD(), outputs, labels(3))
    total = combine(losses, transfer)
    total.backward()
    assert total == 0
    assert not transfer.teachers.any()
    assert all(not output.grad.any() for output in outputs.values())


def test_the_mean_is_over_the_samples_somebody_scored():
    losses = {"a": torch.tensor([1.0, torch.nan, torch.nan]), "b": torch.tensor([3.0, 5.0, torch.nan])}
    transfer = Transfer(torch.tensor([1.0, 0.0, 0.0]), torch.zeros(2, 3, dtype=torch.bool))
    assert combine(losses, transfer) == (1 + 3 + 5 + 1) / 2
    infinite = Transfer(torch.tensor([torch.inf, 0.0, 0.0]), transfer.teachers)
    assert combine(losses, infinite) == torch.inf  # an error must be seen


def test_every_student_pays_one_divergence():
    outputs = logits("a", "b", "c")
    ones = lambda student, teacher: torch.ones(len(student))  # noqa: E731
    losses = {"a": torch.zeros(6), "b": torch.ones(6), "c": torch.ones(6)}
    assert BiKD()(outputs, losses, ones).loss.tolist() == [2] * 6
    assert DML()(outputs, losses, ones).loss.tolist() == [3] * 6
    assert DML(average=False)(outputs, losses, ones).loss.tolist() == [6] * 6
    assert BiKD(weight=0.5)(outputs, losses, ones).loss.tolist() == [1] * 6
    assert KD(teacher="a")(outputs, losses, ones).loss.tolist() == [2] * 6
    assert KLDP(teachers=("a",), initial="b")(outputs, losses, ones, confidences=losses).loss.tolist() == [1] * 6


def test_the_worst_and_a_random_learner_teach():
    outputs = logits("a", "b", "c")
    losses = {"a": torch.zeros(6), "b": torch.ones(6), "c": torch.full((6,), 2.0)}
    divergence = ClassificationTask().divergence
    assert BiKD(teacher="worst")(outputs, losses, divergence).teachers[2].all()
    torch.manual_seed(0)
    drawn = BiKD(teacher="random")(outputs, losses, divergence).teachers
    assert (drawn.sum(0) == 1).all()
    assert drawn.any(1).sum() > 1


def test_a_teacher_is_not_changed_by_its_students():
    target = torch.zeros(4, dtype=torch.long)
    for stop, moved in ((True, False), (False, True)):
        good = torch.tensor([[4.0, 0, 0]]).repeat(4, 1).requires_grad_()
        bad = torch.tensor([[0.0, 1, 2]]).repeat(4, 1).requires_grad_()
        _, transfer = transfer_of(BiKD(stop_gradient=stop, task_weight=0.0), {"a": good, "b": bad}, target)
        transfer.loss.sum().backward()
        assert (good.grad is not None and bool(good.grad.any())) == moved
        assert bad.grad.any()


def test_several_teachers_of_kl_dp():
    divergence = lambda student, teacher: teacher[:, 0] - student[:, 0]  # noqa: E731
    preds = {name: torch.full((4, 2), float(i)).requires_grad_() for i, name in enumerate(["s", "st", "t1", "t2"])}
    losses = {
        "s": torch.zeros(4),
        "st": torch.tensor([1.0, 1, 1, torch.nan]),
        "t1": torch.tensor([1.0, 0, 0, 2]),
        "t2": torch.tensor([2.0, 0, -1, 1]),
    }
    transfer = KLDP(teachers=("t1", "t2"), initial="st", supervised=True)(preds, losses, divergence)
    assert transfer.loss.tolist() == [1, 2, 3, 3]  # ties go to the initial student, then to the first teacher
    assert transfer.task_weight == 0


def test_each_keeps_students_apart():
    outputs, target = logits("a", "b", "a0", "b0"), labels()
    for name in ("a0", "b0"):
        outputs[name] = outputs[name].detach()
    both = Each(methods={"a": KD(teacher="b0"), "b": KD(teacher="a0")})
    losses, transfer = transfer_of(both, outputs, target)
    combine({name: losses[name] for name in "ab"}, transfer).backward()
    together = [outputs[name].grad.clone() for name in "ab"]
    for name, teacher, found in (("a", "b0", together[0]), ("b", "a0", together[1])):
        outputs[name].grad = None
        alone, part = transfer_of(KD(teacher=teacher), {n: outputs[n] for n in (name, teacher)}, target)
        combine({name: alone[name]}, part).backward()
        torch.testing.assert_close(outputs[name].grad, found)
    assert transfer.teachers.all(1).tolist() == [False, False, True, True]
    with pytest.raises(InputError, match="agree on task_weight"):
        mixed = Each(methods={"a": KD(teacher="b0"), "b": KD.divergence_only("a0")})
        transfer_of(mixed, outputs, target)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_gpu_is_never_waited_for(method):
    maps = {name: torch.rand(2, 32, 48, device="cuda").requires_grad_() for name in "abc"}
    density = torch.rand(2, 40, 60, device="cuda")
    target = SaliencyTarget(density, density > 0.9)
    torch.cuda.set_sync_debug_mode("error")
    try:
        losses, transfer = transfer_of(method, maps, target, SaliencyTask())
        combine(losses, transfer).backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
