"""What decides the numbers of an evaluation, besides the predictions and the videos."""

from dataclasses import dataclass, field
from typing import Any, Literal

from saliency.errors import InputError
from saliency.evaluation.map_source import FixedMap
from saliency.evaluation.protocols import CANONICAL, Protocol
from saliency.metrics.frame import METRICS


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings:
    """How an evaluation is done.

    Attributes:
        protocol: how numbers are made, and which metrics there are.
        every: frames 0, `every`, 2 `every`, ... of each video are scored.
        seed: of everything that is drawn (negatives of the shuffled AUC, a protocol's frame subset).
        dataset: data set and split as tables should show them.
        on_bad: a NaN or infinite prediction raises, or counts as a bad frame without scores.
        baseline: what the information gain compares with: a density, best the centre prior of the training split.
    """

    protocol: Protocol = CANONICAL
    every: int = 1
    seed: int = 0
    dataset: str = ""
    on_bad: Literal["raise", "count"] = "raise"
    baseline: FixedMap | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        wanting = [metric for metric in self.protocol.metrics if "baseline" in METRICS[metric].needs]
        if wanting and self.baseline is None:
            raise InputError(
                f"{wanting[0]} compares with a baseline density; give one, such as the centre prior of the "
                "training split, or leave the metric out"
            )

    def facts(self) -> dict[str, Any]:
        """What results keep of it besides the protocol."""
        known: dict[str, Any] = {"seed": self.seed, "every": self.every}
        if self.baseline is not None:
            known["baseline"] = {"name": self.baseline.name, **self.baseline.metadata}
        return known


USUAL = EvaluationSettings()
"""What holds unless told otherwise."""
