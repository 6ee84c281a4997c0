"""ViNet-S on DHF1K, from Kinetics weights."""

from saliency.config.run import Run
from saliency.datasets.dhf1k import DHF1K
from saliency.recipes import single


def config() -> Run:
    """Return the run."""
    return single("dhf1k_vinet_s", "vinet_s", DHF1K())
