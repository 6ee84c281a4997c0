"""Score one frame under a protocol: bring the prediction to the ground truth, then call the metrics."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from saliency.data.video import AnnotatedVideo
from saliency.errors import InputError
from saliency.evaluation.protocols import Protocol
from saliency.evaluation.result import FLAGS, FrameRow
from saliency.evaluation.shuffled import FixationPool, pixels
from saliency.io.transforms import resize_map
from saliency.metrics.aim import stretched
from saliency.metrics.common import Maps, Points, as_points
from saliency.metrics.frame import score as score_maps

Watch = Callable[[AnnotatedVideo, int, np.ndarray], None]
"""Called with a video, a 0-based frame and its density, float32 (H, W) >= 0."""

UNDEFINED_IF_CONSTANT = frozenset({"cc", "nss", "sim", "auc_shuffled"})
"""What a constant prediction does not score under protocols that say so."""

BASELINE_FLOOR = 1e-6
"""Smallest value of a baseline as a share of its largest: where it says "never", no gain could be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameTruth:
    """The ground truth of one frame with what the metrics need of it, made once for all predictors.

    Attributes:
        video: id of the video.
        frame: 0-based frame.
        size: (H, W) the metrics work on.
        density: one map.
        fixations: the fixated pixels.
        others: the negatives of the shuffled AUC, none where the protocol has none.
        baseline: one density that the information gain compares with, where it is asked for.
        flags: counts that are facts of the ground truth.
        checksum: CRC-32 of density and fixations as the data set gave them.
    """

    video: str
    frame: int
    size: tuple[int, int]
    density: Maps
    fixations: Points
    others: Points
    baseline: Maps | None
    flags: Mapping[str, int]
    checksum: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """What all frames of an evaluation are scored with.

    Attributes:
        protocol: how.
        pool: where the negatives of the shuffled AUC come from; None gives none.
        baseline: (h, w) density >= 0 of any size that the information gain compares with; None where it is not
            asked for.
        on_bad: what a NaN or infinite pixel of a prediction does: raise, or leave the frame without scores and
            count it.

        watch: called with each density that is read.

    The last map of each predictor is kept: one that is the same for all frames is prepared once.
    """

    protocol: Protocol
    pool: FixationPool | None = None
    baseline: Tensor | None = None
    on_bad: Literal["raise", "count"] = "raise"
    watch: Watch | None = None
    _kept: dict[str, "_Prepared"] = field(default_factory=dict, repr=False)

    def load_truth(self, video: AnnotatedVideo, frame: int) -> FrameTruth:
        """Read one frame's ground truth and prepare it.

        Raises:
            InputError: a map is missing, unreadable or of the wrong size.
        """
        density = video.density(frame)
        if self.watch is not None:
            self.watch(video, frame, density)
        fixations = video.fixations(frame) if self.pool is None else self.pool.fixations(video, frame)
        points = None if self.protocol.formulae == "house" else video.repeated_points(frame)
        return self.make_truth(video, frame, density, fixations, video.points_outside(frame), points)

    def make_truth(
        self,
        video: AnnotatedVideo,
        frame: int,
        density: np.ndarray,
        fixations: np.ndarray,
        outside_points: int = 0,
        repeated: np.ndarray | None = None,
    ) -> FrameTruth:
        """Prepare ground truth that was made rather than read, see `load_truth`.

        Args:
            video: the frame's video.
            frame: 0-based frame.
            density: (H, W) float32 >= 0.
            fixations: (H, W) bool.
            outside_points: gaze points that could not become fixations because they lie outside the image.
            repeated: (M, 2) row, column of all fixations, for protocols that count repeats; None: each pixel once.

        Raises:
            InputError: a map has the wrong size, or the density negative or non-finite values.
        """
        video.check_map("density", frame, density)
        video.check_map("fixation", frame, fixations)
        given = _as_maps(density)
        if not bool(given.finite & (given.low >= 0)):
            raise InputError(
                f"video {video.id}, frame {frame}: the density map has negative or non-finite values; replace the map"
            )
        empty = bool(given.high == 0)
        checksum = zlib.crc32(np.packbits(fixations).data, zlib.crc32(np.ascontiguousarray(density).data))
        negatives = np.zeros((0, 2), np.int64)
        if self.protocol.shuffled is not None and self.pool is not None:
            negatives = self.pool.others(video, frame, fixations)
        mask = fixations
        own = size = (density.shape[0], density.shape[1])
        letterbox = self.protocol.letterbox
        if letterbox is not None and letterbox != size:
            box = _Letterbox(size, letterbox)
            given = _as_maps(box.map(torch.from_numpy(density)).numpy())
            rows, columns = box.points(pixels(fixations)).T
            size = letterbox
            mask = np.zeros(size, bool)
            mask[rows, columns] = True  # once each: a binary map has no repeats
        shape = torch.Size((1, *size))
        looked = as_points(torch.from_numpy(np.ascontiguousarray(mask)), shape, "fixations")
        n = int(looked.count)
        flags: dict[str, int] = dict.fromkeys(FLAGS, 0)
        flags["no_fixations"] = int(n == 0 or n == mask.size)
        flags["no_density"] = int(empty)
        flags["outside_points"] = outside_points
        truth = FrameTruth(
            video=video.id,
            frame=frame,
            size=size,
            density=given,
            fixations=looked,
            others=_negatives(negatives, shape),
            baseline=None if self.baseline is None else _sized(self.baseline, own, letterbox),
            flags=flags,
            checksum=checksum,
        )
        if self.protocol.formulae == "house":
            return truth
        return _as_aim(truth, pixels(mask) if repeated is None else repeated)

    def score(self, pred: Tensor, truth: FrameTruth, *, size: tuple[int, int], predictor: str) -> FrameRow:
        """Score one prediction.

        Args:
            pred: (h, w) real map of any size.
            truth: of the same frame.
            size: (H, W) of the video.
            predictor: its name, for messages.

        Raises:
            InputError: the prediction is not one map, or not finite while `on_bad` says so.
        """
        where = f"{predictor}, video {truth.video}, frame {truth.frame}"
        if pred.ndim != 2 or not pred.numel():
            raise InputError(f"{where}: the prediction is {tuple(pred.shape)}, expected one (H, W) map")
        flags = dict(truth.flags)
        flags["resized_pred"] = int(tuple(pred.shape) != tuple(size))
        low, high = torch.aminmax(pred)  # NaN if any value is
        protocol = self.protocol
        if not bool(torch.isfinite(low) & torch.isfinite(high)):
            if self.on_bad == "raise":
                raise InputError(
                    f"{where}: the prediction has NaN or infinite values; mend the model, or count them (--count-bad)"
                )
            flags["bad_pred"] = 1
            nothing = dict.fromkeys(protocol.metrics, float("nan"))
            return FrameRow(truth.video, truth.frame, nothing, flags, truth.checksum)
        maps = self._prepare(pred, size, predictor)
        constant = bool(maps.constant)
        flags["constant_pred"] = int(constant)
        names = {metric: _function(metric, protocol) for metric in protocol.metrics}
        values = score_maps(
            maps, truth.density, truth.fixations, truth.others, truth.baseline, names=dict.fromkeys(names.values())
        )
        scores = {metric: float(values[name]) for metric, name in names.items()}
        if constant and protocol.constant == "undefined":
            scores |= dict.fromkeys(scores.keys() & UNDEFINED_IF_CONSTANT, float("nan"))
        return FrameRow(truth.video, truth.frame, scores, flags, truth.checksum)

    def _prepare(self, pred: Tensor, size: tuple[int, int], predictor: str) -> Maps:
        kept = self._kept.get(predictor)
        if kept is None or kept.pred is not pred or kept.size != size:
            kept = _Prepared(pred=pred, size=size, maps=Maps(prepare(pred, size, self.protocol)[None]))
            self._kept[predictor] = kept
        return kept.maps


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """A prediction (h, w), the size (H, W) of the video that it was brought to, and what came of it."""

    pred: Tensor
    size: tuple[int, int]
    maps: Maps


