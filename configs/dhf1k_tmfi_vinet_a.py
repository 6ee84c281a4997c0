"""Bi-KD on DHF1K between TMFI-Net and ViNet-A, as in the paper, from dhf1k_{tmfi,vinet_a}.py."""

from saliency.config.run import Run
from saliency.data.targets import BI_KD_DHF1K
from saliency.datasets.dhf1k import DHF1K
from saliency.recipes.saliency import transfer


def config() -> Run:
    """Return the run; the target frames are those of the published Bi-KD code (docs/datasets.md)."""
    return transfer("dhf1k_tmfi_vinet_a", ("tmfi_net", "vinet_a"), DHF1K(sampling=BI_KD_DHF1K), runs="dhf1k")
