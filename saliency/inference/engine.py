"""A model and the way it computes: networks for videos of any size, each made when it is first needed."""

import threading
from dataclasses import replace
from functools import cached_property
from typing import Any

from torch import nn

from saliency.inference.backends.base import TORCH, BackendWish, Compute, Network
from saliency.inference.backends.pytorch import TorchNetwork, for_prediction, windowed
from saliency.inference.graphs import graph_file
from saliency.types import InputSpec


class Engine:
    """Makes the networks that compute a model's maps.

    It can be sent to other processes, where networks are made again; several threads may use it.

    Attributes:
        spec: the clip that the model wants.
        compute: where and how.
    """

    def __init__(self, model: nn.Module, spec: InputSpec, compute: Compute = TORCH, sha256: str = "") -> None:
        """Make an engine.

        Args:
            model: (B, 3, T, h, w) -> (B, h', w'), with its weights; left as it is.
            spec: the clip it wants.
            compute: where and how.
            sha256: of the weights file, by which graphs are kept; empty: they are made anew each time.
        """
        self.spec, self.compute = spec, compute
        self._model, self._sha256 = model, sha256
        self._ready: nn.Module | None = None
        self._networks: dict[tuple[object, ...], Network] = {}
        self._backends: dict[tuple[int, int], BackendWish] = {}  # size of clips -> what auto means
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return Engine, (self._model, self.spec, self.compute, self._sha256)

    def settled(self, size: tuple[int, int], maps: int | None) -> "Engine":
        """Return an engine whose backend is no longer ``auto``: this one, or one of the same model.

        Args:
            size: (H, W) of the video.
            maps: how many maps will be computed; None: nobody knows, many.
        """
        compute = self._settled(self.spec.fitted(size), maps)
        return self if compute == self.compute else Engine(self._model, self.spec, compute, self._sha256)

    def viewing(self, spec: InputSpec) -> "Engine":
        """Return an engine of the same model for another clip."""
        return self if spec == self.spec else Engine(self._model, spec, self.compute, self._sha256)

    def expect(self, size: tuple[int, int], maps: int | None) -> None:
        """Choose what ``auto`` means for clips of a size, before the first of them is computed.

        Args:
            size: (h, w) of the clips.
            maps: how many will be computed; None: nobody knows, many. More than was enough for another choice
                change it from then on.
        """
        with self._lock:
            if self._backends.get(size) != "openvino":
                self._backends[size] = self._settled(replace(self.spec, size=size), maps).backend

    def network(self, size: tuple[int, int], batch_size: int = 1) -> Network:
        """Return the network for clips of a size.

        Args:
            size: (h, w) of the clips.
            batch_size: clips that will come together.

        Raises:
            InputError: its graph cannot be made.
        """
        spec = replace(self.spec, size=size, keep_shape=False)
        with self._lock:
            backend = self._backends.setdefault(size, self._settled(spec, None).backend)
            streams = batch_size if backend == "openvino" else 1
            if (key := (backend, size, streams)) not in self._networks:
                self._networks[key] = self._make(backend, spec, streams)
            return self._networks[key]

    @cached_property
    def together(self) -> bool:
        """Whether neighbouring clips are computed together: by PyTorch on a CPU, where the model can.

        `auto` then is PyTorch, but for half precisions.
        """
        here = self.compute
        chosen = here.backend == "torch" or (here.backend == "auto" and here.precision == "fp32")
        able = chosen and here.device.type == "cpu" and self.spec.stride == 1
        return able and windowed(self._model, self.spec.length, 1) is not None

    def forget(self) -> None:
        """Free what was made; it is made again when needed."""
        with self._lock:
            self._ready = None
            self._networks.clear()

    def _settled(self, spec: InputSpec, maps: int | None) -> Compute:
        """What ``auto`` means: PyTorch where it computes overlapping clips together, which no graph does."""
        here = self.compute
        return replace(here, backend="torch") if self.together else here.settled(spec, maps)

    def _make(self, backend: BackendWish, spec: InputSpec, batch_size: int) -> Network:
        if backend == "openvino":
            from saliency.inference.backends.openvino import OpenVINONetwork

            with graph_file(self._model, spec, ".xml", self._sha256) as path:
                return OpenVINONetwork(path, spec, self.compute.precision, batch_size)
        if backend == "onnx":
            from saliency.inference.backends.onnx import OnnxNetwork

            with graph_file(self._model, spec, ".onnx", self._sha256) as path:
                return OnnxNetwork(path, spec)
        if self._ready is None:
            self._ready = for_prediction(self._model, self.compute.device)
        return TorchNetwork(self._ready, spec, self.compute.device, self.compute.precision)
