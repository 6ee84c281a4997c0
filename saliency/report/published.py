"""The tables of papers that ship with the package, and own results beside their rows.

None of these numbers was run here. Every table names the source it was read in.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from saliency.errors import InputError, nearest
from saliency.report.comparison import NAME as COMPARISON
from saliency.report.formats import markdown_text
from saliency.report.tables import LeaderboardRow, average_runs, same_data

DATASETS = {
    "dhf1k": "DHF1K",
    "hollywood2": "Hollywood-2",
    "ucf_sports": "UCF Sports",
    "imagenet": "ImageNet",
    "ade20k": "ADE20K",
}
"""Name on the command line -> name in the tables."""

BI_KD = "bi_kd"
BEFORE = ("", "before", "scratch")
"""Stages that are a model as it is before any transfer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """One line of a paper's table.

    Attributes:
        name: the model, spelled out, and with whom it learnt.
        metrics: column -> value.
        deviation: column -> standard deviation over the paper's runs.
        note: the paper of the model.
        learner: what the configs call the model; empty where none has it.
        stage: of the training that the row stands for: `BI_KD`, or empty before any transfer.
        learners: how many models took part in that stage; 0 where that does not matter.
        run: the config that repeats the row.
    """

    name: str
    metrics: Mapping[str, float]
    deviation: Mapping[str, float] = field(default_factory=dict)
    note: str = ""
    learner: str = ""
    stage: str = ""
    learners: int = 0
    run: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedTable:
    """A table of a paper, one data set.

    Attributes:
        dataset: one of the values of `DATASETS`.
        title: number and content.
        source: where it was read.
        columns: key -> heading, with the better direction.
        rows: the lines, in the paper's order.
    """

    dataset: str
    title: str
    source: str
    columns: Mapping[str, str]
    rows: Sequence[PublishedRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnResult:
    """A result made here, to be put beside the row it repeats.

    Attributes:
        label: what it is called in the table.
        metrics: column -> value, in the paper's unit.
        learner: the model's name in its run.
        stage: the stage scored.
        learners: how many models took part in that stage, as far as that is known; else 0.
        run: name of its run's config; empty where that is not known.
    """

    label: str
    metrics: Mapping[str, float]
    learner: str
    stage: str = ""
    learners: int = 0
    run: str = ""


@cache
def _tables() -> tuple[PublishedTable, ...]:
    text = resources.files("saliency").joinpath("assets/leaderboard/published.json").read_text(encoding="utf-8")
    return tuple(
        PublishedTable(**table | {"rows": tuple(PublishedRow(**row) for row in table["rows"])})
        for table in json.loads(text)["tables"]
    )


def published_tables(dataset: str | None = None) -> list[PublishedTable]:
    """Return the papers' tables, all or those of one data set.

    Args:
        dataset: one of `DATASETS`, e.g. ``"dhf1k"``.

    Raises:
        InputError: no tables of that data set.
    """
    if dataset is None:
        return list(_tables())
    if dataset not in DATASETS:
        raise InputError(
            f"no published tables of '{dataset}'{nearest(dataset, DATASETS)}; there are those of {', '.join(DATASETS)}"
        )
    return [table for table in _tables() if table.dataset == DATASETS[dataset]]


def own_rows(rows: Sequence[LeaderboardRow], dataset: str) -> list[OwnResult]:
    """Return what was scored here on a data set, to be put beside the papers' rows; seeds are averaged.

    Args:
        rows: of a leaderboard. How many models took part in a stage is how many are among them with that stage.
        dataset: one of `DATASETS`.
    """
    own = [row for row in average_runs(rows) if row.kind == "model" and same_data(DATASETS[dataset], row.dataset)]
    members = {row.stage: {other.name for other in own if other.stage == row.stage} for row in own}
    return [
        OwnResult(
            label=f"{row.label}, {row.dataset}",
            metrics={metric: value for metric, value in row.metrics.items() if value is not None},
            learner=row.name,
            stage=row.stage,
            learners=len(members[row.stage]),
        )
        for row in own
    ]


def own_comparison(folder: Path) -> list[OwnResult]:
    """Read what a transfer run of classifiers or segmenters scored.

    The columns are ``before`` and ``after`` (Bi-KD), and the gain of each stage under the stage's name.

    Args:
        folder: of the run: it holds ``comparison.json`` and ``config.json`` (below ``seed-N`` with several seeds).

    Raises:
        InputError: one of the two files is missing or damaged.
    """
    comparison = folder / f"{COMPARISON}.json"
    configs = [path for path in [folder / "config.json", *sorted(folder.glob("seed-*/config.json"))] if path.is_file()]
    if not comparison.is_file() or not configs:
        raise InputError(
            f"{folder} is no finished transfer run: {comparison.name} or config.json is missing; train the run first"
        )
    try:
        run = json.loads(configs[0].read_text(encoding="utf-8"))["name"]
        rows = json.loads(comparison.read_text(encoding="utf-8"))["rows"]
        return _own_results(run, rows)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{folder}: {comparison.name} or config.json is damaged ({error}); train the run again"
        ) from error


