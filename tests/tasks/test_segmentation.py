import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment

from saliency.distillation.base import combine
from saliency.distillation.bi_kd import BiKD
from saliency.distillation.control import TaskOnly
from saliency.tasks.base import Totals
from saliency.tasks.segmentation import SegmentationTask, chunked_divergence, label_map
from saliency.types import IGNORED, MaskPrediction, SegmentationTarget

GOLDEN = Path(__file__).parent.parent / "data" / "distillation" / "seg_semantic_map.json"
C, Q = 4, 6


def make_target(labels: torch.Tensor, **extra) -> SegmentationTarget:
    present = [[int(c) for c in image.unique() if c != IGNORED] for image in labels]
    most = max(map(len, present))
    classes = torch.tensor([row + [-1] * (most - len(row)) for row in present]).long().view(len(labels), most)
    return SegmentationTarget(labels=labels, classes=classes, **extra)


def make_labels(batch: int = 3, size: tuple[int, int] = (32, 48), seed: int = 0) -> torch.Tensor:
    """Blocks of random classes, an ignored strip on top; image 1 lacks class 2."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, C, (batch, size[0] // 8, size[1] // 8), generator=random)
    labels = labels.repeat_interleave(8, 1).repeat_interleave(8, 2)
    labels[:, :4] = IGNORED
    if batch > 1:
        labels[1][labels[1] == 2] = 0
    return labels


def make_output(batch: int = 3, grid: tuple[int, int] = (8, 12), layers: int = 3, seed: int = 1, **kind):
    random = torch.Generator().manual_seed(seed)
    kind = {"dtype": torch.float64} | kind
    return MaskPrediction(
        tuple(torch.randn(batch, Q, C + 1, generator=random, **kind).mul_(2) for _ in range(layers)),
        tuple(torch.randn(batch, Q, *grid, generator=random, **kind).mul_(2) for _ in range(layers)),
    )


def with_grad(pred: MaskPrediction) -> MaskPrediction:
    for logits in (*pred.class_logits, *pred.mask_logits):
        logits.requires_grad_()
    return pred


def leaves(pred: MaskPrediction) -> list[torch.Tensor]:
    return [*pred.class_logits, *pred.mask_logits]


# Divergence


def golden_predictions() -> list[MaskPrediction]:
    """The two predictions behind the golden maps, drawn as the golden file's generator draws them."""
    random = np.random.RandomState(61)
    preds = []
    for _ in range(2):
        classes = torch.from_numpy(random.standard_normal((1, 10, 19)) * 2)
        masks = torch.from_numpy(random.standard_normal((1, 10, 3, 4)) * 2)
        preds.append(MaskPrediction((classes,), (masks,)))
    return preds


@pytest.mark.parametrize(
    ("variant", "options"), [("sum", {}), ("softmax", {"distribution": "softmax"}), ("official", {"official": True})]
)
def test_golden_divergence(variant, options):
    golden = json.loads(GOLDEN.read_text())
    teacher, student = golden_predictions()
    task = SegmentationTask(num_classes=18, **options)
    value = task.divergence(task.comparable(student), task.comparable(teacher))
    assert value.item() == pytest.approx(golden["expected"][variant], abs=1e-9)


def test_golden_semantic_maps():
    golden = torch.tensor(json.loads(GOLDEN.read_text())["inputs"]["maps"], dtype=torch.float64)
    task = SegmentationTask(num_classes=18, official=True)  # whose comparable is the semantic map itself
    maps = torch.cat([task.comparable(pred) for pred in golden_predictions()])
    torch.testing.assert_close(maps, golden, atol=1e-9, rtol=0)


