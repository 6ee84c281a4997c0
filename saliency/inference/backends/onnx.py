"""ONNX Runtime, on the CPU."""

from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor

from saliency.types import InputSpec


class OnnxNetwork:
    """A graph that ONNX Runtime computes in fp32, see `saliency.inference.backends.base.Network`."""

    def __init__(self, path: Path, spec: InputSpec) -> None:
        """Read a graph.

        Args:
            path: of an ``.onnx`` file of `saliency.inference.export`.
            spec: the clip it takes.
        """
        import onnxruntime

        self.spec, self.device = spec, torch.device("cpu")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads leave the CPU alone
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, clips: Tensor, shift: int = 0) -> Tensor:
        """Turn clips uint8 (B, T, 3, h, w) into maps (B, h', w'), float32."""
        frames = rearrange(clips, "b t c h w -> b t h w c").contiguous().numpy()
        return torch.from_numpy(self._session.run(None, {"frames": frames})[0])
