"""When does teaching help? The study of docs/science/protocol.md on photographs with real gaze (OSIE).

    saliency data get osie
    saliency train teaching:screening --seeds 3 --out runs/teaching/screening
    saliency train teaching:one_30 --seeds 10 --out runs/teaching/one_30

A variant is a regime: labels of one viewer or of all, 30 or 100 % of the photographs. Every arm starts from the same
first stage; ``study.md`` compares them over the seeds. A stopped study goes on with ``--resume``.
"""

from saliency.config.run import Run
from saliency.recipes.teaching import REGIMES, Regime, study

VARIANTS = tuple(REGIMES)


def config(variant: Regime = "screening") -> Run:
    """Return the study in one regime."""
    return study(variant)