def test_divergence_is_the_mean_over_labelled_pixels_of_kl():
    labels = make_labels()
    labels[:, :, :20] = IGNORED  # a whole number of cells
    target, task = make_target(labels), SegmentationTask(num_classes=C)
    preds = [task.align(make_output(seed=seed), target) for seed in (1, 2)]
    student, teacher = (task.comparable(pred) for pred in preds)
    maps = []
    for pred in preds:
        likely = pred.class_logits[-1].softmax(-1)[..., :-1]
        maps.append(torch.einsum("bqc,bqhw->bchw", likely, pred.mask_logits[-1].sigmoid()))
    s, t = (m / m.sum(1, keepdim=True) for m in maps)
    kl = (t * (t / s).log()).sum(1)  # (B, h, w)
    labelled = labels[:, 2::4, 2::4] != IGNORED  # cells are uniform here
    expected = torch.stack([k[m].mean() for k, m in zip(kl, labelled, strict=True)])
    torch.testing.assert_close(task.divergence(student, teacher), expected, rtol=1e-6, atol=0)
    reverse = dataclasses.replace(task, direction="reverse")
    torch.testing.assert_close(reverse.divergence(student, teacher), task.divergence(teacher, student))


def test_comparable_is_a_distribution_and_ignores_unlabelled_pixels():
    target, task = make_target(make_labels()), SegmentationTask(num_classes=C)
    pred = task.align(make_output(), target)
    joint = task.comparable(pred)
    torch.testing.assert_close(joint.sum((1, 2, 3)), torch.ones(3, dtype=torch.float64))
    assert (joint[:, :, 0] == 0).all()  # the ignored strip is one row of cells
    other = make_output()
    for masks in other.mask_logits:
        masks[:, :, 0] += 5
    assert torch.equal(task.comparable(task.align(other, target)), joint)


def test_models_with_other_grids_meet_on_the_common_one():
    target, task = make_target(make_labels()), SegmentationTask(num_classes=C, points=64)
    small, large = make_output(grid=(4, 6)), make_output(grid=(16, 24))
    assert task.comparable(task.align(small, target)).shape == (3, C, 8, 12)
    assert task.comparable(task.align(large, target)).shape == (3, C, 8, 12)
    assert task.loss(small, target).isfinite().all()
    assert task.ranking(task.align(large, target), target, torch.zeros(3)).isfinite().all()


def test_divergence_of_certain_predictions_is_finite():
    target, task = make_target(make_labels()), SegmentationTask(num_classes=C)
    student, teacher = make_output(dtype=torch.float32), make_output(seed=2, dtype=torch.float32)
    for pred, sign in ((student, 1), (teacher, -1)):
        for classes in pred.class_logits:
            classes.mul_(300 * sign)
        for masks in pred.mask_logits:
            masks.mul_(300)
    student = with_grad(student)
    value = task.divergence(task.comparable(task.align(student, target)), task.comparable(task.align(teacher, target)))
    value.sum().backward()
    assert value.isfinite().all()
    assert student.class_logits[-1].grad.isfinite().all()


def run_transfer(distiller, task, preds, target):
    aligned = {name: task.align(pred, target) for name, pred in preds.items()}
    losses = {name: task.loss(pred, target) for name, pred in aligned.items()}
    ranking = {name: task.ranking(aligned[name], target, loss) for name, loss in losses.items()}
    compared = {name: task.comparable(pred) for name, pred in aligned.items()}
    return losses, distiller(compared, ranking, task.divergence)


def test_students_learn_from_their_teacher_and_teachers_from_nobody():
    target, task = make_target(make_labels()), SegmentationTask(num_classes=C, points=64)
    preds = {"a": with_grad(make_output(seed=1)), "b": with_grad(make_output(seed=2))}
    _, transfer = run_transfer(BiKD(), task, preds, target)
    assert transfer.teachers.any(0).all()
    transfer.loss.sum().backward()
    for k, pred in enumerate(preds.values()):
        for logits in (pred.class_logits[-1], pred.mask_logits[-1]):
            moved = logits.grad.flatten(1).abs().sum(1) > 0
            assert torch.equal(moved, ~transfer.teachers[k])
        assert all(logits.grad is None for logits in (*pred.class_logits[:-1], *pred.mask_logits[:-1]))


