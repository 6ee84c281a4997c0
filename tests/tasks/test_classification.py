import pytest
import torch
import torch.nn.functional as F

from saliency.errors import InputError
from saliency.tasks.classification import ClassificationTask, top_k


def sample(batch=5, classes=6, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, classes, generator=generator, dtype=dtype) * 3
    return logits, torch.arange(batch) % classes


def test_loss_is_cross_entropy():
    logits, labels = sample()
    expected = F.cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(ClassificationTask().loss(logits, labels), expected)
    smooth = F.cross_entropy(logits, labels, reduction="none", label_smoothing=0.1)
    torch.testing.assert_close(ClassificationTask(label_smoothing=0.1).loss(logits, labels), smooth)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_divergence_is_scaled_kl(temperature):
    student, _ = sample(seed=1)
    teacher, _ = sample(seed=2)
    q, p = (x / temperature for x in (teacher, student))
    expected = temperature**2 * (q.softmax(1) * (q.log_softmax(1) - p.log_softmax(1))).sum(1)
    task = ClassificationTask(temperature=temperature)
    torch.testing.assert_close(task.divergence(student, teacher), expected)
    reverse = ClassificationTask(temperature=temperature, direction="reverse")
    torch.testing.assert_close(reverse.divergence(teacher, student), expected)


def test_ranking_is_by_the_probability_of_the_label():
    logits, labels = sample()
    for smoothing in (0.0, 0.1):
        task = ClassificationTask(label_smoothing=smoothing)
        ranking = task.ranking(logits, labels, task.loss(logits, labels))
        torch.testing.assert_close(-ranking, logits.softmax(1)[range(5), labels])
        task = ClassificationTask(label_smoothing=smoothing, compare="log_prob")
        ranking = task.ranking(logits, labels, task.loss(logits, labels))
        torch.testing.assert_close(-ranking, logits.log_softmax(1)[range(5), labels])


def test_log_prob_keeps_the_order_where_probabilities_saturate():
    logits = torch.tensor([[25.0, 0, 0], [20.0, 0, 0]])
    labels = torch.tensor([0, 0])
    prob, log_prob = (
        task.ranking(logits, labels, task.loss(logits, labels))
        for task in (ClassificationTask(), ClassificationTask(compare="log_prob"))
    )
    assert prob[0] == prob[1]
    assert log_prob[0] < log_prob[1]


def test_log_of_softmax_underflows_where_log_softmax_does_not():
    student, teacher = torch.tensor([[120.0, 0, -3]]), torch.tensor([[0.0, 1, 2]])
    assert ClassificationTask().divergence(student, teacher).isfinite()
    assert not ClassificationTask(stable_log=False).divergence(student, teacher).isfinite()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_bad_logit_gives_nan_and_no_gradient(bad):
    logits, labels = sample()
    logits[1, 2] = bad
    logits.requires_grad_()
    task = ClassificationTask()
    loss = task.loss(logits, labels)
    assert loss.isnan().tolist() == [False, True, False, False, False]
    assert task.ranking(logits, labels, loss)[1].isnan()
    loss.nan_to_num().sum().backward()
    assert logits.grad.isfinite().all()
    assert not logits.grad[1].any()


def test_an_unknown_label_takes_no_part():
    logits, labels = sample()
    labels[3] = -1
    task = ClassificationTask()
    assert task.loss(logits, labels).isnan().tolist() == [False, False, False, True, False]
    assert task.metrics["top1"](logits, labels)[3].isnan()


def test_top_k():
    logits = torch.tensor([[1.0, 3, 2, 0], [1, 3, 2, 0], [5, 5, 0, 0], [5, 5, 0, 0], [torch.nan, 0, 1, 2]])
    labels = torch.tensor([1, 0, 0, 1, 3])
    assert top_k(logits, labels, 1).tolist() == [1, 0, 1, 0, 0]  # equal logits: the first class, as argmax does
    assert top_k(logits, labels, 2).tolist() == [1, 0, 1, 1, 0]
    assert top_k(logits, labels, 3).tolist() == [1, 1, 1, 1, 0]
    assert top_k(logits, labels, 9).tolist() == [1, 1, 1, 1, 0]


def test_top_k_counts_what_argmax_counts():
    logits, labels = sample(batch=200, classes=7)
    labels = torch.randint(7, (200,), generator=torch.Generator().manual_seed(0))
    assert torch.equal(top_k(logits, labels, 1), (logits.argmax(1) == labels).double())


@pytest.mark.parametrize("output", [torch.zeros(5, 7, 9), torch.zeros(4, 6), {"logits": torch.zeros(5, 6)}])
def test_outputs_of_another_tasks_head_are_refused(output):
    with pytest.raises(TypeError, match=r"classification wants logits \(5, C\)"):
        ClassificationTask().align(output, sample()[1])


def test_half_precision_is_scored_in_float32():
    logits, labels = sample(dtype=torch.bfloat16)
    assert ClassificationTask().align(logits, labels).dtype == torch.float32


def test_confidence_is_the_highest_probability():
    logits, _ = sample()
    torch.testing.assert_close(ClassificationTask().confidence(logits), logits.softmax(1).max(1).values)


def test_a_label_beyond_the_classes_is_named():
    with pytest.raises(InputError, match="the data has the class 9, the model 7 classes"):
        ClassificationTask().loss(torch.zeros(2, 7), torch.tensor([1, 9]))