def prepare(pred: Tensor, size: tuple[int, int], protocol: Protocol) -> Tensor:
    """Bring a prediction to the size on which it is scored, as the protocol says.

    Args:
        pred: (h, w), any real dtype.
        size: (H, W) of the video.
        protocol: how.

    Returns:
        (H, W), or the protocol's letterbox, float32 (float64 input stays so).
    """
    pred = pred.detach().cpu()
    if pred.dtype not in (torch.float32, torch.float64):
        pred = pred.float()
    if protocol.eight_bit:
        pred = _eight_bit(pred)
    if protocol.formulae == "aim":
        pred = stretched(pred)
    if tuple(pred.shape) != tuple(size):
        if protocol.resize == "bilinear":
            pred = resize_map(pred, size)
        else:
            pred = interpolate(pred[None, None], size, mode="bicubic", align_corners=False, antialias=True)[0, 0]
    if protocol.blur:
        window = (protocol.blur_size, protocol.blur_size)
        pred = torch.from_numpy(cv2.GaussianBlur(pred.numpy(), window, protocol.blur))
    if protocol.letterbox is not None and protocol.letterbox != tuple(size):
        pred = _Letterbox(size, protocol.letterbox).map(pred)
    return pred


def _as_maps(density: np.ndarray) -> Maps:
    """One map (H, W)."""
    return Maps(torch.from_numpy(np.ascontiguousarray(density, dtype=np.float32))[None])


