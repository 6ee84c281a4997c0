"""What is scored, from the words that name it: weights, folders of maps, baselines."""

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from saliency.data.trained_on import trained_on
from saliency.data.video import AnnotatedVideo, VideoData
from saliency.errors import InputError
from saliency.evaluation.baselines import (
    Ensemble,
    MapFolder,
    ModelPredictor,
    OneVersusRest,
    centre_prior,
    chance,
    mean_train_map,
    settled_for,
)
from saliency.evaluation.map_source import FixedMap, MapSource
from saliency.evaluation.others_prior import OthersPrior
from saliency.evaluation.protocols import Protocol
from saliency.evaluation.spectral_residual import SpectralResidual
from saliency.inference.backends.base import TORCH, Compute
from saliency.inference.engine import Engine
from saliency.inference.zoo import open_model, resolve
from saliency.metrics.frame import METRICS

log = logging.getLogger(__name__)

Baseline = Literal[
    "centre-prior", "mean-train-map", "chance", "one-observer", "other-observers", "spectral-residual", "appearance"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contenders:
    """What is to be scored.

    Attributes:
        weights: models, each ``NAME``, ``FILE`` or ``TITLE=FILE``, see `saliency.inference.zoo.resolve`.
        maps: folders of maps, each ``FOLDER`` or ``TITLE=FOLDER``.
        baselines: what to score besides.
        ensemble: also score the mean map of all `weights`.
        compute: where and how models compute.
        batch_size: clips computed at once.
        seed: of what baselines draw.
    """

    weights: Sequence[str] = ()
    maps: Sequence[str] = ()
    baselines: Sequence[Baseline] = ()
    ensemble: bool = False
    compute: Compute = TORCH
    batch_size: int = 8
    seed: int = 0

    def sources(self, data: VideoData, videos: Sequence[AnnotatedVideo]) -> list[MapSource]:
        """Load the models, look for the folders and fit the baselines on the training split.

        Args:
            data: the data set, whose clips the models get and whose training split the priors are fitted on.
            videos: those to be scored.

        Raises:
            InputError: nothing is named, or something is missing.
        """
        models = [self._model(entry, data, videos) for entry in self.weights]
        sources: list[MapSource] = list(models)
        if self.ensemble:
            if len(models) < 2:
                raise InputError("--ensemble averages several models; give at least two --weights")
            sources.append(Ensemble(name="ensemble", members=[dataclasses.replace(model) for model in models]))
        for entry in self.maps:
            name, place = named(entry)
            if not Path(place).is_dir():
                raise InputError(f"{place} is no folder; --maps takes FOLDER or NAME=FOLDER")
            sources.append(MapFolder(name=name, root=Path(place), only=videos[0].id if len(videos) == 1 else None))
        sources += [self._baseline(name, data, videos) for name in self.baselines]
        if not sources:
            raise InputError("nothing to score; name --weights (default, for one), --maps or --baselines")
        return sources

    def _model(self, entry: str, data: VideoData, videos: Sequence[AnnotatedVideo]) -> ModelPredictor:
        name, place = named(entry)
        path = resolve(place)
        loaded = open_model(path)
        engine = settled_for(Engine(loaded.model, data.view(loaded.config.input), self.compute, loaded.sha256), videos)
        return ModelPredictor(
            name=name,
            engine=engine,
            batch_size=self.batch_size,
            metadata={
                "weights": path.name,
                "sha256": loaded.sha256,
                "config": type(loaded.config).__name__,
                **engine.compute.facts(),
            },
            trained_on=trained_on(loaded.metadata),
        )

    def _baseline(self, name: Baseline, data: VideoData, videos: Sequence[AnnotatedVideo]) -> MapSource:
        match name:
            case "chance":
                return chance()
            case "other-observers":
                return OneVersusRest(name="other observers", predict="one", seed=self.seed)
            case "one-observer":
                return OneVersusRest(name="one observer", predict="rest", seed=self.seed)
            case "centre-prior":
                return prior(data, videos)
            case "appearance":
                return self._model(f"appearance, per frame={resolve(None)}", data, videos)
            case "spectral-residual":
                return SpectralResidual()
            case "mean-train-map":
                return mean_train_map(data.videos("train"))


def prior(data: VideoData, videos: Sequence[AnnotatedVideo]) -> FixedMap | OthersPrior:
    """Return the centre prior of the training split, or where there is none that is whole, of the other videos.

    Args:
        data: the data set.
        videos: those that are scored.
    """
    try:
        train = data.videos("train")
    except InputError as error:
        log.warning("the centre prior is fitted for each video on the others: %s", error)
        return OthersPrior(videos=videos)
    return centre_prior(train)


def named(entry: str) -> tuple[str, str]:
    """Split ``TITLE=PLACE``; without a title the file's or folder's own name is taken."""
    title, equals, place = entry.partition("=")
    return (title, place) if equals else (Path(entry).stem, entry)


def compared_with(protocol: Protocol, data: VideoData) -> FixedMap | None:
    """Return what the information gain compares with: the centre prior fitted on the training split.

    None where no metric of the protocol compares with anything.

    Raises:
        InputError: the data set has no training split.
    """
    if not any("baseline" in METRICS[metric].needs for metric in protocol.metrics):
        return None
    return centre_prior(data.videos("train"))
