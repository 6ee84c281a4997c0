import pytest
import torch
import torch.nn.functional as F

from saliency.tasks.saliency import EPSILON, SaliencyTask
from saliency.types import SaliencyTarget


def sample(batch=3, height=7, width=9, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    pred = torch.rand(batch, height, width, generator=generator, dtype=dtype)
    density = torch.rand(batch, height, width, generator=generator, dtype=dtype)
    return pred, SaliencyTarget(density, density > 0.8)


def kl(q, p):
    q, p = q / q.sum(), p / p.sum()
    return float((q * torch.log(EPSILON + q / (p + EPSILON))).sum())


def test_loss_is_kl_minus_correlation():
    pred, target = sample()
    for row, loss in enumerate(SaliencyTask().loss(pred, target)):
        p, q = pred[row], target.density[row]
        correlation = torch.corrcoef(torch.stack([p.flatten(), q.flatten()]))[0, 1]
        assert float(loss) == pytest.approx(kl(q, p) - float(correlation), abs=1e-12)


def test_the_weights_of_the_loss():
    pred, target = sample()
    both = SaliencyTask().loss(pred, target)
    kl_only, cc_only = (SaliencyTask(kl_weight=a, cc_weight=b).loss(pred, target) for a, b in ((1, 0), (0, -1)))
    torch.testing.assert_close(kl_only + cc_only, both)


def test_divergence_is_kl_of_the_teacher_from_the_student():
    student, _ = sample(seed=1)
    teacher, _ = sample(seed=2)
    forward = SaliencyTask().divergence(student, teacher)
    reverse = SaliencyTask(direction="reverse").divergence(student, teacher)
    for row in range(3):
        assert float(forward[row]) == pytest.approx(kl(teacher[row], student[row]), abs=1e-12)
        assert float(reverse[row]) == pytest.approx(kl(student[row], teacher[row]), abs=1e-12)
    assert SaliencyTask().divergence(student, student).abs().max() < 1e-9


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e15])
def test_neither_loss_nor_divergence_depends_on_scale(scale):
    pred, target = sample(dtype=torch.float32)
    scaled = SaliencyTarget(target.density * scale, target.fixations)
    task = SaliencyTask()
    torch.testing.assert_close(task.loss(pred * scale, scaled), task.loss(pred, target), rtol=1e-4, atol=1e-5)
    other = sample(seed=3, dtype=torch.float32)[0]
    torch.testing.assert_close(
        task.divergence(pred * scale, other), task.divergence(pred, other * scale), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["prediction", "ground truth"])
def test_an_unusable_map_gives_nan_and_no_gradient(value, where):
    pred, target = sample()
    (pred if where == "prediction" else target.density)[1] = value
    pred.requires_grad_()
    loss = SaliencyTask().loss(pred, target)
    assert loss.isnan().tolist() == [False, True, False]
    loss.nan_to_num().sum().backward()
    assert pred.grad is not None
    assert pred.grad.isfinite().all()
    assert not pred.grad[1].any()
    assert pred.grad[0].any()


@pytest.mark.parametrize("value", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_prediction_has_no_correlation(value, dtype):
    pred, target = sample(height=90, width=160, dtype=dtype)
    pred[0] = value
    pred.requires_grad_()
    SaliencyTask(kl_weight=0.0).loss(pred, target).sum().backward()
    loss = SaliencyTask(kl_weight=0.0).loss(pred, target)
    assert loss[0] == 0
    assert not pred.grad[0].any()


def test_the_published_formulas_let_nan_through():
    pred, target = sample()
    pred[0] = 0.25
    pred[1] = 0.0
    loss = SaliencyTask(degenerate="propagate").loss(pred.requires_grad_(), target)
    assert loss.isnan().tolist() == [True, True, False]
    loss.sum().backward()
    assert pred.grad[0].isnan().all()


def test_the_clamp_bounds_the_gradient_of_a_zero_pixel():
    pred, target = sample()
    pred[0, 2, 3] = 0.0
    for clamp, bounded in ((0.0, False), (1e-12, True)):
        leaf = pred.clone().requires_grad_()
        SaliencyTask(clamp=clamp).loss(leaf, target).sum().backward()
        assert (leaf.grad.abs().max() < 1e3) == bounded


def test_align_resizes_to_the_grid_of_the_target():
    pred, target = sample()
    small = torch.rand(3, 4, 5)
    aligned = SaliencyTask().align(small, target)
    expected = F.interpolate(small[:, None], (7, 9), mode="bilinear", align_corners=False)[:, 0]
    torch.testing.assert_close(aligned, expected)
    assert SaliencyTask().align(pred, target) is pred
    assert SaliencyTask().align(small.half(), target).dtype == torch.float32


@pytest.mark.parametrize("output", [torch.zeros(3, 10), torch.zeros(3, 1, 7, 9), {"logits": torch.zeros(3)}])
def test_outputs_of_another_tasks_head_are_refused(output):
    with pytest.raises(TypeError, match="the saliency task wants maps"):
        SaliencyTask().align(output, sample()[1])


def test_half_precision_is_scored_in_float32():
    pred, target = sample(dtype=torch.float32)
    task = SaliencyTask()
    assert task.loss(pred.bfloat16(), target).dtype == torch.float32
    assert task.divergence(pred.half(), pred.half()).dtype == torch.float32


def test_confidence_prefers_a_concentrated_map():
    flat = torch.ones(1, 4, 4)
    peaked = flat.clone()
    peaked[0, 1, 1] = 100
    task = SaliencyTask()
    assert task.confidence(peaked) > task.confidence(flat)
    assert float(task.confidence(flat)) == pytest.approx(-torch.log(torch.tensor(16.0)).item())
    assert task.confidence(torch.zeros(1, 4, 4)).isnan()


def test_metrics_score_each_sample():
    pred, target = sample()
    task = SaliencyTask()
    assert task.monitor in task.metrics
    for metric in task.metrics.values():
        scores = metric(pred, target)
        assert scores.shape == (3,)
        assert scores.isfinite().all()
    perfect = {name: metric(target.density, target) for name, metric in task.metrics.items()}
    torch.testing.assert_close(perfect["cc"], torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(perfect["kld"], torch.zeros(3, dtype=torch.float64), atol=1e-9, rtol=0)
