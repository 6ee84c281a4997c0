"""Table 4 of the Bi-KD paper, within an architecture: Mask2Former with Swin-T and with Swin-S on ADE20K."""

from saliency.config.run import Run
from saliency.recipes.segmentation import swin_s, swin_t, transfer


def config() -> Run:
    """Return the run."""
    return transfer("ade20k_swin_t_swin_s", {"swin_t": swin_t(), "swin_s": swin_s()})
