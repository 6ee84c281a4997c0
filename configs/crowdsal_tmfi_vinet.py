"""TMFI-Net, ViNet-S and ViNet-A on CrowdSAL's 3,000 open training videos, then tri-Bi-KD.

Nobody has published these models' settings for this data; they are those of DHF1K (saliency/recipes/saliency.py). With
the same number of epochs there are five times as many steps, so fewer epochs may do: ``--dry-run 2`` tells the hours.
"""

from saliency.config.run import Run
from saliency.datasets.crowdsal import CrowdSAL
from saliency.recipes.saliency import transfer


def config() -> Run:
    """Return the run."""
    return transfer("crowdsal_tmfi_vinet", ("tmfi_net", "vinet_s", "vinet_a"), CrowdSAL())