def test_every_direction_of_teaching_has_a_gradient():
    """The published script's transfer has none (the `official` preset repeats that)."""
    target = make_target(make_labels())
    for options, flows in (({}, True), ({"distribution": "softmax"}, True), ({"official": True}, False)):
        task = SegmentationTask(num_classes=C, **options)
        student, teacher = with_grad(make_output(seed=1)), with_grad(make_output(seed=2))
        compared = [task.comparable(task.align(pred, target)) for pred in (student, teacher)]
        value = task.divergence(compared[0], compared[1].detach())
        assert value.requires_grad is flows
        if flows:
            value.sum().backward()
            assert student.mask_logits[-1].grad.abs().sum() > 0
            assert teacher.mask_logits[-1].grad is None


def test_transfer_moves_a_student_to_its_teacher():
    target, task = make_target(make_labels(1)), SegmentationTask(num_classes=C)
    teacher = task.comparable(task.align(make_output(1, seed=2), target))
    student = with_grad(make_output(1, seed=1, layers=1))
    optimizer = torch.optim.Adam(leaves(student), lr=0.05)
    values = []
    for _ in range(40):
        value = task.divergence(task.comparable(task.align(student, target)), teacher).mean()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.2 * values[0]


def test_official_teachers_follow_the_official_loss():
    target, task = make_target(make_labels()), SegmentationTask(num_classes=C, points=64, official=True)
    preds = {"a": make_output(seed=1), "b": make_output(seed=2)}
    losses, transfer = run_transfer(BiKD(), task, preds, target)
    assert torch.equal(transfer.teachers[0], losses["a"] < losses["b"])


def test_chunks_of_the_official_divergence():
    """150 classes: eight chunks of 18 and one of 6."""
    random = torch.Generator().manual_seed(0)
    s, t = (torch.rand(2, 150, 3, 5, generator=random, dtype=torch.float64) for _ in range(2))
    expected = []
    for image in range(2):
        chunks = [
            F.kl_div(s[image, i : i + 18].log_softmax(0), t[image, i : i + 18].softmax(0), reduction="batchmean")
            for i in range(0, 150, 18)
        ]
        expected.append(torch.stack(chunks).mean())
    torch.testing.assert_close(chunked_divergence(s, t), torch.stack(expected))


# Loss


def halton(n: int) -> torch.Tensor:
    """(n, 2) well spread points that are the same in every call."""

    def digits(i: int, base: int) -> float:
        value, scale = 0.0, 1.0
        while i:
            scale /= base
            value, i = value + scale * (i % base), i // base
        return value

    return torch.tensor([[digits(i, 2), digits(i, 3)] for i in range(1, n + 1)], dtype=torch.float64)


def fake_rand(*shape, **_):
    return halton(shape[-2]).expand(*shape).clone()


@pytest.mark.parametrize("grid", [(8, 12), (5, 7)])
def test_loss_equals_that_of_transformers(monkeypatch, grid):
    transformers = pytest.importorskip("transformers")
    from transformers.models.mask2former.modeling_mask2former import Mask2FormerLoss

    config = transformers.Mask2FormerConfig(num_labels=C, train_num_points=40)
    weights = {"loss_cross_entropy": 2.0, "loss_mask": 5.0, "loss_dice": 5.0}
    reference = Mask2FormerLoss(config, weights).double()
    target, output = make_target(make_labels()), make_output(grid=grid)
    rows = zip(target.labels, target.classes, strict=True)
    masks = [torch.stack([labels == c for c in row if c >= 0]).double() for labels, row in rows]
    classes = [row[row >= 0] for row in target.classes]
    monkeypatch.setattr(torch, "rand", fake_rand)
    auxiliary = [
        {"masks_queries_logits": m, "class_queries_logits": c}
        for m, c in zip(output.mask_logits[:-1], output.class_logits[:-1], strict=True)
    ]
    terms = reference(output.mask_logits[-1], output.class_logits[-1], masks, classes, auxiliary)
    expected = sum(factor * value for name, factor in weights.items() for key, value in terms.items() if name in key)
    assert len(terms) == 9
    mine = SegmentationTask(num_classes=C, points=40).loss(output, target).mean()
    assert mine.item() == pytest.approx(expected.item(), rel=1e-6)


