"""Tables 2 and 6a (two models) of the Bi-KD paper: CoaT-Lite Mini and PiT-XS on ImageNet."""

from saliency.config.run import Run
from saliency.recipes.classification import coat_lite_mini, pit_xs, transfer


def config() -> Run:
    """Return the run."""
    return transfer("imagenet_coat_pit_xs", {"coat": coat_lite_mini(), "pit_xs": pit_xs()})
