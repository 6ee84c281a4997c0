"""Tables 2, 3 and 6a of the Bi-KD paper on ImageNet: all eleven pairs, three and four models.

    saliency train imagenet_bi_kd:dinov2_mae --dry-run 1 --synthetic
    saliency train imagenet_bi_kd:dinov2_mae data.root=/data/imagenet

Every run scores the published weights, then trains the control and Bi-KD from them. The ViTs get timm's augmentation
and cosine schedule, as in the paper. The other methods of Table 2: imagenet_columns.py.
"""

from saliency.config.run import Run
from saliency.recipes.classification import PAIRS, SEVERAL, group

GROUPS = {"_".join(names): names for names in (*PAIRS, *SEVERAL)}
VARIANTS = tuple(GROUPS)


def config(variant: str = VARIANTS[0]) -> Run:
    """Return the run of one group of models."""
    return group(f"imagenet_{variant}", GROUPS[variant])
