"""The real thing: TMFI-Net, ViNet-S and ViNet-A on DHF1K, then tri-Bi-KD and its control.

All three start from Kinetics weights and are trained side by side, then teach each other. To start from models that
were trained one by one with their own published settings, see dhf1k_tmfi_vinet_from_singles.py.
"""

from saliency.config.run import Run
from saliency.data.targets import BI_KD_DHF1K
from saliency.datasets.dhf1k import DHF1K
from saliency.recipes.saliency import transfer


def config() -> Run:
    """Return the run; the target frames are those of the published Bi-KD code (docs/datasets.md)."""
    return transfer("dhf1k_tmfi_vinet", ("tmfi_net", "vinet_s", "vinet_a"), DHF1K(sampling=BI_KD_DHF1K))
