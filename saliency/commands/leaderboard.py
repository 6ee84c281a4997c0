"""Make leaderboards of evaluation results: `saliency leaderboard runs/evaluate/*`.

Writes Markdown, CSV, JSON, LaTeX and a self-contained HTML page. With --published, prints the tables of papers with
the results beside the rows they repeat.
"""

import logging
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from saliency.commands.arguments import at_least, parse
from saliency.errors import InputError

if TYPE_CHECKING:
    from saliency.evaluation.result import Result
    from saliency.report.tables import LeaderboardRow


BASELINES = ("chance", "centre prior", "mean train map")
"""Names that saliency evaluate gives to predictors that are no models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Make leaderboards of evaluation results.

    Attributes:
        results: folders of results, or folders that hold such folders; with --published imagenet, ade20k: run folders.
        out: folder of the tables.
        stem: name of the files.
        title: heading.
        baseline: name of the row that the paired tests compare the others with.
        stages: names of the stages of a transfer in their order; default scratch control bi_kd. A result called
            MODEL/STAGE belongs to that stage of the model.
        published: print the numbers of papers on this data set, with each result beside the row it repeats and the
            difference. A result is matched by its name: tmfi_net, vinet_s, vinet_a, or with a stage vinet_a/bi_kd.
        format: which files to write; default all.
        samples: bootstrap resamples behind the intervals.
        seed: of the resampling.
    """

    results: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RESULT [RESULT ...]")] = ()
    out: Path = Path("runs/leaderboard")
    stem: str = "leaderboard"
    title: str = "Leaderboard"
    baseline: str | None = None
    stages: tuple[str, ...] = ()
    published: Literal["dhf1k", "hollywood2", "ucf_sports", "imagenet", "ade20k"] | None = None
    format: tuple[Literal["md", "csv", "tex", "html", "json"], ...] = ()
    samples: int = 2000
    seed: int = 0


def main(words: Sequence[str]) -> int:
    """Run the tool."""
    arguments = parse(Arguments, words, command="leaderboard", more=("stages", "samples", "seed", "stem"))
    at_least(arguments, samples=1, seed=0)
    from saliency.evaluation.result import Result
    from saliency.report import published
    from saliency.report.formats import markdown
    from saliency.report.leaderboard import FORMATS, published_rows, write_leaderboard
    from saliency.report.tables import STAGES, build_tables

    stages = arguments.stages or STAGES

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    if not arguments.results and not arguments.published:
        raise InputError("nothing to show; name folders of results, or --published dhf1k")
    if arguments.baseline and not arguments.results:
        raise InputError(f"--baseline {arguments.baseline} names a row of results: name folders of results, too")
    papers = published.published_tables(arguments.published) if arguments.published else []
    if arguments.published in ("imagenet", "ade20k"):
        own = [result for folder in arguments.results for result in published.own_comparison(folder)]
        print(published.published_text(papers, own))
        return 0
    rows = [row_of(Result.load(folder), stages) for folder in find_results(arguments.results)]
    if not rows:
        print(published.published_text(papers))
        return 0
    read = published_rows(published.DATASETS[arguments.published]) if arguments.published else []
    compare = partial(
        build_tables, baseline=arguments.baseline, stages=stages, samples=arguments.samples, seed=arguments.seed
    )
    command = shlex.join(["saliency", "leaderboard", *words])
    tables, own = ([replace(table, reproduce=command) for table in compare(some)] for some in ([*rows, *read], rows))
    written = write_leaderboard(
        tables, arguments.out, arguments.stem, title=arguments.title, formats=arguments.format or tuple(FORMATS)
    )
    print(markdown(own, arguments.title))
    if arguments.published:
        print(published.published_text(papers, published.own_rows(rows, arguments.published)))
    for path in written.values():
        print(path)
    return 0


def find_results(paths: tuple[Path, ...]) -> list[Path]:
    """Return the folders that hold a result, in the order given.

    Raises:
        InputError: a path does not exist or holds no result.
    """
    from saliency.evaluation.result import SUMMARY_FILE

    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"{path} does not exist; name folders that saliency evaluate wrote")
        folders = sorted(file.parent for file in path.rglob(SUMMARY_FILE)) if path.is_dir() else [path.parent]
        if not folders:
            raise InputError(f"{path} holds no evaluation result; make one with saliency evaluate")
        found += [folder for folder in folders if folder not in found]
    return found


def row_of(result: "Result", stages: tuple[str, ...]) -> "LeaderboardRow":
    """Return a result's row; its name may say the stage."""
    from saliency.report.tables import LeaderboardRow

    name, slash, stage = result.name.rpartition("/")
    if slash and stage in stages:
        return LeaderboardRow.from_result(result, name=name, stage=stage)
    return LeaderboardRow.from_result(result, kind="baseline" if result.name in BASELINES else None)
