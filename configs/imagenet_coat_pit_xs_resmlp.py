"""Table 6a of the Bi-KD paper, three models: CoaT-Lite Mini, PiT-XS and ResMLP-24 on ImageNet."""

from saliency.config.run import Run
from saliency.recipes.classification import coat_lite_mini, pit_xs, resmlp_24_dist, transfer


def config() -> Run:
    """Return the run."""
    return transfer(
        "imagenet_coat_pit_xs_resmlp", {"coat": coat_lite_mini(), "pit_xs": pit_xs(), "resmlp": resmlp_24_dist()}
    )
