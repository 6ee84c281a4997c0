"""The real thing: TMFI-Net, ViNet-S and ViNet-A on DHF1K, each trained as its own paper does, then tri-Bi-KD.

All three start from Kinetics weights and are trained alone: 300 epochs with batches of 1, 120 of 8 and 150 of 6. Then
they teach each other, beside the control of equal length. ``dhf1k_tmfi_vinet:paper`` transfers as the paper says (20
epochs, batches of 128), the default as its scripts do (100 epochs, batches of 4); saliency/recipes/saliency.py has
the sources and why. ``dhf1k_tmfi_vinet:ensemble`` adds a transfer in which the mean of all three teaches, at weight 2:
the best of what docs/science/when-teaching-helps.md tried on small networks. To start from models that were trained
before, see dhf1k_tmfi_vinet_from_singles.py.
"""

from dataclasses import replace
from typing import Literal

from saliency.config.run import Run
from saliency.data.targets import BI_KD_DHF1K
from saliency.datasets.dhf1k import DHF1K
from saliency.distillation.ensemble import EnsembleTeacher
from saliency.recipes.saliency import SAMPLING_DHF1K, transfer

VARIANTS = ("published", "paper", "ensemble")


def config(variant: Literal["published", "paper", "ensemble"] = "published") -> Run:
    """Return the run; the target frames of the transfer are those of the published Bi-KD code (docs/datasets.md)."""
    run = transfer(
        "dhf1k_tmfi_vinet" if variant == "published" else f"dhf1k_tmfi_vinet_{variant}",
        ("tmfi_net", "vinet_s", "vinet_a"),
        DHF1K(sampling=BI_KD_DHF1K),
        sampling=SAMPLING_DHF1K,
        setting="paper" if variant == "paper" else "published",
    )
    if variant != "ensemble":
        return run
    ensemble = replace(run.stages[-1], name="ensemble", distiller=EnsembleTeacher(weight=2.0))
    return replace(run, stages=(*run.stages, ensemble))
