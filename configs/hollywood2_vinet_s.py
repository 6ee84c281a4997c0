"""ViNet-S on Hollywood-2, from its DHF1K weights.

The target frames of training and validation, and that each shot is a video of its own, are the published ones
(docs/datasets.md); validation is on clips held out of the training set, not on the test set as published. The other
settings and their sources: saliency/recipes/saliency.py.
"""

from saliency.config.run import Run
from saliency.data.targets import VINET_S_HOLLYWOOD2
from saliency.datasets.hollywood2 import Hollywood2
from saliency.recipes.saliency import single


def config() -> Run:
    """Return the run."""
    return single(
        "hollywood2_vinet_s",
        "vinet_s",
        Hollywood2(sampling=VINET_S_HOLLYWOOD2, shots="separate"),
        "runs/dhf1k_vinet_s/scratch/vinet_s.safetensors",
    )
