"""OpenVINO, on the CPU."""

import threading
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from saliency.inference.backends.base import Precision
from saliency.types import InputSpec

HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
"""Our words -> OpenVINO's; it would take bf16 by itself where the processor has it."""


def settings(precision: Precision, threads: int) -> dict[str, str | int]:
    """Return how OpenVINO is to compute.

    Its fused subgraphs ("snippets") are left out: on processors with AMX, where clips have a fixed size, they compute
    the attention of TMFI-Net wrong by 0.4 to 2 % of a map's peak (2026.4); without them it takes 4 % longer.
    """
    return {
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        "INFERENCE_NUM_THREADS": threads,
        "SNIPPETS_MODE": "DISABLE",
    }


class OpenVINONetwork:
    """A graph that OpenVINO computes, see `saliency.inference.backends.base.Network`.

    The clips of a batch are computed side by side, each with its share of the threads, so that maps do not depend on
    the batch. Several threads may call it; they take turns.
    """

    def __init__(self, path: Path, spec: InputSpec, precision: Precision = "fp32", batch_size: int = 1) -> None:
        """Read a graph.

        Args:
            path: of a file of `saliency.inference.export`, ``.xml`` or ``.onnx``.
            spec: the clip it takes.
            precision: arithmetic.
            batch_size: clips that will come together.

        Raises:
            RuntimeError: the file is damaged.
        """
        import openvino

        self.spec, self.device = spec, torch.device("cpu")
        threads = torch.get_num_threads()
        graph = openvino.Core().read_model(path)
        graph.reshape({graph.inputs[0].any_name: openvino.PartialShape([1, spec.length, *spec.size, 3])})
        wanted = {**settings(precision, threads), "NUM_STREAMS": min(batch_size, threads)}
        compiled = openvino.Core().compile_model(graph, "CPU", wanted)
        self._requests = [compiled.create_infer_request() for _ in range(min(batch_size, threads))]
        self._turn = threading.Lock()

    def __call__(self, clips: Tensor, shift: int = 0) -> Tensor:
        """Turn clips uint8 (B, T, 3, h, w) into maps (B, h', w'), float32."""
        frames = rearrange(clips, "b t c h w -> b t h w c").contiguous().numpy()
        maps: list[np.ndarray] = []
        with self._turn:
            for begin in range(0, len(frames), len(self._requests)):
                group = frames[begin : begin + len(self._requests)]
                busy = self._requests[: len(group)]
                for request, clip in zip(busy, group, strict=True):
                    request.start_async([clip[None]])
                for request in busy:
                    request.wait()
                    maps.append(request.get_output_tensor().data[0].copy())
        return torch.from_numpy(np.stack(maps))
