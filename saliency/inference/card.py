"""The card of a weights file: what the model learned from, what it is good for, how it scores. Kept in the file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from saliency.errors import InputError

KEY = "card"
"""Where the metadata of a weights file holds the card, as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedFrom:
    """A data set that the weights learned from.

    Attributes:
        name: of the data set.
        photographs: in its training part.
        viewers: at most, per photograph.
        fixations: in its training part.
        sha256: of the training part's names and fixations.
        licence: in its publishers' words.
        citation: the paper.
    """

    name: str
    photographs: int
    viewers: int
    fixations: int
    sha256: str
    licence: str
    citation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A row of the card's table.

    Attributes:
        data: data set and part.
        predictor: who made the maps.
        frames: how many were scored.
        values: metric -> mean over frames.
        intervals: metric -> 95 % bootstrap interval over photographs.
    """

    data: str
    predictor: str
    frames: int
    values: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """All that is said of a weights file.

    Attributes:
        name: of the model.
        version: of the weights.
        about: in a sentence or two.
        learned_from: the data sets.
        training: how it was trained: command, seed, steps, minutes, processor.
        licences: of code, weights and data, each apart.
        good_for: what it does well, as measured.
        not_for: what it does badly, or what nobody has measured.
        protocol: by which the scores were made.
        scores: of the model and of what it must be compared with.
    """

    name: str
    version: str
    about: str
    learned_from: tuple[LearnedFrom, ...]
    training: Mapping[str, str]
    licences: Mapping[str, str]
    good_for: tuple[str, ...]
    not_for: tuple[str, ...]
    protocol: str
    scores: tuple[Score, ...]

    def to_json(self) -> str:
        """Return the card as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)


def card_of(metadata: Mapping[str, str], name: str = "weights") -> Card | None:
    """Return the card that a weights file holds; None if it has none.

    Args:
        metadata: of the file, see `saliency.io.weights.LoadedModel`.
        name: what messages call the file.

    Raises:
        InputError: it has one that cannot be read.
    """
    if KEY not in metadata:
        return None
    try:
        content = json.loads(metadata[KEY])
        learned = tuple(LearnedFrom(**entry) for entry in content.pop("learned_from"))
        scores = tuple(
            Score(**{**entry, "intervals": {metric: (a, b) for metric, (a, b) in entry["intervals"].items()}})
            for entry in content.pop("scores")
        )
        lists = {key: tuple(content.pop(key)) for key in ("good_for", "not_for")}
        return Card(learned_from=learned, scores=scores, **lists, **content)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{name}: its card cannot be read ({error}); was it saved by a newer version?") from error


METRICS = {
    "auc_shuffled": "s-AUC",
    "nss": "NSS",
    "cc": "CC",
    "sim": "SIM",
    "kld": "KL",
    "auc_judd": "AUC-Judd",
}
"""The columns of the table, the shuffled AUC first: it alone does not reward looking at the centre."""


def score_table(scores: tuple[Score, ...]) -> str:
    """Return scores as a Markdown table, a line for each data set and predictor."""
    lines = ["| data | predictor | " + " | ".join(METRICS.values()) + " |", "|---|---|" + "---|" * len(METRICS)]
    for score in scores:
        cells = []
        for metric in METRICS:
            text = f"{score.values[metric]:.3f}" if metric in score.values else "–"
            if metric in score.intervals:
                text += " [{:.3f}, {:.3f}]".format(*score.intervals[metric])
            cells.append(text)
        lines.append(f"| {score.data} | {score.predictor} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
