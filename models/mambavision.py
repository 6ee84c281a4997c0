"""MambaVision image classifiers of NVIDIA, through the transformers library.

Paper: Hatamizadeh and Kautz, "MambaVision: A Hybrid Mamba-Transformer Vision Backbone", CVPR 2025.
Weights and code: huggingface.co/nvidia/MambaVision-T2-1K (NVIDIA Source Code License, non-commercial). The
model's own code comes with its weights and is run by transformers; it needs the ``mamba-ssm`` package and a
GPU.
"""

import importlib.util
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from saliency.backbones.hub import hub
from saliency.errors import InputError
from saliency.types import ImageSpec, Init


@dataclass(frozen=True, slots=True, kw_only=True)
class MambaVisionConfig:
    """A published MambaVision classifier.

    Attributes:
        name: repository on the model hub.
        input: the image it wants; T2 was evaluated with a crop of 0.98.
        trust_remote_code: run the Python code that comes with the weights; nothing is loaded without it.
    """

    name: str = "nvidia/MambaVision-T2-1K"
    input: ImageSpec = field(default_factory=lambda: ImageSpec(crop=0.98, interpolation="bicubic"))
    trust_remote_code: bool = False

    def build(self, init: Init = "hub") -> "MambaVision":
        """Make the model with its published weights (``"hub"``) or without (``"scratch"``).

        Raises:
            InputError: a package or the GPU is missing, remote code is not allowed (all that is missing is named), or
                the model cannot be downloaded.
        """
        if lacks := self._lacks():
            raise InputError(f"{self.name} cannot be built here: it needs {', and '.join(lacks)}")
        from transformers import AutoConfig, AutoModelForImageClassification

        try:
            with hub():
                if init == "hub":
                    net = AutoModelForImageClassification.from_pretrained(self.name, trust_remote_code=True)
                else:
                    config = AutoConfig.from_pretrained(self.name, trust_remote_code=True)
                    net = AutoModelForImageClassification.from_config(config, trust_remote_code=True)
        except OSError as error:
            raise InputError(
                f"{self.name} cannot be downloaded: on a machine with a network run `hf download {self.name} "
                "--local-dir FOLDER` (config.json, model.safetensors and code) and set the model's name to that folder"
            ) from error
        return MambaVision(net)

    def _lacks(self) -> list[str]:
        """What is missing here, each with its remedy."""
        lacks = [
            f"the package {package} (pip install {package.replace('_', '-')})"
            for package in ("transformers", "mamba_ssm")
            if importlib.util.find_spec(package) is None
        ]
        if not _has_gpu():
            lacks.append("a CUDA GPU")
        if not self.trust_remote_code:
            lacks.append("leave to run the code that comes with its weights (the model's trust_remote_code=true)")
        return lacks


class MambaVision(nn.Module):
    """(B, 3, H, W) -> (B, 1000)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net: Any = net

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) normalised images -> (B, 1000) logits."""
        return self.net(images)["logits"]


def _has_gpu() -> bool:
    return torch.cuda.is_available()
