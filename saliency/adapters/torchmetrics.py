"""The project's metrics as classes of torchmetrics: means over frames, over batches and over processes.

>>> import torch
>>> from saliency.adapters.torchmetrics import CC
>>> cc = CC()
>>> density = torch.tensor([[[0.0, 1.0], [2.0, 3.0]]])
>>> cc.update(2 * density + 1, density)
>>> cc.update(3 - density, density)
>>> cc.compute()
tensor(0., dtype=torch.float64)
"""

from typing import Any, ClassVar

import torch
from torch import Tensor

from saliency.errors import InputError
from saliency.metrics.common import as_maps
from saliency.metrics.frame import score

try:
    from torchmetrics import Metric, MetricCollection
except ImportError as error:
    raise InputError("metrics for torchmetrics need it: pip install 'video-saliency[torchmetrics]'") from error


class FrameMean(Metric):
    """Mean of a metric over the frames whose ground truth can be used; each subclass names its metric.

    A prediction is a tensor (B, H, W) or (H, W) of the ground truth's size, as the functions in `saliency.metrics` take
    it. Frames that the ground truth leaves undefined are left out of the mean, as in the tables of the project; without
    any frame the mean is NaN.
    """

    metric: ClassVar[str]
    is_differentiable = False
    full_state_update = False
    total: Tensor
    frames: Tensor

    def __init__(self, **kwargs: Any) -> None:
        """Start with no frame; `kwargs` are those of `torchmetrics.Metric`."""
        super().__init__(**kwargs)
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("frames", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def compute(self) -> Tensor:
        """Return the mean, a float64 scalar."""
        return self.total / self.frames

    def _add(self, pred: Tensor, **truth: Tensor) -> None:
        """Add the frames of a batch.

        Raises:
            InputError: a prediction holds NaN or infinity, or the sizes differ.
        """
        maps = as_maps(pred)
        if not bool(maps.finite.all()):
            raise InputError(f"{type(self).__name__}: a predicted map holds NaN or infinity")
        values = score(maps, **truth, names=[self.metric])[self.metric]  # (B,)
        usable = ~values.isnan()
        self.total += values[usable].sum()
        self.frames += usable.sum()


class _OfDensity(FrameMean):
    """What compares a prediction with a density map."""

    def update(self, pred: Tensor, density: Tensor) -> None:
        """Add frames: predictions and ground-truth density maps, both (B, H, W) or (H, W)."""
        self._add(pred, density=density)


class _OfFixations(FrameMean):
    """What compares a prediction with fixations."""

    def update(self, pred: Tensor, fixations: Tensor) -> None:
        """Add frames: predictions, and fixation maps in which every pixel above 0 is a fixation."""
        self._add(pred, fixations=fixations)


class CC(_OfDensity):
    """See `saliency.metrics.cc.cc`."""

    metric = "cc"
    higher_is_better = True


class SIM(_OfDensity):
    """See `saliency.metrics.sim.sim`."""

    metric = "sim"
    higher_is_better = True


class KLD(_OfDensity):
    """KL(density || prediction), see `saliency.metrics.kld.kld`."""

    metric = "kld"
    higher_is_better = False


class NSS(_OfFixations):
    """See `saliency.metrics.nss.nss`."""

    metric = "nss"
    higher_is_better = True


class AUCJudd(_OfFixations):
    """See `saliency.metrics.auc.auc_judd`."""

    metric = "auc_judd"
    higher_is_better = True


class AUCShuffled(FrameMean):
    """See `saliency.metrics.auc.auc_shuffled`."""

    metric = "auc_shuffled"
    higher_is_better = True

    def update(self, pred: Tensor, fixations: Tensor, others: Tensor) -> None:
        """Add frames: predictions, fixation maps, and those of other frames."""
        self._add(pred, fixations=fixations, others=others)


class InformationGain(FrameMean):
    """See `saliency.metrics.information_gain.information_gain`."""

    metric = "information_gain"
    higher_is_better = True

    def update(self, pred: Tensor, fixations: Tensor, baseline: Tensor) -> None:
        """Add frames: predictions, fixation maps, and densities of a baseline such as the centre prior."""
        self._add(pred, fixations=fixations, baseline=baseline)


def standard() -> MetricCollection:
    """Return the metrics that evaluations report, by the project's names.

    Give `update` the ground truth by name: ``update(pred, density=…, fixations=…, others=…)``.
    """
    members = (CC(), NSS(), AUCJudd(), SIM(), KLD(), AUCShuffled())
    # each keeps its own sums: compute groups would join metrics that happen to agree on the first batch
    return MetricCollection({member.metric: member for member in members}, compute_groups=False)
