"""Table 2 of the Bi-KD paper: ViT-S and ViT-T on ImageNet, with timm's augmentation and a cosine schedule."""

from saliency.config.run import Run
from saliency.recipes.classification import transfer, vit_s, vit_t


def config() -> Run:
    """Return the run."""
    return transfer("imagenet_vit_s_vit_t", {"vit_s": vit_s(), "vit_t": vit_t()}, recipe="vit")