def plain_ranking(task, pred, labels, classes):
    """One image's loss in plain steps, at the centres of 4x4 cells."""
    total = 0.0
    present = classes[classes >= 0].tolist()
    masks = torch.stack([(labels == c).double() for c in present])
    # the centre of a cell lies between four pixels
    truth = F.avg_pool2d(masks[None, :, 1:-1, 1:-1], 2, 4)[0].flatten(1)  # (N, P)
    for class_logits, mask_logits in zip(pred.class_logits, pred.mask_logits, strict=True):
        logits, p = mask_logits.flatten(1), class_logits.softmax(-1)
        cost = torch.zeros(len(logits), len(present))
        for q in range(len(logits)):
            for n, c in enumerate(present):
                bce = F.binary_cross_entropy_with_logits(logits[q], truth[n])
                x = logits[q].sigmoid()
                dice = 1 - (2 * (x * truth[n]).sum() + 1) / (x.sum() + truth[n].sum() + 1)
                cost[q, n] = 5 * bce + 5 * dice - 2 * p[q, c]
        queries, slots = linear_sum_assignment(cost)
        wanted = torch.full((len(logits),), task.num_classes)
        mask = 0.0
        for q, n in zip(queries, slots, strict=True):
            wanted[q] = present[n]
            bce = F.binary_cross_entropy_with_logits(logits[q], truth[n])
            x = logits[q].sigmoid()
            mask += 5 * bce + 5 * (1 - (2 * (x * truth[n]).sum() + 1) / (x.sum() + truth[n].sum() + 1))
        weights = torch.tensor([1.0] * task.num_classes + [0.1], dtype=torch.float64)
        total += 2 * F.cross_entropy(class_logits, wanted, weights) + mask / len(queries)
    return total


def test_ranking_is_the_loss_of_each_image_alone():
    target, task = make_target(make_labels()), SegmentationTask(num_classes=C)
    output = make_output()
    ranking = task.ranking(task.align(output, target), target, torch.zeros(3))
    for i in range(3):
        alone = MaskPrediction(tuple(c[i] for c in output.class_logits), tuple(m[i] for m in output.mask_logits))
        expected = plain_ranking(task, alone, target.labels[i], target.classes[i])
        assert ranking[i].item() == pytest.approx(expected.item(), rel=1e-6)
    one = make_target(target.labels[2:])
    single = MaskPrediction(tuple(c[2:] for c in output.class_logits), tuple(m[2:] for m in output.mask_logits))
    torch.testing.assert_close(task.ranking(task.align(single, one), one, torch.zeros(1)), ranking[2:])


def test_a_perfect_prediction_has_a_small_loss_and_perfect_scores():
    target, task = make_target(make_labels()), SegmentationTask(num_classes=C, points=256, importance=0.0)
    pred = perfect(target)
    wrong = MaskPrediction((pred.class_logits[0].roll(1, -1),), pred.mask_logits)
    loss = task.loss(task.align(pred, target), target)  # not 0: pixels' edges are soft in the truth, hard here
    assert (loss < 0.1 * task.loss(task.align(wrong, target), target)).all()
    assert task.ranking(task.align(pred, target), target, torch.zeros(3)).max() < 0.5
    scores = task.summarise({"confusion": task.totals(pred, target)["confusion"].sum(0)})
    assert scores == {"miou": 1.0, "fwiou": 1.0, "macc": 1.0, "pacc": 1.0}
    assert isinstance(task, Totals)


