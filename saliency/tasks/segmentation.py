"""Semantic segmentation with mask classification models: Q masks with a class each, matched to the ground truth.

Paper of the models: Cheng et al., "Masked-attention Mask Transformer for Universal Image Segmentation",
CVPR 2022. Transfer between them: "Simplifying Knowledge Transfer in Pretrained Models", TMLR 2025, Eq. 6-8.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from saliency.metrics.segmentation import (
    confusion_matrix,
    frequency_weighted_iou,
    mean_accuracy,
    mean_iou,
    pixel_accuracy,
)
from saliency.types import IGNORED, MaskPrediction, SegmentationTarget

SMALLEST = 1e-18  # of a joint probability: below it a student gets no gradient; its inverse must not overflow
SMALLEST_SUM = 1e-12  # of the scores of a pixel, for the same reason
CLASSES_AT_ONCE = 16  # classes whose scores are brought to full size at the same time; bounds the memory


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentationTask:
    """Loss, divergence and metrics of mask classification models.

    Every present class is one mask of the ground truth. In each decoder layer the masks are matched one to
    one with queries (Hungarian algorithm); with q over queries and m over matched masks

    loss = sum over layers of  class_weight * sum_q w_q CE_q / sum_q w_q
                             + sum_m (mask_weight * BCE_m + dice_weight * dice_m) / (number of masks),

    w_q = 1 for matched queries, `no_object_weight` for the others (what Eq. 8 calls correct and incorrect). Both
    sums run over all images that pass through the model at once, as in the models' own training code (which also
    averages the number of masks over processes; here each process has its own). BCE and dice are taken at random
    points, most of them where the mask is uncertain. Ignored and padded pixels count as outside of every mask.

    Which model teaches an image is decided by the same formula with sums over that image alone, at one fixed
    set of points for all models (every cell of the common grid) and without gradient: see `ranking`.

    Models are compared by what they say of each pixel, S[c] = sum_q softmax(class)_q[c] * sigmoid(mask)_q, so
    their queries need no matching with each other. On the common grid (labels / `stride`) S is made a
    distribution over classes at each pixel, and KL(teacher || student) is the mean over labelled pixels.

    Attributes:
        num_classes: C, without "no object".
        class_weight: factor of the cross-entropy, in the loss and in the matching.
        mask_weight: factor of the masks' binary cross-entropy.
        dice_weight: factor of the dice loss.
        no_object_weight: weight of queries without a mask, relative to the others.
        points: points at which a mask is compared.
        oversample: candidates drawn per point that is chosen by uncertainty.
        importance: share of the points chosen by uncertainty; the others are uniform.
        stride: pixels of the labels per cell of the common grid.
        distribution: how S becomes a distribution over classes: ``"sum"`` divides by the sum, ``"softmax"``
            takes the softmax of S.
        direction: ``"forward"``: KL(teacher || student); ``"reverse"``: KL(student || teacher).
        official: what the published fork (github.com/Syd-J/Mask2Former) does instead:

            * the cross-entropy is the *sum* over an image's queries, not their weighted mean, while BCE and
              dice are batch values added to every image; this loss also decides who teaches;
            * the divergence is the softmax over chunks of C // 8 classes of S, summed over pixels, divided by
              the chunk's classes, averaged over chunks;
            * the divergence has no gradient at all, so nothing is transferred.

            Not repeated: the fork compares maps at the original image's size, here it is the common grid; and
            its models are scored at points of their own, here the candidates are the same for all.
        monitor: the metric that chooses the best checkpoint, higher is better.
    """

    num_classes: int
    class_weight: float = 2.0
    mask_weight: float = 5.0
    dice_weight: float = 5.0
    no_object_weight: float = 0.1
    points: int = 12544
    oversample: float = 3.0
    importance: float = 0.75
    stride: int = 4
    distribution: Literal["sum", "softmax"] = "sum"
    direction: Literal["forward", "reverse"] = "forward"
    official: bool = False
    monitor: str = "miou"

    metrics: ClassVar[Mapping[str, Callable[[MaskPrediction, SegmentationTarget], Tensor]]] = {}
    """None: the mean of the images' mIoU is not a data set's mIoU. See `totals` and `summarise`."""

    def align(self, output: MaskPrediction, target: SegmentationTarget) -> MaskPrediction:
        """Note which cells of the common grid are labelled; masks stay on their own grid.

        Raises:
            TypeError: the output does not come from a mask classification model of as many classes.
        """
        if not isinstance(output, MaskPrediction):
            found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise TypeError(f"the segmentation task wants a MaskPrediction from a model, got {found}")
        channels = output.class_logits[-1].shape[-1]
        if channels != self.num_classes + 1:
            raise TypeError(
                f"the task has {self.num_classes} classes, the model {channels - 1}: give both the same num_classes"
            )
        grid = self._common_grid(target)
        points = _centres(grid, target.labels.device)[None].expand(len(target.labels), -1, -1)  # (B, P, 2)
        labelled = sum(weight * (label != IGNORED) for label, weight in _corners(target, points))
        assert isinstance(labelled, Tensor)
        return replace(output, labelled=labelled.view(-1, *grid))

    def loss(self, pred: MaskPrediction, target: SegmentationTarget) -> Tensor:
        """(B,) shares of the batch loss, whose mean it is; NaN with zero gradient for a non-finite prediction."""
        batch = len(target.labels)
        usable = _usable(pred)
        random = torch.Generator(target.labels.device).manual_seed(target.seed)
        points = _random_points(batch, self.points, random)
        matches = self._match(pred, target, points)
        count = (target.classes >= 0).sum().clamp(min=1)
        total = torch.zeros(batch, device=target.labels.device)
        for classes, masks, match in zip(pred.class_logits, pred.mask_logits, matches, strict=True):
            entropy, weight = self._class_terms(classes, usable, target, match)
            logits = _full_precision(masks[match.image, match.query])  # (M, h, w)
            logits = torch.where(usable[match.image, None, None], logits, 0.0)
            where = self._uncertain_points(logits, random)
            wanted = _masks_at(target, match, where)
            bce, dice = _mask_terms(_sample(logits[:, None], where)[:, 0], wanted)
            mask = self.mask_weight * bce + self.dice_weight * dice  # (M,)
            if self.official:
                total = total + self.class_weight * entropy + mask.sum() / count
            else:
                share = self.class_weight * entropy / weight.sum() + _per_image(mask, match.image, batch) / count
                total = total + batch * share
        return torch.where(usable, total, torch.nan)

    @torch.no_grad()
    def ranking(self, pred: MaskPrediction, target: SegmentationTarget, loss: Tensor) -> Tensor:
        """(B,) the loss of each image by itself, at the centres of the common grid; the lowest teaches.

        NaN for a non-finite prediction and for an image without any label. `loss` decides only if `official`.
        """
        if self.official:
            return loss.detach()
        grid = self._grid(pred)
        batch, usable = len(target.labels), _usable(pred)
        points = _centres(grid, target.labels.device)[None].expand(batch, -1, -1)
        matches = self._match(pred, target, points, grid)
        total = torch.zeros(batch, device=target.labels.device)
        for classes, masks, match in zip(pred.class_logits, pred.mask_logits, matches, strict=True):
            entropy, weight = self._class_terms(classes, usable, target, match)
            logits = _resize(_full_precision(masks[match.image, match.query])[:, None], grid).flatten(1)  # (M, P)
            bce, dice = _mask_terms(logits, _masks_at(target, match, points[match.image]))
            mask = _per_image(self.mask_weight * bce + self.dice_weight * dice, match.image, batch)
            count = _per_image(torch.ones_like(bce), match.image, batch).clamp(min=1)
            total = total + self.class_weight * entropy / weight.sum(1) + mask / count
        return torch.where(usable & (target.classes >= 0).any(1), total, torch.nan)

    def comparable(self, pred: MaskPrediction) -> Tensor:
        """(B, C, h, w) what models are compared by: a joint distribution over labelled pixels and classes.

        Every labelled pixel weighs the same and the whole sums to 1 (to 0 without any label), so that KL
        between two of them is the mean over pixels of KL between their classes. If `official`: S itself.
        """
        scores = _resize(_semantic_map(pred.class_logits[-1], pred.mask_logits[-1]), self._grid(pred))
        if self.official:
            return scores
        per_pixel = (
            scores.softmax(1) if self.distribution == "softmax" else _divide(scores, scores.sum(1, keepdim=True))
        )
        weight = torch.ones_like(scores[:, 0]) if pred.labelled is None else pred.labelled.to(scores.dtype)
        weight = _divide(weight, weight.sum((1, 2), keepdim=True))  # (B, h, w)
        return per_pixel * weight[:, None]

    def divergence(self, student: Tensor, teacher: Tensor) -> Tensor:
        """(B,) KL(teacher || student) of two `comparable` predictions; gradients reach both."""
        if self.official:
            return chunked_divergence(student, teacher).detach()
        if self.direction == "reverse":
            student, teacher = teacher, student
        ratio = teacher.clamp(min=SMALLEST).log() - student.clamp(min=SMALLEST).log()
        return (teacher * ratio).sum((1, 2, 3))

    def confidence(self, pred: Tensor) -> Tensor:
        """(B,) mean over labelled pixels of the largest class probability of a `comparable` prediction."""
        highest = pred.amax(1)  # (B, h, w)
        if self.official:
            return highest.mean((1, 2))
        return torch.where(pred.sum((1, 2, 3)) > 0, highest.sum((1, 2)), torch.nan)

    def totals(self, pred: MaskPrediction, target: SegmentationTarget) -> dict[str, Tensor]:
        """Counts to be added up over a data set: the (B, C, C) confusion matrix, rows are true classes."""
        guess = label_map(pred, target, self.stride)
        return {"confusion": confusion_matrix(guess, target.labels, self.num_classes)}

    def summarise(self, totals: Mapping[str, Tensor]) -> dict[str, float]:
        """Scores of a data set from its summed `totals`."""
        confusion = totals["confusion"]
        scores = {
            "miou": mean_iou,
            "fwiou": frequency_weighted_iou,
            "macc": mean_accuracy,
            "pacc": pixel_accuracy,
        }
        return {name: float(score(confusion)) for name, score in scores.items()}

    def _common_grid(self, target: SegmentationTarget) -> tuple[int, int]:
        extents = _extents(target)
        rows, columns = max(rows for rows, _ in extents), max(columns for _, columns in extents)
        return max(1, round(rows / self.stride)), max(1, round(columns / self.stride))

    def _grid(self, pred: MaskPrediction) -> tuple[int, int]:
        height, width = (pred.mask_logits[-1] if pred.labelled is None else pred.labelled).shape[-2:]
        return height, width

    def _class_terms(
        self, logits: Tensor, usable: Tensor, target: SegmentationTarget, match: "_Match"
    ) -> tuple[Tensor, Tensor]:
        """(B,) the weighted cross-entropy summed over queries, and (B, Q) the weights."""
        logits = torch.where(usable[:, None, None], _full_precision(logits), 0.0)  # (B, Q, C + 1)
        wanted = torch.full(logits.shape[:2], self.num_classes, device=logits.device)
        wanted[match.image, match.query] = target.classes[match.image, match.slot]
        weights = torch.ones(self.num_classes + 1, dtype=logits.dtype, device=logits.device)
        weights[-1] = self.no_object_weight
        entropy = F.cross_entropy(logits.transpose(1, 2), wanted, weights, reduction="none")  # (B, Q)
        return entropy.sum(1), weights[wanted]

    @torch.no_grad()
    def _match(
        self, pred: MaskPrediction, target: SegmentationTarget, points: Tensor, grid: tuple[int, int] | None = None
    ) -> "list[_Match]":
        """Match queries and classes in every layer, by the loss's own terms at points (B, P, 2).

        Args:
            pred: the prediction.
            target: the ground truth.
            points: (B, P, 2) x, y in [0, 1].
            grid: the points are the centres of this grid.
        """
        truth = _masks_of(target, points)  # (B, N, P)
        present = target.classes >= 0  # (B, N)
        costs = []
        for classes, masks in zip(pred.class_logits, pred.mask_logits, strict=True):
            masks = _full_precision(masks)
            logits = _sample(masks, points) if grid is None else _resize(masks, grid).flatten(2)  # (B, Q, P)
            wanted = truth.to(logits.dtype).transpose(1, 2)  # (B, P, N)
            likely = _full_precision(classes).softmax(-1)
            slots = target.classes.clamp(min=0)[:, None].expand(-1, likely.shape[1], -1)
            inside = logits.sigmoid()
            bce = (F.softplus(logits).sum(-1, keepdim=True) - logits @ wanted) / logits.shape[-1]
            dice = 1 - (2 * inside @ wanted + 1) / (inside.sum(-1, keepdim=True) + wanted.sum(1, keepdim=True) + 1)
            cost = self.mask_weight * bce + self.dice_weight * dice - self.class_weight * likely.gather(2, slots)
            # A broken prediction still gets some match, so that the loss can say which sample it was.
            cost = cost.float().nan_to_num(nan=1e9, posinf=1e9, neginf=-1e9)  # (B, Q, N)
            costs.append(torch.where(present[:, None], cost, torch.inf))
        return _assign(torch.stack(costs))

    @torch.no_grad()
    def _uncertain_points(self, logits: Tensor, random: torch.Generator) -> Tensor:
        """(M, P, 2) random points of masks (M, h, w), most of them where the logit is nearest to 0."""
        count = round(self.importance * self.points)
        candidates = _random_points(len(logits), int(self.oversample * self.points), random)
        certainty = _sample(logits[:, None], candidates)[:, 0].abs()  # (M, 3 P)
        nearest = certainty.topk(count, dim=1, largest=False, sorted=False).indices
        chosen = candidates.gather(1, nearest[..., None].expand(-1, -1, 2))
        uniform = _random_points(len(logits), self.points - count, random)
        return torch.cat([chosen, uniform], 1)


def label_map(pred: MaskPrediction, target: SegmentationTarget, stride: int = 4) -> Tensor:
    """The most likely class of each pixel.

    Masks are brought to the size of the model's input, padding is cut off, and the scores are brought to the
    size of the labels: the order of the models' own evaluation.

    Args:
        pred: prediction of B images.
        target: the images' labels, of which only the sizes matter.
        stride: pixels of the model's input per pixel of its masks.

    Returns:
        (B, H, W) int64; 0 beyond an image's own size.
    """
    classes, masks = pred.class_logits[-1], _full_precision(pred.mask_logits[-1])
    height, width = masks.shape[-2] * stride, masks.shape[-1] * stride
    size = target.labels.shape[-2:]
    if not target.content and not target.sizes:
        return _best_class(_semantic_map(classes, _resize(masks, (height, width))), size)
    guess = torch.zeros_like(target.labels)
    for i in range(len(guess)):
        shown = target.content[i] if target.content else (1.0, 1.0)
        rows, columns = target.sizes[i] if target.sizes else size
        mask = _resize(masks[i : i + 1], (height, width))[..., : round(height * shown[0]), : round(width * shown[1])]
        guess[i, :rows, :columns] = _best_class(_semantic_map(classes[i : i + 1], mask), (rows, columns))[0]
    return guess


def chunked_divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """The published fork's divergence of semantic maps (B, C, h, w), with gradient; see `SegmentationTask`.

    Returns:
        (B,)
    """
    size = max(1, student.shape[1] // 8)
    values = []
    for s, t in zip(student.split(size, 1), teacher.split(size, 1), strict=True):
        log_s, log_t = s.log_softmax(1), t.log_softmax(1)
        values.append((log_t.exp() * (log_t - log_s)).sum((1, 2, 3)) / s.shape[1])
    return torch.stack(values).mean(0)


class _Match(NamedTuple):
    """M matched pairs of a layer: three (M,) index tensors."""

    image: Tensor
    query: Tensor
    slot: Tensor
    """Position in the image's row of `SegmentationTarget.classes`."""


