"""Table 2 of the Bi-KD paper: DINOv2 ViT-S/14 and MAE ViT-B on ImageNet."""

from saliency.config.run import Run
from saliency.recipes.classification import dinov2, mae, transfer


def config() -> Run:
    """Return the run."""
    return transfer("imagenet_dinov2_mae", {"dinov2": dinov2(), "mae": mae()})