def perfect(target: SegmentationTarget) -> MaskPrediction:
    """One layer, query c predicts class c where it is, on a grid as fine as the labels."""
    masks = torch.full((len(target.labels), Q, *target.labels.shape[1:]), -20.0)
    classes = torch.full((len(target.labels), Q, C + 1), -20.0)
    classes[:, :, C] = 20.0
    for c in range(C):
        masks[:, c] += 40.0 * (target.labels == c)
        present = (target.labels == c).flatten(1).any(1)
        classes[present, c, c] = 40.0
    return MaskPrediction((classes,), (masks,))


def test_official_loss_sums_the_cross_entropy():
    target = make_target(make_labels())
    output = make_output()
    task = SegmentationTask(num_classes=C, points=64, official=True)
    classes = torch.stack([_entropy(task, output, target, layer) for layer in range(3)]).sum(0)  # (B,)
    masks = task.loss(output, target) - 2 * classes
    assert masks.std() < 1e-6 * masks.mean()  # BCE and dice are batch values, the same for every image


def _entropy(task, output, target, layer):
    grid = torch.Generator().manual_seed(target.seed)
    points = torch.rand(len(target.labels), task.points, 2, generator=grid)
    match = task._match(output, target, points)[layer]
    wanted = torch.full((len(target.labels), Q), C)
    wanted[match.image, match.query] = target.classes[match.image, match.slot]
    weights = torch.tensor([1.0] * C + [0.1], dtype=torch.float64)
    return F.cross_entropy(output.class_logits[layer].transpose(1, 2), wanted, weights, reduction="none").sum(1)


def test_points_depend_on_the_samples_and_on_nothing_else():
    labels, task = make_labels(), SegmentationTask(num_classes=C, points=32)
    output = make_output()
    torch.manual_seed(0)
    first = task.loss(output, make_target(labels, seed=5))
    torch.manual_seed(1)
    state = torch.get_rng_state()
    assert torch.equal(task.loss(output, make_target(labels, seed=5)), first)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(task.loss(output, make_target(labels, seed=6)), first)


def test_a_broken_prediction_is_named_and_touches_nobody():
    target, task = make_target(make_labels()), SegmentationTask(num_classes=C, points=64)
    for broken in (torch.nan, torch.inf):
        for part in ("class_logits", "mask_logits"):
            output = make_output()
            getattr(output, part)[1][1, 2] = broken
            output = with_grad(output)
            loss = task.loss(output, target)
            assert loss.isnan().tolist() == [False, True, False]
            ranking = task.ranking(task.align(output, target), target, loss.detach())
            assert ranking.isnan().tolist() == [False, True, False]
            combine({"a": loss}, TaskOnly()({"a": loss}, {"a": ranking}, task.divergence)).backward()
            for logits in leaves(output):
                assert logits.grad.isfinite().all()
                assert (logits.grad[1] == 0).all()
                assert (logits.grad[0] != 0).any()


def test_an_image_without_labels_teaches_nothing():
    labels = make_labels()
    labels[2] = IGNORED
    target, task = make_target(labels), SegmentationTask(num_classes=C, points=64)
    preds = {"a": with_grad(make_output(seed=1)), "b": with_grad(make_output(seed=2))}
    losses, transfer = run_transfer(BiKD(), task, preds, target)
    assert not transfer.teachers[:, 2].any()
    assert transfer.loss[2] == 0
    joint = task.comparable(task.align(preds["a"], target))
    assert (joint[2] == 0).all()
    assert task.confidence(joint)[2].isnan()
    combine(losses, transfer).backward()
    assert all(logits.grad.isfinite().all() for pred in preds.values() for logits in leaves(pred))


def test_a_batch_without_any_label():
    target, task = make_target(torch.full((2, 16, 16), IGNORED)), SegmentationTask(num_classes=C, points=8)
    output = with_grad(make_output(2, (4, 4)))
    loss = task.loss(task.align(output, target), target)
    loss.mean().backward()  # queries still learn to say "no object"
    assert output.class_logits[0].grad.abs().sum() > 0
    assert task.ranking(task.align(output, target), target, loss).isnan().all()