def _negatives(points: np.ndarray, shape: torch.Size) -> Points:
    """Points (M, 2) of a pool, which lie within the frame."""
    flat = torch.from_numpy(points[:, 0] * shape[2] + points[:, 1])
    return Points(shape, torch.tensor([len(flat)]), flat, repeats=True)


def _sized(baseline: Tensor, size: tuple[int, int], letterbox: tuple[int, int] | None) -> Maps:
    """The baseline at the size on which a frame is scored, above 0 everywhere."""
    values = resize_map(baseline.float(), size)
    if letterbox is not None and letterbox != size:
        values = _Letterbox(size, letterbox).map(values)
    return Maps(values.clamp_min(float(values.max()) * BASELINE_FLOOR)[None])


def _as_aim(truth: FrameTruth, points: np.ndarray) -> FrameTruth:
    """The ground truth as the AIM 2024 scorer takes it: a stretched density, every fixation (M, 2) as it was given."""
    if not len(points):
        raise InputError(
            f"video {truth.video}, frame {truth.frame}: has no fixations, which the scorer of this protocol cannot "
            "take; get the annotation again, or take --protocol canonical"
        )
    shape = truth.density.shape
    return replace(
        truth,
        density=Maps(stretched(truth.density.values.reshape(shape))),
        fixations=as_points([torch.from_numpy(points)], shape, "fixations"),
    )


def _function(metric: str, protocol: Protocol) -> str:
    """Name in `saliency.metrics.frame.METRICS` of what the protocol calls `metric`."""
    if protocol.formulae == "aim":
        return f"{metric}_aim"
    if metric == "sim" and protocol.sim_norm == "sum":
        return "sim_sum"
    if metric == "auc_shuffled" and protocol.shuffled is not None and protocol.shuffled.step:
        return "auc_shuffled_step"
    return metric


def _eight_bit(pred: Tensor) -> Tensor:
    """What an 8-bit PNG keeps of a map whose minimum becomes 0 and maximum 255; constant maps become 0."""
    low, high = pred.min(), pred.max()
    if low == high:
        return torch.zeros_like(pred)
    return ((pred - low) / (high - low) * 255).round()


class _Letterbox:
    """Fit an image into another shape, keeping its aspect ratio, with zero bars around it."""

    def __init__(self, size: tuple[int, int], box: tuple[int, int]) -> None:
        scale = min(box[0] / size[0], box[1] / size[1])
        self.box = box
        self.size = size
        self.inner = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
        self.top = (box[0] - self.inner[0]) // 2
        self.left = (box[1] - self.inner[1]) // 2

    def map(self, image: Tensor) -> Tensor:
        boxed = torch.zeros(self.box, dtype=image.dtype)
        rows = slice(self.top, self.top + self.inner[0])
        columns = slice(self.left, self.left + self.inner[1])
        boxed[rows, columns] = resize_map(image, self.inner)
        return boxed

    def points(self, points: np.ndarray) -> np.ndarray:
        inside = (2 * points + 1) * np.array(self.inner) // (2 * np.array(self.size))
        return inside + np.array([self.top, self.left])
