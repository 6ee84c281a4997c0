"""PyTorch, on any device."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from saliency.inference.backends.base import DTYPES, Precision
from saliency.inference.cpu_layers import with_cpu_layers
from saliency.inference.folding import for_inference
from saliency.io.transforms import make_clip, normalise
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


@runtime_checkable
class SharesFrames(Protocol):
    """A model that computes overlapping clips together in fewer operations."""

    def windowed(self, length: int, shift: int) -> nn.Module | None:
        """Return (1, 3, N, h, w), a run of frames -> (B, h', w'), the maps of its clips of `length` frames.

        Args:
            length: frames of a clip.
            shift: frames between the beginnings of neighbouring clips.

        Returns:
            the network; None where such clips have too little in common.
        """
        ...


def windowed(model: object, length: int, shift: int) -> nn.Module | None:
    """Return what computes overlapping clips together, see `SharesFrames`; None where the model has no such thing."""
    return model.windowed(length, shift) if isinstance(model, SharesFrames) else None


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
        self._together: dict[int, nn.Module | None] = {}  # frames between neighbouring clips -> what computes them

    @torch.no_grad()
    def __call__(self, clips: Tensor, shift: int = 0) -> Tensor:
        """Turn clips uint8 (B, T, 3, h, w) into maps (B, h', w'), float32 on the CPU."""
        model = self._windowed(shift) if len(clips) > 1 else None
        if model is None:
            model, inputs = self.model, make_clip(clips, self.spec)  # (B, 3, T, h, w)
        else:
            frames = torch.cat((clips[:-1, :shift].flatten(0, 1), clips[-1]))  # (N, 3, h, w)
            inputs = normalise(frames.transpose(0, 1), self.spec.mean, self.spec.std, channel=-4)[None]
        with torch.autocast(self.device.type, dtype=self._dtype, enabled=self._dtype is not None):
            return model(inputs).float().cpu()

    def _windowed(self, shift: int) -> nn.Module | None:
        """What computes clips together; only on a CPU, where it was measured."""
        if not shift or self.device.type != "cpu":
            return None
        if shift not in self._together:
            self._together[shift] = windowed(self.model, self.spec.length, shift)
        return self._together[shift]
