"""What a client should know of the model behind a report, in words."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from saliency.attention.doubt import Judge

METHOD = (
    "A neural network looked at every frame together with the frames around it and predicted where people who watch "
    "the film for the first time, without a task, would rest their eyes. Each prediction is a map whose values add up "
    "to 100 %; every number here is read off these maps.",
    "Nobody's eyes were recorded for this report. The numbers are means over many imagined viewers; a single viewer "
    "looks at one place at a time.",
)
"""How the numbers came about."""

LIMITS = (
    "The model sees pictures only: no sound, no language, no knowledge of brands or of what the film is for.",
    "A task, prior knowledge, text that must be read, or a small screen changes where people look.",
    "Differences of a few percent between two films or two regions are within what models get wrong; compare "
    "large differences, and ask real viewers before money depends on it.",
    "Hard cuts are found by the change of the picture; dissolves and fades are not.",
)
"""What the numbers do not say, whatever the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelNotes:
    """What is said of the model.

    Attributes:
        name: of the model, or of its weights file.
        about: what it is, in a sentence; empty if nothing is known.
        licence: of the weights, in a few words; empty if it is not known.
        limits: what this model is not good for, a sentence each.
        sha256: of the weights file.
        computed: device, backend and precision.
        demonstration: whether it only shows that all works and its numbers mean nothing for people.
        judge: says how far its maps can be trusted; None if that was not calibrated.
    """

    name: str
    about: str = ""
    licence: str = ""
    limits: Sequence[str] = ()
    sha256: str = ""
    computed: str = ""
    demonstration: bool = False
    judge: Judge | None = field(default=None, repr=False)
