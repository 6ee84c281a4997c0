"""Table 2 of the Bi-KD paper: ViT-B and ViT-T on ImageNet, with timm's augmentation and a cosine schedule."""

from saliency.config.run import Run
from saliency.recipes.classification import transfer, vit_b, vit_t


def config() -> Run:
    """Return the run."""
    return transfer("imagenet_vit_b_vit_t", {"vit_b": vit_b(), "vit_t": vit_t()}, recipe="vit")
