"""Table 6a of the Bi-KD paper, four models: CoaT-Lite Mini, PiT-XS, ResMLP-24 and DINOv2 on ImageNet."""

from saliency.config.run import Run
from saliency.recipes.classification import coat_lite_mini, dinov2, pit_xs, resmlp_24_dist, transfer


def config() -> Run:
    """Return the run."""
    return transfer(
        "imagenet_coat_pit_xs_resmlp_dinov2",
        {"coat": coat_lite_mini(), "pit_xs": pit_xs(), "resmlp": resmlp_24_dist(), "dinov2": dinov2()},
    )
