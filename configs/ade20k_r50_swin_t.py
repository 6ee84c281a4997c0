"""Table 4 of the Bi-KD paper, across architectures: Mask2Former with ResNet-50 and with Swin-T on ADE20K."""

from saliency.config.run import Run
from saliency.recipes.segmentation import r50, swin_t, transfer


def config() -> Run:
    """Return the run."""
    return transfer("ade20k_r50_swin_t", {"r50": r50(), "swin_t": swin_t()})
