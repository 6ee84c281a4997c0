"""ViNet-A on Hollywood-2, from its DHF1K weights.

The target frames of training and validation are the published ones (docs/datasets.md); validation is on clips held
out of the training set, not on the test set as published. The other settings and their sources are in
saliency/recipes/saliency.py.
"""

from saliency.config.run import Run
from saliency.data.targets import VINET_A_HOLLYWOOD2
from saliency.datasets.hollywood2 import Hollywood2
from saliency.recipes.saliency import single


def config() -> Run:
    """Return the run."""
    return single(
        "hollywood2_vinet_a",
        "vinet_a",
        Hollywood2(sampling=VINET_A_HOLLYWOOD2),
        "runs/dhf1k_vinet_a/scratch/vinet_a.safetensors",
    )
