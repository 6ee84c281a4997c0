"""TMFI-Net on Hollywood-2, from its DHF1K weights.

The target frames of training and validation, and that each shot is a video of its own, are the published ones
(docs/datasets.md); validation is on clips held out of the training set, not on the test set as published. The other
settings and their sources: saliency/recipes/saliency.py.
"""

from saliency.config.run import Run
from saliency.data.targets import TMFI_NET_HOLLYWOOD2
from saliency.datasets.hollywood2 import Hollywood2
from saliency.recipes.saliency import single


def config() -> Run:
    """Return the run."""
    return single(
        "hollywood2_tmfi_net",
        "tmfi_net",
        Hollywood2(sampling=TMFI_NET_HOLLYWOOD2, shots="separate"),
        "runs/dhf1k_tmfi_net/scratch/tmfi_net.safetensors",
    )
