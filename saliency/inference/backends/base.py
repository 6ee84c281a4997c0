"""What every backend offers, and the choice of one."""

import importlib.util
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from saliency.errors import InputError
from saliency.runtime.distributed import pick_device
from saliency.runtime.processor import cpu_computes_in
from saliency.types import InputSpec

Backend = Literal["torch", "openvino", "onnx"]
BackendWish = Literal["auto", "torch", "openvino", "onnx"]
Precision = Literal["fp32", "bf16", "fp16"]
PrecisionWish = Literal["auto", "fp32", "bf16", "fp16"]

DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Precision -> what PyTorch's autocast computes in; None: no autocast."""

PACKAGES = {"openvino": ("openvino", "fast"), "onnx": ("onnxruntime", "export")}
"""Backend -> its module and the extra that brings it."""

CPU = torch.device("cpu")

WORTH_A_GRAPH = 2**24
"""Pixels in all clips of a video from which on ``auto`` has a graph made: 6 maps of ViNet-S, 220 of the default model.

Making one takes seconds, the first time; below this PyTorch is done before it.
"""


class Network(Protocol):
    """A model that is ready to compute, for clips of one size.

    Attributes:
        spec: the clip, its size fixed.
        device: where it wants the frames.
    """

    spec: InputSpec
    device: torch.device

    def __call__(self, clips: Tensor, shift: int = 0) -> Tensor:
        """Turn clips uint8 (B, T, 3, h, w) on `device` into maps (B, h', w'), float32 on the CPU.

        Args:
            clips: what is to be seen.
            shift: the clips are cut out of consecutive frames, so many apart, which may save work; 0: they are not.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """Where and how a model computes.

    Attributes:
        device: of PyTorch; the other backends compute on the CPU.
        backend: who computes; ``auto``: OpenVINO on a CPU when it is installed and there is enough to do.
        precision: arithmetic.
    """

    device: torch.device = CPU
    backend: BackendWish = "torch"
    precision: Precision = "fp32"

    def __str__(self) -> str:
        return f"{self.device}, {self.backend} {self.precision}"

    def facts(self) -> dict[str, str]:
        """What results keep of it."""
        return {"backend": self.backend, "precision": self.precision}

    def settled(self, spec: InputSpec, maps: int | None) -> "Compute":
        """Return it with the backend that ``auto`` means.

        Args:
            spec: the clip of one map.
            maps: how many maps will be computed; None: nobody knows, many.
        """
        if self.backend != "auto":
            return self
        pixels = spec.length * spec.size[0] * spec.size[1]
        enough = maps is None or maps * pixels >= WORTH_A_GRAPH
        chosen = "openvino" if enough and self.device.type == "cpu" and _installed("openvino") else "torch"
        return Compute(device=self.device, backend=chosen, precision=self.precision)


TORCH = Compute()
"""PyTorch on the CPU in fp32."""


def choose_compute(
    device: str | torch.device = "auto", backend: BackendWish = "auto", precision: PrecisionWish = "auto"
) -> Compute:
    """Return where and how to compute.

    Args:
        device: ``auto`` takes a GPU when there is one; ``cpu``, ``cuda``, ``cuda:1``.
        backend: ``auto`` takes OpenVINO on a CPU when it is installed and there is enough to do, else PyTorch.
        precision: ``auto`` is fp32, in which the weights were scored; ``bf16`` and ``fp16`` are faster where the
            processor computes in them, and change the maps a little.

    Raises:
        InputError: a package is missing, or the device or the processor cannot do it.
    """
    chosen = device if isinstance(device, torch.device) else pick_device(device)
    if backend not in ("auto", "torch", *PACKAGES):
        raise InputError(f"unknown backend {backend!r}; choose auto, torch, {' or '.join(PACKAGES)}")
    if precision not in ("auto", *DTYPES):
        raise InputError(f"unknown precision {precision!r}; choose auto, {', '.join(DTYPES)}")
    exact: Precision = "fp32" if precision == "auto" else precision
    if backend in PACKAGES:
        if chosen.type != "cpu":
            raise InputError(f"backend {backend} computes on the CPU; use --device cpu, or backend torch on {chosen}")
        if not _installed(backend):
            module, extra = PACKAGES[backend]
            raise InputError(f"backend {backend} needs {module}, not installed: pip install 'video-saliency[{extra}]'")
    if backend == "onnx" and exact != "fp32":
        raise InputError(f"backend onnx computes in fp32 on the CPU, not in {exact}; use backend openvino or torch")
    if chosen.type == "cpu" and not cpu_computes_in(exact):
        raise InputError(f"this processor has no {exact} arithmetic, which would be slower; use precision fp32")
    return Compute(device=chosen, backend=backend, precision=exact)


def _installed(backend: str) -> bool:
    return importlib.util.find_spec(PACKAGES[backend][0]) is not None