def test_more_classes_than_queries():
    labels = torch.arange(10).repeat_interleave(4)[None].expand(8, -1)[None].clone()
    task = SegmentationTask(num_classes=10, points=16)
    output = MaskPrediction((torch.randn(1, 3, 11),), (torch.randn(1, 3, 2, 10),))
    assert task.loss(output, make_target(labels)).isfinite().all()


def test_half_precision_outputs_are_scored_in_float32():
    target, task = make_target(make_labels()), SegmentationTask(num_classes=C, points=64)
    output = make_output(dtype=torch.bfloat16)
    same = MaskPrediction(tuple(c.float() for c in output.class_logits), tuple(m.float() for m in output.mask_logits))
    assert torch.equal(task.loss(output, target), task.loss(same, target))
    aligned = task.align(output, target)
    assert task.comparable(aligned).dtype == torch.float32
    assert task.ranking(aligned, target, torch.zeros(3)).dtype == torch.float32


def test_the_loss_waits_for_the_device_once(monkeypatch):
    target, task = make_target(make_labels()), SegmentationTask(num_classes=C, points=32)
    pred = task.align(make_output(), target)
    waits = []
    for name in ("cpu", "item", "tolist", "__bool__", "__float__", "__int__"):
        plain = getattr(torch.Tensor, name)
        monkeypatch.setattr(torch.Tensor, name, lambda self, *a, _f=plain, _n=name: (waits.append(_n), _f(self, *a))[1])
    loss = task.loss(pred, target)
    assert waits == ["cpu"]
    waits.clear()
    task.ranking(pred, target, loss)
    assert waits == ["cpu"]
    waits.clear()
    joint = task.comparable(pred)
    task.divergence(joint, joint)
    task.confidence(joint)
    assert waits == []


# Data set scores


def test_padding_and_original_sizes():
    """Two images of other sizes, shown on a padded input at half their size, give what each gives alone."""
    labels = [make_labels(1, (32, 48), seed=1)[0], make_labels(1, (64, 32), seed=2)[0]]
    padded = torch.full((2, 64, 48), IGNORED)
    masks, classes = torch.full((2, Q, 8, 8), -20.0), []  # input 32x32, masks at a quarter
    for i, label in enumerate(labels):
        padded[i, : label.shape[0], : label.shape[1]] = label
        alone = perfect(make_target(label[None]))
        small = F.avg_pool2d(alone.mask_logits[0], 8)  # labels / 2 is the input, / 4 the masks
        masks[i, :, : small.shape[2], : small.shape[3]] = small[0]
        classes.append(alone.class_logits[0])
    content = ((16 / 32, 24 / 32), (32 / 32, 16 / 32))
    target = make_target(padded, sizes=((32, 48), (64, 32)), content=content)
    pred = MaskPrediction((torch.cat(classes),), (masks,))
    task = SegmentationTask(num_classes=C, points=64)
    guess = label_map(pred, target)
    for i, label in enumerate(labels):
        rows, columns = label.shape
        known = (label != IGNORED).nonzero()
        right = guess[i, :rows, :columns] == label
        assert right[known[:, 0], known[:, 1]].float().mean() > 0.75  # blocks of 8 pixels shown as one mask pixel
    aligned = task.align(pred, target)
    assert aligned.labelled.shape == (2, 16, 16)  # one grid for the whole padded input, a quarter of its label pixels
    assert (aligned.labelled[0, 8:] == 0).all() and (aligned.labelled[1, :, 8:] == 0).all()
    assert (aligned.labelled[0, 2:8, :12] > 0).all()
    assert task.loss(aligned, target).isfinite().all()


def test_refuses_what_is_no_mask_prediction():
    target, task = make_target(make_labels()), SegmentationTask(num_classes=C)
    with pytest.raises(TypeError, match=r"MaskPrediction.*\(3, 5\)"):
        task.align(torch.zeros(3, 5), target)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="the task has 7 classes, the model 4"):
        SegmentationTask(num_classes=7).align(make_output(), target)
