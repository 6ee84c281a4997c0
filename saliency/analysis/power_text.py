"""A plan for a study, as Markdown."""

from collections.abc import Sequence

import numpy as np

from saliency.analysis.pilot import Pilot
from saliency.analysis.power import MOST, Wish, pairs_for, spread_of
from saliency.report.formats import markdown_text


def plan_text(pilots: Sequence[Pilot], wishes: Sequence[Wish], viewers: Sequence[int]) -> str:
    """Return how many videos (or seeds) show each difference.

    Args:
        pilots: differences that were measured.
        wishes: what the study shall see; all of one power and level.
        viewers: numbers of viewers a video to plan for, each at least 2.

    Raises:
        InputError: a pilot is too small.
    """
    first = wishes[0]
    head = f"Two-sided test at the level {first.alpha:g}, power {first.power:g}; what is planned for is drawn anew."
    return "\n\n".join([head, *(part for pilot in pilots for part in _plan(pilot, wishes, viewers))]) + "\n"


def _plan(pilot: Pilot, wishes: Sequence[Wish], viewers: Sequence[int]) -> list[str]:
    title = f"## {markdown_text(pilot.about)}"
    columns = [f"d = {wish.difference:g}" for wish in wishes]
    if not pilot.has_viewers:
        values = pilot.table[0]
        deviation = float(values.std(ddof=1))
        text = (
            f"{len(values)} {pilot.unit}s: mean {values.mean():+.4g}, standard deviation {deviation:.4g}. "
            f"{pilot.unit.capitalize()}s needed:"
        )
        return [
            title,
            text,
            _lines(columns, [[_n(pairs_for(deviation, wish)) for wish in wishes]]),
        ]
    spread = spread_of(pilot.table)
    deviations = [float(np.sqrt(part)) for part in (spread.video, spread.viewer, spread.rest)]
    design = "all viewers saw all videos" if spread.crossed else "each video is taken to have viewers of its own"
    text = (
        f"{pilot.table.shape[0]} viewers, {pilot.table.shape[1]} videos, {int(np.isfinite(pilot.table).sum())} "
        f"differences; {design}. Mean {spread.mean:+.4g}; standard deviation between videos {deviations[0]:.4g}, "
        f"between viewers {deviations[1]:.4g}, of the rest {deviations[2]:.4g}. Videos needed:"
    )
    rows = [[str(u), *(_n(spread.videos_for(wish, u)) for wish in wishes)] for u in viewers]
    return [title, text, _lines(["viewers a video", *columns], rows)]


def _n(number: int | None) -> str:
    return f"more than {MOST}" if number is None else str(number)


def _lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---:"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
