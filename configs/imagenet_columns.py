"""The columns of the Bi-KD paper's Table 2 for any of its eleven pairs: KL, KL+DP, supervised KL+DP, DML, Bi-KD.

    saliency train imagenet_columns:coat_pit_xs data.root=/data/imagenet

The paper runs KL and KL+DP twice for a pair, with teacher and student swapped ("flipped"): here both directions are
trained in one stage, each from a frozen copy of the other model, so each learner's row of a stage is one of the two.
"""

from saliency.config.run import Run
from saliency.recipes.classification import PAIRS, columns, group

GROUPS = {"_".join(names): names for names in PAIRS}
VARIANTS = tuple(GROUPS)


def config(variant: str = VARIANTS[0]) -> Run:
    """Return the run of one pair."""
    return group(f"imagenet_{variant}_columns", GROUPS[variant], more=columns(*GROUPS[variant]))
