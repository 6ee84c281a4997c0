"""TMFI-Net on DHF1K, from Kinetics weights.

The target frames of training and validation are the published ones (docs/datasets.md), the other settings and their
sources are in saliency/recipes/saliency.py.
"""

from saliency.config.run import Run
from saliency.data.targets import TMFI_NET_DHF1K
from saliency.datasets.dhf1k import DHF1K
from saliency.recipes.saliency import single


def config() -> Run:
    """Return the run."""
    return single("dhf1k_tmfi_net", "tmfi_net", DHF1K(sampling=TMFI_NET_DHF1K))
