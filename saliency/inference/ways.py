"""How fast a model computes on this machine, by backend and precision, and how near each comes to PyTorch in fp32."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from saliency.errors import InputError
from saliency.inference.backends.base import DTYPES, PACKAGES, Compute, choose_compute
from saliency.inference.engine import Engine
from saliency.inference.model import Model
from saliency.inference.predictor import Predictor
from saliency.io.arrays import ArrayFrames
from saliency.runtime import memory

COMPARED = 4
"""Maps that are compared with PyTorch's."""

CLOSE = 0.999
"""Least correlation with PyTorch in fp32 of what is recommended."""

WORTH_IT = 1.2
"""How many times faster a half precision must be to be recommended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One model computed in one way.

    Attributes:
        model: its name.
        compute: device, backend and precision.
        rate: maps in a second.
        cpu: seconds of the CPU's time a map, all threads together: what other programs hardly change.
        ready: seconds until it could begin; a graph is made the first time.
        memory: peak bytes of the process, or of the GPU.
        cc: least correlation of a map with PyTorch's in fp32.
        difference: largest difference from it, as a share of that map's peak.
    """

    model: str
    compute: Compute
    rate: float
    cpu: float
    ready: float
    memory: int
    cc: float
    difference: float


def ways(device: str = "auto") -> list[Compute]:
    """Return every backend and precision that works on a device, PyTorch in fp32 first."""
    found = []
    for backend in ("torch", *PACKAGES):
        for precision in DTYPES:
            try:
                found.append(choose_compute(device, backend, precision))  # pyright: ignore[reportArgumentType]
            except InputError:
                continue
    return found


def measure(
    model: Model, frames: np.ndarray, ways: Sequence[Compute], *, seconds: float, batch_size: int
) -> Iterator[Measured]:
    """Yield what was measured, way by way.

    Args:
        model: the model.
        frames: uint8 (n, H, W, 3) of a video; taken again from the start until the time is over.
        ways: how to compute, PyTorch in fp32 first.
        seconds: of each measurement; at least one map is computed.
        batch_size: clips at once.
    """
    source = ArrayFrames(frames)
    wanted: list[np.ndarray] = []
    for compute in ways:
        memory.reset_peak(compute.device)
        begun = time.perf_counter()
        engine = Engine(model.network, model.input, compute, model.sha256)
        engine.network(model.input.fitted(source.size).size, batch_size)
        ready = time.perf_counter() - begun
        compared = range(min(COMPARED, len(frames)))
        predictor = Predictor(engine, batch_size)
        maps = [small.numpy() for _, small in predictor.maps(source, compared)]  # also warms up
        wanted = wanted or maps
        rate, cpu = _rate(predictor, source, seconds)
        yield Measured(
            model=model.name,
            compute=compute,
            rate=rate,
            cpu=cpu,
            ready=ready,
            memory=memory.peak(compute.device),
            cc=min(float(np.corrcoef(a.ravel(), b.ravel())[0, 1]) for a, b in zip(maps, wanted, strict=True)),
            difference=max(float(np.abs(a - b).max() / b.max()) for a, b in zip(maps, wanted, strict=True)),
        )


def best(measured: Sequence[Measured]) -> Measured:
    """Return the fastest exact way, or a half precision that agrees and is clearly faster."""
    exact = max((m for m in measured if m.compute.precision == "fp32"), key=lambda m: m.rate)
    half = [m for m in measured if m.cc >= CLOSE and m.rate >= WORTH_IT * exact.rate]
    return max([exact, *half], key=lambda m: m.rate)


def _rate(predictor: Predictor, source: ArrayFrames, seconds: float) -> tuple[float, float]:
    """Maps in a second, and the CPU's seconds a map."""
    done, begun, cpu = 0, time.perf_counter(), time.process_time()
    while True:
        for _ in predictor.maps(source):
            done += 1
            if (passed := time.perf_counter() - begun) >= seconds:
                return done / passed, (time.process_time() - cpu) / done


def in_threads(threads: int | None) -> int:
    """Let PyTorch, and with it the other backends, use so many threads; returns how many it uses."""
    if threads is not None:
        torch.set_num_threads(threads)
    return torch.get_num_threads()
