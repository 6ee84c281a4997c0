"""PyTorch, on any device."""

import torch
from torch import Tensor, nn

from saliency.inference.backends.base import DTYPES, Precision
from saliency.inference.cpu_layers import with_cpu_layers
from saliency.inference.folding import for_inference
from saliency.io.transforms import make_clip
from saliency.types import InputSpec


def for_prediction(model: nn.Module, device: torch.device) -> nn.Module:
    """Return a copy of a trained model that only predicts: the same numbers, but for rounding, in less time.

    BatchNorms are folded into convolutions; on a CPU the layers that are slow there are replaced, and channels lie
    side by side in memory.

    Args:
        model: (B, 3, T, H, W) -> (B, H, W); left as it is.
        device: where the copy will compute.
    """
    ready = for_inference(model)
    return with_cpu_layers(ready) if device.type == "cpu" else ready.to(device)


class TorchNetwork:
    """A model that PyTorch computes, see `saliency.inference.backends.base.Network`."""

    def __init__(self, model: nn.Module, spec: InputSpec, device: torch.device, precision: Precision = "fp32") -> None:
        """Make it.

        Args:
            model: of `for_prediction`.
            spec: the clip.
            device: where the model is.
            precision: arithmetic.
        """
        self.model, self.spec, self.device = model, spec, device
        self._dtype = DTYPES[precision]

    @torch.no_grad()
    def __call__(self, clips: Tensor) -> Tensor:
        """Turn clips uint8 (B, T, 3, h, w) into maps (B, h', w'), float32 on the CPU."""
        inputs = make_clip(clips, self.spec)  # (B, 3, T, h, w)
        with torch.autocast(self.device.type, dtype=self._dtype, enabled=self._dtype is not None):
            return self.model(inputs).float().cpu()
