"""Plan a study: `saliency analyze power my_study/ --difference 0.1 --viewers 10 20`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from saliency.commands.arguments import parse
from saliency.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Say how many viewers and videos (or seeds) a study needs to see a difference, from differences that were
    measured: paired, two-sided, with the given power.

    Attributes:
        sources: a study.json; a table.csv with the columns viewer, video and difference; a folder with videos/ and
            gaze/ (how much better other viewers tell a look than a centre prior); or two results of saliency evaluate.
        difference: to be seen, e.g. 0.05 0.1; in the unit of the measured ones.
        viewers: viewers of each video to plan for.
        power: chance that the test finds the difference.
        alpha: chance that it finds one where there is none.
    """  # noqa: D205

    sources: tyro.conf.Positional[tuple[Path, ...]]
    difference: tuple[float, ...] = ()
    viewers: tuple[int, ...] = (5, 10, 20, 40)
    power: float = 0.8
    alpha: float = 0.05


def main(words: Sequence[str]) -> int:
    """Run the tool."""
    arguments = parse(Arguments, words, command="analyze power")
    if not arguments.difference:
        raise InputError("say what the study shall see: saliency analyze power my_study/ --difference 0.1")
    if not arguments.viewers or min(arguments.viewers) < 2:
        raise InputError(f"--viewers must be at least 2, got {' '.join(map(str, arguments.viewers)) or 'none'}")
    from rich.console import Console
    from rich.markdown import Markdown

    from saliency.analysis.pilot import read_pilots
    from saliency.analysis.power import Wish
    from saliency.analysis.power_text import plan_text

    wishes = [Wish(difference=d, power=arguments.power, alpha=arguments.alpha) for d in arguments.difference]
    pilots = read_pilots(arguments.sources)
    Console().print(Markdown(plan_text(pilots, wishes, arguments.viewers)))
    return 0