def _assign(costs: Tensor) -> list[_Match]:
    """Solve all assignment problems (L, B, Q, N); this copy to the host is the loss's only wait for the device."""
    layers = costs.cpu().numpy()
    pairs = []
    for images in layers:
        found = [np.empty((3, 0), dtype=np.int64)]
        for i, cost in enumerate(images):
            n = int(np.isfinite(cost).any(0).sum())  # columns of inf are fillers at the end
            query, slot = linear_sum_assignment(cost[:, :n])
            found.append(np.stack([np.full_like(query, i), query, slot]))
        pairs.append(np.concatenate(found, 1))
    joined = torch.from_numpy(np.concatenate(pairs, 1)).to(costs.device)
    return [_Match(*part) for part in joined.split([p.shape[1] for p in pairs], dim=1)]


def _mask_terms(logits: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """(M,) binary cross-entropy and dice loss of masks given at points (M, P)."""
    truth = truth.to(logits.dtype)
    bce = F.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean(1)
    inside = logits.sigmoid()
    dice = 1 - (2 * (inside * truth).sum(1) + 1) / (inside.sum(1) + truth.sum(1) + 1)
    return bce, dice


def _semantic_map(class_logits: Tensor, mask_logits: Tensor) -> Tensor:
    """(B, C, h, w) scores S[c] = sum_q softmax(class)_q[c] * sigmoid(mask)_q; "no object" is dropped."""
    likely = _full_precision(class_logits).softmax(-1)[..., :-1]
    return torch.einsum("bqc,bqhw->bchw", likely, _full_precision(mask_logits).sigmoid())


def _best_class(scores: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """(B, H, W) the class with the highest score (B, C, h, w) after a resize, some classes at a time."""
    best = torch.full((len(scores), *size), -torch.inf, dtype=scores.dtype, device=scores.device)
    best_class = torch.zeros(best.shape, dtype=torch.int64, device=scores.device)
    for start in range(0, scores.shape[1], CLASSES_AT_ONCE):
        value, index = _resize(scores[:, start : start + CLASSES_AT_ONCE], size).max(1)
        best_class = torch.where(value > best, index + start, best_class)
        best = torch.maximum(value, best)
    return best_class


def _usable(pred: MaskPrediction) -> Tensor:
    """(B,) bool, whether everything a model said of an image is finite."""
    checks = [logits.sum((1, 2), dtype=torch.float32).isfinite() for logits in pred.class_logits]
    checks += [logits.sum((1, 2, 3), dtype=torch.float32).isfinite() for logits in pred.mask_logits]
    return torch.stack(checks).all(0)


def _extents(target: SegmentationTarget) -> list[tuple[float, float]]:
    """How many rows and columns of an image's labels the whole input of a model spans, padding included."""
    height, width = target.labels.shape[-2:]
    sizes = target.sizes or ((height, width),) * len(target.labels)
    content = target.content or ((1.0, 1.0),) * len(target.labels)
    return [(h / rows, w / columns) for (h, w), (rows, columns) in zip(sizes, content, strict=True)]


def _corners(
    target: SegmentationTarget, points: Tensor, image: Tensor | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """The four labels around each point with their bilinear weights (0 outside of the image).

    This is bilinear sampling of every class's mask at once, without making the masks.

    Args:
        target: the ground truth.
        points: (M, P, 2) x, y in [0, 1], fractions of the models' input.
        image: (M,) which image; None: one row per image.

    Yields:
        Labels (M, P) and weights (M, P).
    """
    labels = target.labels
    batch, height, width = labels.shape
    image = torch.arange(batch, device=labels.device) if image is None else image
    x, y = points[..., 0] * width - 0.5, points[..., 1] * height - 0.5  # (M, P) in pixels of the labels
    if target.sizes or target.content:
        extents = torch.tensor(_extents(target), device=labels.device)[image]  # (M, 2)
        x, y = points[..., 0] * extents[:, 1:] - 0.5, points[..., 1] * extents[:, :1] - 0.5
    left, top = x.floor(), y.floor()
    for column, along_x in ((left, left + 1 - x), (left + 1, x - left)):
        for row, along_y in ((top, top + 1 - y), (top + 1, y - top)):
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            at = row.clamp(0, height - 1).long() * width + column.clamp(0, width - 1).long()  # (M, P)
            label = labels.flatten()[at + (image * height * width)[:, None]]
            yield label, along_x * along_y * inside


def _masks_of(target: SegmentationTarget, points: Tensor) -> Tensor:
    """(B, N, P) every present class's mask at points (B, P, 2)."""
    masks = torch.zeros(*target.classes.shape, points.shape[1], dtype=points.dtype, device=points.device)
    for label, weight in _corners(target, points):
        masks += (label[:, None] == target.classes[..., None]) * weight[:, None]
    return masks


def _masks_at(target: SegmentationTarget, match: _Match, points: Tensor) -> Tensor:
    """(M, P) the matched classes' masks, each at its own points (M, P, 2)."""
    wanted = target.classes[match.image, match.slot]  # (M,)
    masks = torch.zeros(points.shape[:2], dtype=points.dtype, device=points.device)
    for label, weight in _corners(target, points, match.image):
        masks += (label == wanted[:, None]) * weight
    return masks


def _random_points(count: int, points: int, random: torch.Generator) -> Tensor:
    """(count, points, 2) x, y uniform in [0, 1)."""
    return torch.rand(count, points, 2, generator=random, device=random.device)


def _sample(maps: Tensor, points: Tensor) -> Tensor:
    """(M, Q, P) values of maps (M, Q, h, w) at points (M, P, 2) in [0, 1], bilinear, 0 outside."""
    if not len(maps):
        return maps.new_zeros(0, maps.shape[1], points.shape[1])
    where = (2 * points - 1).to(maps.dtype)[:, :, None]  # (M, P, 1, 2)
    return F.grid_sample(maps, where, align_corners=False)[..., 0]


def _centres(grid: tuple[int, int], device: torch.device) -> Tensor:
    """(h * w, 2) x, y in [0, 1] of the cells' centres, row by row."""
    y = (torch.arange(grid[0], device=device) + 0.5) / grid[0]
    x = (torch.arange(grid[1], device=device) + 0.5) / grid[1]
    return torch.stack([x.expand(grid[0], -1), y[:, None].expand(-1, grid[1])], -1).flatten(0, 1)


def _resize(maps: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Maps (M, C, h, w) at another size, bilinear with half-pixel centres, no antialiasing."""
    if maps.shape[-2:] == tuple(size) or not len(maps):
        return maps if len(maps) else maps.new_zeros(*maps.shape[:2], *size)
    return F.interpolate(maps, tuple(size), mode="bilinear", align_corners=False)


def _per_image(values: Tensor, image: Tensor, batch: int) -> Tensor:
    """(B,) sums of values (M,)."""
    return torch.zeros(batch, dtype=values.dtype, device=values.device).index_add(0, image, values)


def _divide(values: Tensor, by: Tensor) -> Tensor:
    return values / by.clamp(min=SMALLEST_SUM)


def _full_precision(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()
