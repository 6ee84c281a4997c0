"""ViNet-S on Hollywood-2, from its DHF1K weights."""

from saliency.config.run import Run
from saliency.datasets.hollywood2 import Hollywood2
from saliency.recipes import single


def config() -> Run:
    """Return the run."""
    return single("hollywood2_vinet_s", "vinet_s", Hollywood2(), "runs/dhf1k_vinet_s/scratch/vinet_s.safetensors")
