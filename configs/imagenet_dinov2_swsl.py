"""Table 2 of the Bi-KD paper: DINOv2 ViT-S/14 and SWSL ResNeXt-101 on ImageNet."""

from saliency.config.run import Run
from saliency.recipes.classification import dinov2, swsl_resnext101, transfer


def config() -> Run:
    """Return the run."""
    return transfer("imagenet_dinov2_swsl", {"dinov2": dinov2(), "swsl": swsl_resnext101()})