def _own_results(run: str, rows: list[dict[str, Any]]) -> list[OwnResult]:
    results = []
    for learner in dict.fromkeys(row["learner"] for row in rows):
        metrics: dict[str, float] = {}
        for row in rows:
            if row["learner"] == learner and row["stage"] == "before":
                metrics["before"] = row["mean"]
            elif row["learner"] == learner:
                metrics[row["stage"]] = row["change"]
                if row["stage"] == BI_KD:
                    metrics["after"] = row["mean"]
        repeats = run.removesuffix("_columns")  # the same pair with the other methods of the table
        results.append(OwnResult(label=f"{run}: {learner}", metrics=metrics, learner=learner, run=repeats))
    return results


def beside(table: PublishedTable, own: Sequence[OwnResult]) -> dict[str, list[OwnResult]]:
    """Return the name of each row -> the own results that repeat it."""
    found = {row.name: [result for result in own if _repeats(result, row)] for row in table.rows}
    return {name: results for name, results in found.items() if results}


def _repeats(result: OwnResult, row: PublishedRow) -> bool:
    if not row.learner:
        return _plain(row.name) == _plain(result.learner) and result.stage in BEFORE and not result.run
    if _plain(row.learner) != _plain(result.learner):
        return False
    if row.run:
        return row.run == result.run
    if row.stage:
        return row.stage == result.stage and row.learners == result.learners
    return result.stage in BEFORE


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()


def published_text(tables: Sequence[PublishedTable], own: Sequence[OwnResult] = ()) -> str:
    """All tables as Markdown, each own result under the row it repeats, with its difference in brackets."""
    out: list[str] = []
    placed: set[str] = set()
    for table in tables:
        matches = beside(table, own)
        out += [f"## {table.dataset}: {table.title}", "", f"Published, not re-run. Source: {table.source}.", ""]
        out += ["| " + " | ".join(["model", *table.columns.values()]) + " |"]
        out += ["| --- |" + " ---: |" * len(table.columns)]
        for row in table.rows:
            name = f"{row.name} ({row.note})" if row.note else row.name
            out.append("| " + " | ".join([name, *(_published_cell(row, key) for key in table.columns)]) + " |")
            for result in matches.get(row.name, []):
                placed.add(result.label)
                cells = [_own_cell(result, row, key) for key in table.columns]
                out.append("| " + " | ".join([f"→ here: {markdown_text(result.label)}", *cells]) + " |")
        out.append("")
    if placed:
        out += [
            "→ here: an own result; in brackets its difference from the published number above it.",
            "",
        ]
    if left := [markdown_text(result.label) for result in own if result.label not in placed]:
        out += [f"No published row for: {', '.join(left)}.", ""]
    return "\n".join(out)


def _published_cell(row: PublishedRow, key: str) -> str:
    if key not in row.metrics:
        return "–"
    spread = f" ± {row.deviation[key]:g}" if key in row.deviation else ""
    return f"{row.metrics[key]:g}{spread}"


def _own_cell(result: OwnResult, row: PublishedRow, key: str) -> str:
    if key not in result.metrics:
        return "–"
    value = result.metrics[key]
    difference = f" ({value - row.metrics[key]:+.3f})" if key in row.metrics else ""
    return f"{value:.3f}{difference}"
