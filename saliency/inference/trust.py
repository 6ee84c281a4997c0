"""How far a model's maps can be trusted: its confidence in a map, and how unlike its training pictures a frame is.

Both are fitted once on photographs with gaze (`benchmarks/real_gaze.py`) and kept in the weights file beside the card.

* Confidence, in bits per fixation: what the map is expected to gain over a centre prior. A map p that were right would
  gain KL(p || prior) (Kümmerer et al., PNAS 2015); how much maps of that divergence did gain on validation photographs
  is read off a curve that never falls.
* Strangeness: distance of a frame's mean features from those of the training photographs, in the directions in which
  these vary by their variance there and in all others by the mean of what is left (probabilistic PCA: Tipping, Bishop,
  J. Royal Statistical Society B 61(3), 1999). 1 is the distance that one of a hundred validation photographs exceeds.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from saliency.errors import InputError
from saliency.io.transforms import make_clip, resize_frames
from saliency.types import InputSpec

KEY = "trust"
"""Where the metadata of a weights file holds it, as JSON."""


@runtime_checkable
class Encoder(Protocol):
    """A network whose features can be had."""

    def encode(self, frames: Tensor) -> list[Tensor]:
        """Return features (N, C, h, w) of normalised frames (N, 3, H, W), the coarsest last."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Familiar:
    """The mean features of the training photographs as a Gaussian.

    Attributes:
        mean: (d,).
        axes: (k, d) orthonormal directions in which they vary most.
        variances: (k,) along these.
        rest: mean variance along the other directions.
        limit: the distance that is called 1.
    """

    mean: tuple[float, ...]
    axes: tuple[tuple[float, ...], ...]
    variances: tuple[float, ...]
    rest: float
    limit: float

    @classmethod
    def fit(cls, training: NDArray[np.floating], validation: NDArray[np.floating], axes: int = 24) -> "Familiar":
        """Fit features (n, d) of training photographs; those of others say what is usual."""
        mean = training.mean(axis=0)
        _, sizes, directions = np.linalg.svd(training - mean, full_matrices=False)
        variances = sizes**2 / (len(training) - 1)
        fitted = cls(
            mean=tuple(_short(mean)),
            axes=tuple(tuple(_short(axis)) for axis in directions[:axes]),
            variances=tuple(_short(variances[:axes])),
            rest=float(variances[axes:].sum() / max(1, training.shape[1] - axes)),
            limit=1.0,
        )
        return cls(**{**asdict(fitted), "limit": float(np.quantile(fitted.distances(validation), 0.99))})

    def distances(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the distances of features (n, d): (n,), 1 at the limit."""
        away = np.asarray(features, dtype=np.float64) - self.mean
        along = away @ np.array(self.axes).T  # (n, k)
        left = np.maximum((away**2).sum(axis=1) - (along**2).sum(axis=1), 0)
        return np.sqrt((along**2 / self.variances).sum(axis=1) + left / self.rest) / self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What was fitted for one weights file.

    Attributes:
        centre: x, y of the mean of the training fixations, as shares of the picture.
        covariance: of these: xx, xy, yy.
        expected: growing divergences of maps from that prior, in bits.
        found: never falling; the gain in bits per fixation that was found at these.
        familiar: the training photographs' features.
    """

    centre: tuple[float, float]
    covariance: tuple[float, float, float]
    expected: tuple[float, ...]
    found: tuple[float, ...]
    familiar: Familiar

    def confidence(self, density: NDArray[np.floating]) -> float:
        """Return the gain over the centre prior, in bits per fixation, to be expected of a map (h, w) >= 0."""
        return float(np.interp(self.divergence(density), self.expected, self.found))

    def divergence(self, density: NDArray[np.floating]) -> float:
        """Return KL(map || prior) of a map (h, w) >= 0, in bits; 0 for an empty one."""
        total = float(density.sum(dtype=np.float64))
        if not total > 0:
            return 0.0
        p = density.ravel() / total
        held = p > 0
        return float((p[held] * (np.log2(p[held]) - self.log_prior(density.shape).ravel()[held])).sum())

    def log_prior(self, size: Sequence[int]) -> NDArray[np.float64]:
        """Return log2 of the centre prior on a grid (h, w) on which it sums to 1."""
        return _log_prior(self.centre, self.covariance, (size[0], size[1]))

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))


