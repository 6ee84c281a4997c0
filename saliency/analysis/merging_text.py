"""What a merging gave, as Markdown and JSON."""

import json
from collections.abc import Sequence
from pathlib import Path

from saliency.analysis.merging import Merging, Scored, goodness
from saliency.io.atomic import write_atomic
from saliency.report.formats import markdown_text


def write_merging(mergings: Sequence[Merging], folder: Path) -> list[Path]:
    """Write the soups, ``merging.md`` and ``merging.json``; return what was written.

    Raises:
        InputError: they cannot be written.
    """
    files = [file for merging in mergings for file in merging.save(folder)]
    texts = {"merging.md": merging_markdown(mergings), "merging.json": json.dumps(_plain(mergings), indent=2)}
    for name, text in texts.items():
        with write_atomic(folder / name) as file:
            file.write(text)
    return [*files, *(folder / name for name in texts)]


def merging_markdown(mergings: Sequence[Merging]) -> str:
    """Return the scores of all ingredients and soups as text."""
    return "\n\n".join(part for merging in mergings for part in _parts(merging)) + "\n"


def _parts(merging: Merging) -> list[str]:
    metrics = list(merging.ingredients[0].scores)
    head = ["model", "of", *metrics, f"{merging.metric} against the best one"]
    best = goodness(merging.best.scores, merging.metric)
    rows = [_row(each, metrics, merging, best) for each in (*merging.ingredients, *merging.soups)]
    lines = [map(markdown_text, head), ["---"] * len(head), *(map(markdown_text, row) for row in rows)]
    greedy = next(soup for soup in merging.soups if soup.name == "greedy")
    return [
        f"# {markdown_text(merging.name)}: {len(merging.ingredients)} models merged",
        f"{merging.samples} validation samples, on which the best weights of each ingredient were chosen, and by which "
        f"greedy chooses: its {merging.metric} is never below the best one's here, which is no gain on new data. "
        "More is better in the last column.",
        "\n".join(f"| {' | '.join(line)} |" for line in lines),
        f"In greedy: {markdown_text(', '.join(greedy.members))}.",
    ]


def _row(each: Scored, metrics: Sequence[str], merging: Merging, best: float) -> list[str]:
    gain = goodness(each.scores, merging.metric) - best
    return [each.name, str(len(each.members)), *(f"{each.scores[m]:.4f}" for m in metrics), f"{gain:+.4f}"]


def _plain(mergings: Sequence[Merging]) -> list[dict[str, object]]:
    return [
        {
            "name": merging.name,
            "metric": merging.metric,
            "samples": merging.samples,
            **{
                kind: [{"name": s.name, "members": list(s.members), "scores": dict(s.scores)} for s in scored]
                for kind, scored in (("ingredients", merging.ingredients), ("soups", merging.soups))
            },
        }
        for merging in mergings
    ]
