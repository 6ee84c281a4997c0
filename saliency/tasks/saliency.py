"""Video saliency: one map per target frame, trained with KL(gt || pred) - CC, compared as distributions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from saliency.metrics import frame
from saliency.types import InputSpec, SaliencyTarget

EPSILON = 2.2204e-16
"""The constant of the MIT KL formula as the published training code writes it."""

Metric = Callable[[Tensor, SaliencyTarget], Tensor]

SCORES = tuple(name for name in frame.STANDARD if {"density", "fixations"}.issuperset(frame.METRICS[name].needs))
"""The metrics that need no more than a target has, by their names in the table of metrics."""


def _of_target(metric: frame.Metric) -> Metric:
    """A metric as a function of prediction and target."""
    return lambda pred, target: metric.function(pred, *(getattr(target, need) for need in metric.needs))


@dataclass(frozen=True, slots=True, kw_only=True)
class SaliencyTask:
    """Loss, divergence and metrics of saliency maps (B, H, W) >= 0.

    loss       = kl_weight * KL(gt || pred) + cc_weight * CC(pred, gt)    (Bi-KD paper, Eq. 9-10)
    divergence = KL(teacher || student)

    each between maps that are divided by their sum, with KL(q || p) = sum q log(eps + q / (p + eps)).
    Computed in float32, or in float64 if the prediction is. The printed Eq. 10 divides by variances; CC needs
    standard deviations.

    Attributes:
        kl_weight: coefficient of the KL.
        cc_weight: coefficient of the correlation.
        degenerate: ``"safe"``: the loss is NaN with zero gradient where the ground truth or the prediction is
            not finite or has no positive sum, and a constant map has CC 0 without gradient. ``"propagate"``:
            the plain formulas, whose NaN spreads (what the published scripts do).
        clamp: lower bound of the sum-normalised prediction. 0 is the paper's formula; 1e-12 bounds the
            gradient of q / eps that one zero pixel of a prediction under positive ground truth otherwise
            gets.
        direction: ``"forward"``: KL(teacher || student), as the published code; ``"reverse"``:
            KL(student || teacher), as Eq. 1 reads literally.
        monitor: the metric that chooses the best checkpoint, higher is better.
    """

    kl_weight: float = 1.0
    cc_weight: float = -1.0
    degenerate: Literal["safe", "propagate"] = "safe"
    clamp: float = 0.0
    direction: Literal["forward", "reverse"] = "forward"
    monitor: str = "cc"

    metrics: ClassVar[Mapping[str, Metric]] = {name: _of_target(frame.METRICS[name]) for name in SCORES}

    def align(self, output: Tensor, target: SaliencyTarget) -> Tensor:
        """Resize a model's maps (B, h, w) to the target's grid, bilinear with half-pixel centres.

        Raises:
            TypeError: the output is not a batch of maps.
        """
        if not isinstance(output, Tensor) or output.ndim != 3:
            found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise TypeError(f"the saliency task wants maps (B, H, W) from a model, got {found}")
        pred = _at_least_float32(output)
        grid = target.density.shape[-2:]
        if pred.shape[-2:] != grid:
            pred = F.interpolate(pred[:, None], grid, mode="bilinear", align_corners=False)[:, 0]  # (B, H, W)
        return pred

    def loss(self, pred: Tensor, target: SaliencyTarget) -> Tensor:
        """(B,) KL(gt || pred) - CC with the default weights."""
        pred = _at_least_float32(pred)
        density = target.density.to(pred.dtype)
        p, p_valid = self._normalise(pred)
        q, q_valid = self._normalise(density)
        loss = self.kl_weight * _kl(q, self._bounded(p))

        # CC does not depend on scale: taken from the normalised maps, tiny predictions do not underflow.
        usable = p_valid & q_valid
        flat = _constant(pred) | _constant(density)
        p = p - p.mean((-2, -1), keepdim=True)
        q = q - q.mean((-2, -1), keepdim=True)
        product = _norm(p) * _norm(q)
        cc = (p * q).sum((-2, -1)) / torch.where(flat | ~usable, 1.0, product)
        if self.degenerate == "propagate":
            return loss + self.cc_weight * cc * torch.where(flat, torch.nan, 1.0)
        loss = loss + self.cc_weight * torch.where(flat, 0.0, cc)
        return torch.where(usable, loss, torch.nan)

    def ranking(self, pred: Tensor, target: SaliencyTarget, loss: Tensor) -> Tensor:
        """(B,) the task loss decides who teaches."""
        return loss

    def comparable(self, pred: Tensor) -> Tensor:
        """The prediction itself."""
        return pred

    def divergence(self, student: Tensor, teacher: Tensor) -> Tensor:
        """(B,) KL(teacher || student), >= 0 up to rounding; NaN with zero gradient for an unusable map."""
        if self.direction == "reverse":
            student, teacher = teacher, student
        p, p_valid = self._normalise(_at_least_float32(student))
        q, q_valid = self._normalise(_at_least_float32(teacher))
        value = _kl(q, self._bounded(p))
        return value if self.degenerate == "propagate" else torch.where(p_valid & q_valid, value, torch.nan)

    def confidence(self, pred: Tensor) -> Tensor:
        """(B,) negative entropy of the map in nats: a concentrated map is a confident one."""
        p, valid = self._normalise(_at_least_float32(pred))
        return torch.where(valid, torch.special.entr(p).sum((-2, -1)).neg(), torch.nan)

    def picture(self, inputs: Tensor, target: SaliencyTarget, pred: Tensor, spec: InputSpec) -> Tensor:
        """(3, H, W) uint8: the target frame, the ground truth and the prediction, each map up to its peak."""
        size = target.density.shape[-2:]
        shown = min(spec.offsets.index(min(spec.offsets, key=abs)), inputs.shape[2] - 1)  # stills may come as one frame
        frame = inputs[0, :, shown].float()  # (3, h, w)
        mean, std = (frame.new_tensor(values)[:, None, None] for values in (spec.mean, spec.std))
        frame = F.interpolate((frame * std + mean)[None], size, mode="bilinear", align_corners=False)[0]  # (3, H, W)
        maps = [each[0].float() / each[0].amax().clamp(min=1e-12) for each in (target.density, pred)]
        panels = [frame, *(panel.expand(3, -1, -1) for panel in maps)]
        return (torch.cat(panels, dim=-1).nan_to_num().clamp(0, 1) * 255).round().byte()

    def _normalise(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Divide maps (B, H, W) by their sum; also return (B,) bool, whether that is a distribution."""
        valid = maps.sum((-2, -1)) > 0
        valid = valid & maps.isfinite().all(-1).all(-1)
        if self.degenerate == "safe":
            maps = torch.where(valid[:, None, None], maps, 1.0)  # keeps NaN out of the gradient
        return maps / maps.sum((-2, -1), keepdim=True), valid

    def _bounded(self, p: Tensor) -> Tensor:
        return p.clamp(min=self.clamp) if self.clamp > 0 else p


def _at_least_float32(maps: Tensor) -> Tensor:
    return maps if maps.dtype == torch.float64 else maps.float()


def _kl(q: Tensor, p: Tensor) -> Tensor:
    """(B,) KL(q || p) in nats."""
    return (q * torch.log(EPSILON + q / (p + EPSILON))).sum((-2, -1))


def _constant(maps: Tensor) -> Tensor:
    """(B,) bool, exactly one value in the map; a standard deviation of 0 would be hidden by rounding."""
    return maps.amax((-2, -1)) == maps.amin((-2, -1))


def _norm(maps: Tensor) -> Tensor:
    return torch.linalg.vector_norm(maps, dim=(-2, -1))
