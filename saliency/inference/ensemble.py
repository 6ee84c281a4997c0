"""Several models as one: the mean of their densities, with every frame decoded once."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from saliency.inference.predictor import Frames, Predictor
from saliency.inference.shared import SharedFrames, View
from saliency.io.transforms import resize_map


class Ensemble:
    """Averages the maps of several predictors, each first scaled to sum to 1.

    ViNet-E is this of ViNet-S and ViNet-A. The result has the largest of the models' map sizes.
    """

    def __init__(self, predictors: Sequence[Predictor], weights: Sequence[float] | None = None) -> None:
        """Make an ensemble.

        Args:
            predictors: at least one.
            weights: of the mean, one each, > 0; None: equal ones.
        """
        weights = [1.0] * len(predictors) if weights is None else list(weights)
        if not predictors or len(weights) != len(predictors) or min(weights) <= 0:
            raise ValueError(f"{len(predictors)} predictors need as many weights above 0, got {weights}")
        self.predictors = tuple(predictors)
        self.weights = tuple(weight / sum(weights) for weight in weights)

    def maps(
        self, source: Frames, targets: Sequence[int] | None = None, every: int = 1
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield (frame number, map) in increasing order; see `Predictor.maps`.

        Yields:
            The frame number and its map (h, w) that sums to 1, float32.
        """
        shared = SharedFrames(source, len(self.predictors))
        streams = [predictor.maps(View(shared, k), targets, every) for k, predictor in enumerate(self.predictors)]
        try:
            for row in zip(*streams, strict=True):
                yield row[0][0], _mean([small for _, small in row], self.weights)
        finally:
            for stream in streams:
                stream.close()  # pyright: ignore[reportAttributeAccessIssue]  # they are generators
            shared.close()


def _mean(maps: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Return the weighted mean of maps (h, w), each scaled to sum to 1, at the largest size."""
    size = max((tuple(m.shape) for m in maps), key=lambda shape: shape[0] * shape[1])
    total = torch.zeros(size)
    for weight, own in zip(weights, maps, strict=True):
        own = (own if tuple(own.shape) == size else resize_map(own, (size[0], size[1]))).clamp(min=0)
        mass = own.sum(dtype=torch.float64).item()
        total += weight * (own / mass if mass > 0 else torch.full_like(own, 1 / own.numel()))
    return total