def trust_of(metadata: Mapping[str, str], name: str = "weights") -> Trust | None:
    """Return what was fitted for a weights file; None if nothing was.

    Args:
        metadata: of the file, see `saliency.io.weights.LoadedModel`.
        name: what messages call the file.

    Raises:
        InputError: it cannot be read.
    """
    if KEY not in metadata:
        return None
    try:
        content = json.loads(metadata[KEY])
        familiar = Familiar(**{key: _tuples(value) for key, value in content.pop("familiar").items()})
        return Trust(familiar=familiar, **{key: _tuples(value) for key, value in content.items()})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{name}: its calibration cannot be read ({error}); was it saved by a newer version?"
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """A model that says how far its maps can be trusted.

    Attributes:
        trust: what was fitted.
        network: whose features are looked at, on `device`.
        spec: how it wants its frames.
        device: where it computes.
    """

    trust: Trust
    network: nn.Module
    spec: InputSpec
    device: torch.device

    def confidence(self, density: NDArray[np.floating]) -> float:
        """See `Trust.confidence`."""
        return self.trust.confidence(density)

    def strangeness(self, frames: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return how unlike the training photographs frames uint8 (n, H, W, 3) are: (n,), above 1 is unusual."""
        found = pooled_features(self.network, torch.from_numpy(np.ascontiguousarray(frames)).to(self.device), self.spec)
        return self.trust.familiar.distances(found)


@torch.no_grad()
def pooled_features(network: nn.Module, frames: Tensor, spec: InputSpec) -> NDArray[np.float64]:
    """Return the means of a network's two coarsest features over frames uint8 (n, H, W, 3): float64 (n, d).

    Raises:
        InputError: the network shows no features.
    """
    if not isinstance(network, Encoder):
        raise InputError(f"{type(network).__name__} has no encode(), so nothing can be said of its features")
    fitted = spec.fitted((frames.shape[1], frames.shape[2]))
    pixels = make_clip(resize_frames(frames, fitted.size)[:, None], fitted)[:, :, 0]  # (n, 3, h, w)
    features = network.encode(pixels)[-2:]
    return torch.cat([each.float().mean(dim=(2, 3)) for each in features], dim=1).double().cpu().numpy()


def fit_curve(
    expected: NDArray[np.floating], found: NDArray[np.floating], knots: int = 6
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return a curve that never falls through (n,) pairs: its knots' x and y.

    The pairs are sorted by x and cut into `knots` equally large groups, whose means are pooled where they fall
    (pool adjacent violators: Ayer et al., Annals of Mathematical Statistics 26, 1955).
    """
    order = np.argsort(expected, kind="stable")
    groups = [group for group in np.array_split(order, knots) if len(group)]
    x = [float(expected[group].mean()) for group in groups]
    blocks: list[tuple[float, int]] = []  # mean, groups
    for group in groups:
        mean, count = float(found[group].mean()), 1
        while blocks and blocks[-1][0] > mean:
            before, n = blocks.pop()
            mean, count = (before * n + mean * count) / (n + count), n + count
        blocks.append((mean, count))
    y = [mean for mean, count in blocks for _ in range(count)]
    return tuple(round(value, 4) for value in x), tuple(round(value, 4) for value in y)


@lru_cache(maxsize=16)
def _log_prior(centre: Sequence[float], covariance: Sequence[float], size: tuple[int, int]) -> NDArray[np.float64]:
    xx, xy, yy = covariance
    inverse = np.linalg.inv(np.array([[xx, xy], [xy, yy]]))
    rows, columns = np.indices(size) + 0.5
    away = np.stack((columns / size[1] - centre[0], rows / size[0] - centre[1]))  # (2, h, w)
    exponent = -0.5 * np.einsum("ihw,ij,jhw->hw", away, inverse, away)
    return (exponent - np.log(np.exp(exponent).sum())) / np.log(2)


def _tuples(value: Any) -> Any:
    """JSON's lists as tuples."""
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value


def _short(values: NDArray[np.floating]) -> list[float]:
    """Four digits are enough, and small."""
    return [float(f"{value:.4g}") for value in values]
