"""Tri-Bi-KD on Hollywood-2 between models trained by hollywood2_{tmfi,vinet_s,vinet_a}.py."""

from saliency.config.run import Run
from saliency.data.targets import BI_KD_HOLLYWOOD2
from saliency.datasets.hollywood2 import Hollywood2
from saliency.recipes.saliency import transfer


def config() -> Run:
    """Return the run; the target frames are those of the published Bi-KD code (docs/datasets.md)."""
    return transfer(
        "hollywood2_tmfi_vinet",
        ("tmfi_net", "vinet_s", "vinet_a"),
        Hollywood2(sampling=BI_KD_HOLLYWOOD2),
        runs="hollywood2",
    )
