"""A model ready to use: `load_model()` and a video in, maps out."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import torch
from torch import nn

from saliency.errors import InputError
from saliency.inference.backends.base import BackendWish, PrecisionWish, choose_compute
from saliency.inference.card import Card, card_of
from saliency.inference.density import Map, Size, check_size, to_map
from saliency.inference.engine import Engine
from saliency.inference.ensemble import Ensemble
from saliency.inference.live import Live
from saliency.inference.predictor import Predictor, known_length
from saliency.inference.publishing import push_folder, save_folder
from saliency.inference.trust import Encoder, Judge, Trust, trust_of
from saliency.inference.zoo import open_model, resolve
from saliency.io.frame_source import FrameSource
from saliency.io.sources import Source, open_source
from saliency.io.weights import LoadedModel
from saliency.types import InputSpec, ModelConfig

BATCH_SIZE = 4
"""Clips computed at once unless told otherwise."""


class Maps(Iterator[Map]):
    """The maps of a video, each computed when it is asked for.

    A context manager: what was opened for them is closed at its end, or after the last map.
    """

    def __init__(self, maps: Iterator[Map], opened: FrameSource | None) -> None:
        self._maps, self._opened = maps, opened

    def __next__(self) -> Map:
        try:
            return next(self._maps)
        except BaseException:  # the end among them
            self.close()
            raise

    def close(self) -> None:
        """Compute no more maps, and close the source unless the caller had opened it."""
        close = getattr(self._maps, "close", None)
        if close is not None:
            close()
        if self._opened is not None:
            self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self.close()


class Predicting:
    """What a model and the mean of several share: from a video to its maps."""

    __slots__ = ()

    def predictor(self, batch_size: int = BATCH_SIZE) -> Predictor | Ensemble:
        """Return what makes maps, for use with `saliency.inference.render.render`.

        Args:
            batch_size: clips computed at once.

        Raises:
            InputError: the model was closed.
        """
        raise NotImplementedError

    @property
    def trust(self) -> Trust | None:
        """How confidence and strangeness are read off; None if that was not calibrated."""
        return None

    def predict(
        self,
        source: Source,
        *,
        every: int = 1,
        batch_size: int | None = None,
        size: Size = "source",
        allow_network: bool = False,
    ) -> Maps:
        """Return the maps of a video, one after the other; memory does not grow with the video.

        Several threads may do so at once with one model.

        Args:
            source: path of a video file, an image or a folder of images; uint8 RGB array or tensor (T, H, W, 3), or one
                picture (H, W, 3); a list of pictures; the number of a camera; an address ``rtsp://`` or ``http(s)://``;
                or an open `FrameSource`, which stays open.
            every: predict each `every`-th frame only, from the first on.
            batch_size: clips computed at once; lower it when memory runs out.
            size: of the maps: that of the source, the one the model computes, or (H, W).
            allow_network: whether an address may be opened.

        Returns:
            An iterator over a `Map` for each predicted frame, in order.

        Raises:
            InputError: the source cannot be read, a frame cannot be decoded, or a number is too small.
        """
        if every < 1:
            raise InputError(f"every must be at least 1, got {every}")
        if batch_size is not None and batch_size < 1:
            raise InputError(f"batch_size must be at least 1, got {batch_size}")
        check_size(size)
        predictor = self.predictor(batch_size or BATCH_SIZE)
        frames = open_source(source, allow_network=allow_network)
        maps = _maps(predictor, frames, every, size, self.trust)
        return Maps(maps, None if frames is source else frames)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model(Predicting):
    """A model with its weights on a device; `load_model` makes one.

    Several threads may predict with one model at once. A context manager: at its end the weights leave the memory.

    Attributes:
        name: of the model, or of its weights file.
        network: (B, 3, T, h, w) -> (B, h', w'), in evaluation mode.
        config: what the network was built from.
        metadata: what was saved with the weights.
        sha256: of the weights file.
        engine: computes its maps.
    """

    name: str
    network: nn.Module = field(repr=False)
    config: ModelConfig
    metadata: Mapping[str, str] = field(repr=False)
    sha256: str
    engine: Engine = field(repr=False)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.engine.compute.device

    @property
    def input(self) -> InputSpec:
        """The clip that the network sees around each frame."""
        return self.config.input

    @property
    def card(self) -> Card | None:
        """What the model learned from, its licences, what it is good for and what not; None if its file is silent."""
        return card_of(self.metadata, self.name)

    @property
    def trust(self) -> Trust | None:
        """See `Predicting.trust`."""
        return trust_of(self.metadata, self.name)

    @property
    def judge(self) -> Judge | None:
        """What says how far the model's maps can be trusted; None if that was not calibrated."""
        trust = self.trust
        if trust is None or not isinstance(self.network, Encoder):
            return None
        return Judge(trust=trust, network=self.network, spec=self.input, device=self.device)

    def predictor(self, batch_size: int = BATCH_SIZE) -> Predictor:
        """Return what makes maps; see `Predicting.predictor`."""
        self._check_open()
        return Predictor(self.engine, batch_size)

    def settled(self, source: FrameSource, maps: int | None = None) -> "Model":
        """Return the model with the backend that ``auto`` means for a video; see `Engine.settled`.

        Args:
            source: the video.
            maps: how many maps will be computed; None: one for each frame.
        """
        return replace(self, engine=self.engine.settled(source.size, known_length(source) if maps is None else maps))

    def live(self, *, lookahead: int = 0, size: Size = "source") -> Live:
        """Return what takes the frames of a camera one by one and gives their maps; see `Live`.

        Args:
            lookahead: frames that are waited for behind a frame before its map is made. 0 answers at once; from
                ``model.input.offsets[-1]`` on the maps are those of `predict`.
            size: of the maps, as in `predict`.

        Raises:
            InputError: a number is too small, or the model was closed.
        """
        return Live(self.predictor(1), lookahead=lookahead, size=size, trust=self.trust)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a folder to hand on, which `load_model` takes: the weights, and ``README.md`` made from the card.

        Args:
            folder: made if missing; must hold no other weights.

        Raises:
            InputError: it holds other weights or cannot be written to, or the model was closed.
        """
        save_folder(Path(folder), self.name, self._loaded())

    def push_to_hub(self, repository: str, *, private: bool = False) -> str:
        """Upload that folder to huggingface.co (the extra ``hub``), as who is logged in by ``hf auth login``.

        Args:
            repository: ``user/name``, which `load_model` takes afterwards; made if missing.
            private: whether a new repository is seen by its owner alone.

        Returns:
            The repository's address.

        Raises:
            InputError: huggingface_hub is not installed, the hub cannot be reached or refuses, or the model was closed.
        """
        return push_folder(repository, self.name, self._loaded(), private=private)

    def _loaded(self) -> LoadedModel:
        self._check_open()
        return LoadedModel(model=self.network, config=self.config, metadata=dict(self.metadata), sha256=self.sha256)

    def _check_open(self) -> None:
        if any(weight.is_meta for weight in self.network.parameters()):
            raise InputError(f"the model {self.name} was closed; load it again")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self.network.to("meta")
        self.engine.forget()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelMean(Predicting):
    """Several models as one: the mean of their densities; `load_ensemble` makes one.

    Attributes:
        models: at least one.
        weights: of the mean, one for each model, > 0; empty: equal ones.
    """

    models: tuple[Model, ...]
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.models:
            raise InputError("the mean of models needs at least one")
        usable = len(self.weights) == len(self.models) and all(0 < weight < math.inf for weight in self.weights)
        if self.weights and not usable:
            raise InputError(f"{len(self.models)} models need as many weights above 0, got {self.weights}")

    @property
    def name(self) -> str:
        """The names of all."""
        return " + ".join(model.name for model in self.models)

    def predictor(self, batch_size: int = BATCH_SIZE) -> Ensemble:
        """Return what makes maps; see `Predicting.predictor`."""
        return Ensemble([model.predictor(batch_size) for model in self.models], self.weights or None)


def _maps(
    predictor: Predictor | Ensemble, frames: FrameSource, every: int, size: Size, trust: Trust | None
) -> Iterator[Map]:
    targets = None if every == 1 else range(0, len(frames), every)
    times = frames.timestamps
    for number, small in predictor.maps(frames, targets):
        yield to_map(
            small,
            frame=number,
            time=number / frames.fps if times is None else float(times[number]),
            size=frames.size if size == "source" else size,
            trust=trust,
        )


def load_model(
    name_or_path: str | Path | None = None,
    *,
    device: str = "auto",
    backend: BackendWish = "auto",
    precision: PrecisionWish = "auto",
) -> Model:
    """Load a model with its weights.

    Args:
        name_or_path: a name of `saliency.list_models`, the path of a weights file (of this project, or published
            weights of TMFI-Net, ViNet-S, ViNet, ViNet-A or STSA-Net), the folder of a run, ``user/name`` of
            huggingface.co (the extra ``hub``), or None for the default model.
        device: ``auto`` takes a GPU when there is one; ``cpu``, ``cuda``, ``cuda:1``.
        backend: who computes: ``torch``, ``openvino`` or ``onnx`` (these two on the CPU); ``auto`` takes OpenVINO on a
            CPU when it is installed (``pip install 'video-saliency[fast]'``) and the video is long enough to be worth
            it, else PyTorch.
        precision: arithmetic: ``fp32``, ``bf16`` or ``fp16``; ``auto`` is fp32, in which the weights were scored.

    Raises:
        InputError: there is no such model or file, its weights are not on this machine (the message says what to put
            where; nothing is ever filled with random weights), or the device, the backend or the precision cannot be
            used here.

    Example:
        >>> import saliency
        >>> model = saliency.load_model()
        >>> model.input.length > 0
        True
    """
    compute = choose_compute(device, backend, precision)
    path = resolve(name_or_path)
    loaded = open_model(path)
    network = loaded.model.to(compute.device).eval().requires_grad_(False)
    return Model(
        name=path.stem,
        network=network,
        config=loaded.config,
        metadata=loaded.metadata,
        sha256=loaded.sha256,
        engine=Engine(network, loaded.config.input, compute, loaded.sha256),
    )


def load_ensemble(
    names_or_paths: Sequence[str | Path],
    *,
    weights: Sequence[float] = (),
    device: str = "auto",
    backend: BackendWish = "auto",
    precision: PrecisionWish = "auto",
) -> ModelMean:
    """Load several models that predict as one: the mean of their densities.

    ViNet-E, for one, is ``["vinet_s", "vinet_a"]``.

    Args:
        names_or_paths: each what `load_model` takes.
        weights: of the mean, one for each model, > 0; default: equal ones.
        device: as of `load_model`.
        backend: as of `load_model`.
        precision: as of `load_model`.

    Raises:
        InputError: a model cannot be loaded, none is named, or the weights do not fit.
    """
    if isinstance(names_or_paths, str | Path):
        raise InputError(f"load_ensemble takes a list of models, got {names_or_paths!r}")
    models = tuple(load_model(name, device=device, backend=backend, precision=precision) for name in names_or_paths)
    return ModelMean(models=models, weights=tuple(weights))
