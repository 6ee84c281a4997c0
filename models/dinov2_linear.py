"""DINOv2 ViT-S/14 with its published linear ImageNet head.

Paper: Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", TMLR 2024.
Original code: github.com/facebookresearch/dinov2, hub entry ``dinov2_vits14_lc`` (Apache-2.0); this file
holds none of it. The backbone is timm's.

Deviation: timm resamples the position embedding to the 16x16 grid of a 224 pixel image with antialiasing, the
original without.
"""

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from saliency.backbones.hub import hub
from saliency.backbones.pretrained import published
from saliency.errors import InputError
from saliency.io.weights import load_weights
from saliency.models.timm_classifier import import_timm
from saliency.types import ImageSpec, Init

BACKBONE = "vit_small_patch14_dinov2.lvd142m"
HEAD_URL = "https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_linear4_head.pth"


@dataclass(frozen=True, slots=True, kw_only=True)
class DINOv2LinearConfig:
    """ViT-S/14 features and one linear layer.

    Attributes:
        input: the image it wants; sides are multiples of 14.
        classes: number of classes.
        layers: blocks whose class tokens the head sees, the last ones.
    """

    input: ImageSpec = field(default_factory=lambda: ImageSpec(interpolation="bicubic"))
    classes: int = 1000
    layers: int = 4

    def build(self, init: Init = "scratch") -> "DINOv2Linear":
        """Make the model; `init` is ``"scratch"`` or ``"hub"`` for the published weights.

        Raises:
            InputError: timm is not installed or the weights cannot be downloaded.
        """
        if init not in ("scratch", "hub"):
            raise InputError(f"init '{init}' of DINOv2 is neither scratch, hub nor the path of a weights file")
        timm = import_timm()
        try:
            with hub() if init == "hub" else nullcontext():
                backbone = timm.create_model(BACKBONE, pretrained=init == "hub", num_classes=0, dynamic_img_size=True)
            model = DINOv2Linear(backbone, self)
            if init == "hub":
                load_weights(model.head, published(HEAD_URL), name=HEAD_URL)
        except (OSError, RuntimeError) as error:
            if init != "hub":
                raise
            raise InputError(
                f"the weights of DINOv2 cannot be downloaded ({type(error).__name__}): on a machine with a network "
                "torch.save(torch.hub.load('facebookresearch/dinov2', 'dinov2_vits14_lc').state_dict(), FILE) and set "
                "the learner's init to that file"
            ) from error
        return model


class DINOv2Linear(nn.Module):
    """(B, 3, H, W) -> (B, classes)."""

    def __init__(self, backbone: nn.Module, config: DINOv2LinearConfig) -> None:
        super().__init__()
        self.backbone: Any = backbone
        # pretraining alone used it: here only because the published file has it
        self.backbone.mask_token = nn.Parameter(torch.zeros(1, self.backbone.embed_dim), requires_grad=False)
        self.layers = config.layers
        self.head = nn.Linear((config.layers + 1) * self.backbone.embed_dim, config.classes)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def features(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, (layers + 1) D): the last class tokens and the mean of the patch tokens."""
        outputs = self.backbone.get_intermediate_layers(
            images, n=self.layers, return_prefix_tokens=True, norm=True
        )  # per block: patches (B, N, D), class token (B, 1, D)
        classes = [prefix[:, 0] for _, prefix in outputs]
        return torch.cat([*classes, outputs[-1][0].mean(1)], dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) normalised images -> (B, classes) logits."""
        return self.head(self.features(images))

    @staticmethod
    def from_official(key: str) -> str:
        """Return our name of a weight of the published model."""
        return key.replace("linear_head.", "head.")
