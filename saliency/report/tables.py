"""From evaluation results to tables with intervals, paired tests and the gain of a transfer."""

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from saliency.errors import InputError, nearest
from saliency.evaluation.result import Result
from saliency.metrics.frame import METRICS, lower_is_better
from saliency.report.statistics import Interval, bootstrap_mean, holm, sign_flip_test

Kind = Literal["model", "baseline", "ceiling", "published"]

STAGES = ("scratch", "control", "bi_kd")
"""The stages of a transfer in their order: before, the same training without transfer, after transfer."""


@dataclass(frozen=True, slots=True)
class VideoMean:
    """One video's mean of a metric and the number of valid frames behind it."""

    mean: float
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderboardRow:
    """One line of a leaderboard.

    Attributes:
        name: the model or baseline, without its stage.
        dataset: data set and split; every data set becomes a table of its own.
        metrics: metric -> mean; None or absent where there is none.
        stage: ``"scratch"``, ``"control"``, ``"bi_kd"``, ... or empty.
        kind: only a ``"model"`` counts as best: chance and priors (``"baseline"``), what is scored on a ground truth of
            its own (``"ceiling"``) and ``"published"`` rows are not ranked.
        protocol: name of the protocol behind the numbers.
        settings: what the protocol of that name was, and what information gains compare with; rows that differ here
            are never compared. Empty: not known.
        scored: fingerprint of the frames that were scored. Empty: not known.
        truth: fingerprint of their ground truth. Empty: not known.
        averaging: what the means are taken over: frames or the videos' means.
        videos: metric -> video id -> mean; needed for intervals and tests.
        frames: frames scored.
        runs: training runs (seeds) averaged in this row.
        spread: metric -> standard deviation (n - 1) over the runs.
        source: where a published number was read.
    """

    name: str
    dataset: str
    metrics: Mapping[str, float | None]
    stage: str = ""
    kind: Kind = "model"
    protocol: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    scored: str = ""
    truth: str = ""
    averaging: Literal["frame", "video"] = "frame"
    videos: Mapping[str, Mapping[str, VideoMean]] = field(default_factory=dict)
    frames: int = 0
    runs: int = 1
    spread: Mapping[str, float] = field(default_factory=dict)
    source: str = ""

    @property
    def label(self) -> str:
        """Name and stage, as a table shows them."""
        return f"{self.name} · {self.stage}" if self.stage else self.name

    @classmethod
    def from_result(
        cls, result: Result, *, name: str | None = None, stage: str = "", kind: Kind | None = None
    ) -> "LeaderboardRow":
        """Make the row of an evaluation.

        Args:
            result: the evaluation.
            name: overrides the predictor's name.
            stage: of the model's training.
            kind: default ``"ceiling"`` for predictors judged on a ground truth of their own, else ``"model"``.
        """
        videos = {}
        names = np.array([row.video for row in result.rows])
        for metric in result.protocol.metrics:
            values = result.values(metric)
            videos[metric] = {}
            for video in dict.fromkeys(names.tolist()):
                own = values[names == video]
                own = own[~np.isnan(own)]
                if len(own):
                    videos[metric][video] = VideoMean(float(own.mean()), len(own))
        return cls(
            name=name or result.name,
            dataset=result.dataset,
            metrics=result.means(),
            stage=stage,
            kind=kind or ("ceiling" if result.metadata.get("own_truth") else "model"),
            protocol=result.protocol.name,
            settings={**dataclasses.asdict(result.protocol), "baseline": result.metadata.get("baseline")},
            scored=result.frames_hash(),
            truth=result.data_hash(),
            averaging=result.protocol.averaging,
            videos=videos,
            frames=len(result.rows),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One number of a table with what is known about it.

    Attributes:
        value: the mean, None where there is none.
        interval: 95 % bootstrap interval over videos.
        spread: standard deviation over training runs.
        p: p value of the paired test against the baseline row, Holm-adjusted over the rows of the table.
        rank: 1 for the best contender, 2 for the second, else 0.
    """

    value: float | None
    interval: Interval | None = None
    spread: float | None = None
    p: float | None = None
    rank: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row and its cells by metric."""

    row: LeaderboardRow
    cells: Mapping[str, Cell]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """A difference between two stages of one model: the later minus the earlier."""

    name: str
    earlier: str
    later: str
    cells: Mapping[str, Cell]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The leaderboard of one data set.

    Attributes:
        dataset: its name.
        metrics: the columns.
        lines: everything scored here.
        gains: differences between stages, per model.
        published: rows that were read, not run.
        baseline: label of the row that the paired tests compare with, or empty.
        note: how the numbers were made, one line.
        reproduce: the command that makes this table; empty if there is none.
    """

    dataset: str
    metrics: Sequence[str]
    lines: Sequence[Line]
    gains: Sequence[Gain]
    published: Sequence[Line]
    baseline: str
    note: str
    reproduce: str = ""


def average_runs(rows: Sequence[LeaderboardRow]) -> list[LeaderboardRow]:
    """Merge rows that differ only in the training run (seed): same data set, name, stage, protocol and frames.

    The merged row holds the mean over the runs, per video too, and the standard deviation over the runs. Rows with
    the very same scores are one run that was given twice and count once; published rows are no runs and stay.
    """
    groups: dict[tuple[str, ...], list[LeaderboardRow]] = {}
    for position, row in enumerate(rows):
        settings = json.dumps(row.settings, sort_keys=True, default=str)
        key = (row.dataset, row.name, row.stage, row.kind, row.source, row.protocol, settings, row.scored, row.truth)
        if row.kind == "published":
            key = (*key, str(position))
        group = groups.setdefault(key, [])
        if not any(row.metrics == other.metrics and row.videos == other.videos for other in group):
            group.append(row)
    return [_merge(group) if len(group) > 1 else group[0] for group in groups.values()]


def build_tables(
    rows: Sequence[LeaderboardRow],
    *,
    baseline: str | None = None,
    stages: Sequence[str] = STAGES,
    samples: int = 2000,
    seed: int = 0,
) -> list[Table]:
    """Make one table per data set, in the order in which the data sets first appear.

    Published rows stand in the table of the same data set, whatever its split: papers rarely say theirs.

    Args:
        rows: all lines; rows of several runs are averaged.
        baseline: label or name of the row that the paired tests compare with; None makes no tests in the main
            table.
        stages: order of the stages for the gains: each pair of neighbours, and the last against the first.
        samples: bootstrap resamples.
        seed: of the resampling.

    Raises:
        InputError: no rows, no such baseline, or rows of one data set that cannot be compared: made under different
            protocols, on different frames, or scored on different ground truth.
    """
    if not rows:
        raise InputError("no rows for a leaderboard; give at least one result")
    rows = average_runs(rows)
    known = [name for row in rows for name in dict.fromkeys((row.label, row.name))]
    if baseline is not None and baseline not in known:
        raise InputError(f"no row '{baseline}' to compare with{nearest(baseline, known)}; rows: {', '.join(known)}")
    tables = []
    for dataset in dict.fromkeys(row.dataset for row in rows if row.kind != "published") or [rows[0].dataset]:
        own = [row for row in rows if row.dataset == dataset and row.kind != "published"]
        published = [row for row in rows if row.kind == "published" and same_data(row.dataset, dataset)]
        tables.append(_table(dataset, own, published, baseline, stages, samples, seed))
    placed = {line.row.dataset for table in tables for line in [*table.lines, *table.published]}
    for dataset in dict.fromkeys(row.dataset for row in rows if row.dataset not in placed):
        tables.append(_table(dataset, [], [r for r in rows if r.dataset == dataset], None, stages, samples, seed))
    return tables


def same_data(published: str, scored: str) -> bool:
    """Whether papers' name of a data set, such as UCF Sports, means one scored here, such as "ucf_sports test"."""

    def plain(name: str) -> str:
        return "".join(filter(str.isalnum, name)).lower()

    return plain(published) in (plain(scored), plain(scored.rpartition(" ")[0]))


def _merge(rows: Sequence[LeaderboardRow]) -> LeaderboardRow:
    first = rows[0]
    metrics: dict[str, float | None] = {}
    spread: dict[str, float] = {}
    for metric in first.metrics:
        values = [row.metrics.get(metric) for row in rows]
        found = [value for value in values if value is not None]
        complete = len(found) == len(rows)
        metrics[metric] = float(np.mean(found)) if complete else None
        if complete:
            spread[metric] = float(np.std(found, ddof=1))
    videos = {}
    for metric, own in first.videos.items():
        shared = [v for v in own if all(v in row.videos.get(metric, {}) for row in rows)]
        videos[metric] = {
            v: VideoMean(float(np.mean([row.videos[metric][v].mean for row in rows])), own[v].frames) for v in shared
        }
    return LeaderboardRow(
        name=first.name,
        dataset=first.dataset,
        metrics=metrics,
        stage=first.stage,
        kind=first.kind,
        protocol=first.protocol,
        settings=first.settings,
        scored=first.scored,
        truth=first.truth,
        averaging=first.averaging,
        videos=videos,
        frames=first.frames,
        runs=len(rows),
        spread=spread,
        source=first.source,
    )


def _check_comparable(dataset: str, rows: Sequence[LeaderboardRow]) -> None:
    """Refuse rows of one table that were not made alike.

    Rows that were judged on a ground truth of their own (ceilings) need the same frames only; what a row does not
    know of itself is not held against it.
    """
    made = sorted({row.protocol for row in rows})
    if len(made) > 1:
        raise InputError(
            f"the rows of {dataset} were made under different protocols ({', '.join(made)}) and cannot be compared; "
            "evaluate them under one"
        )
    told = [row for row in rows if row.settings]
    for row in told[1:]:
        first = told[0]
        differing = [
            key for key in {**first.settings, **row.settings} if first.settings.get(key) != row.settings.get(key)
        ]
        if differing:
            raise InputError(
                f"{dataset}: '{first.label}' and '{row.label}' were made under different protocols of the name "
                f"{row.protocol} (other {', '.join(differing)}) and cannot be compared; evaluate them under one"
            )
    _check_equal(dataset, rows, "scored", "on different frames ({first}, {other})")
    judged_alike = [row for row in rows if row.kind != "ceiling"]
    _check_equal(dataset, judged_alike, "truth", "on the same frames but different ground truth")


def _check_equal(dataset: str, rows: Sequence[LeaderboardRow], what: str, how: str) -> None:
    known = [row for row in rows if getattr(row, what)]
    for row in known[1:]:
        if getattr(row, what) != getattr(known[0], what):
            how = how.format(first=_extent(known[0]), other=_extent(row))
            raise InputError(
                f"{dataset}: '{known[0].label}' and '{row.label}' were scored {how} and cannot be compared; "
                "evaluate both on the same data, or make a leaderboard of each"
            )


def _extent(row: LeaderboardRow) -> str:
    videos = len({video for own in row.videos.values() for video in own})
    return f"{row.frames} of {videos} video{'' if videos == 1 else 's'}"


def _table(
    dataset: str,
    rows: Sequence[LeaderboardRow],
    published: Sequence[LeaderboardRow],
    baseline: str | None,
    stages: Sequence[str],
    samples: int,
    seed: int,
) -> Table:
    _check_comparable(dataset, rows)
    everything = {metric for row in [*rows, *published] for metric in row.metrics}
    metrics = [metric for metric in METRICS if metric in everything]
    metrics += sorted(everything - set(metrics))
    against = next((row for row in rows if baseline in (row.label, row.name)), None)
    cells = {metric: _column(metric, rows, against, samples, seed) for metric in metrics}
    lines = [Line(row=row, cells={m: cells[m][i] for m in metrics}) for i, row in enumerate(rows)]
    read = [Line(row=row, cells={m: Cell(value=row.metrics.get(m)) for m in metrics}) for row in published]
    gains = _gains(rows, metrics, stages, samples, seed)
    return Table(
        dataset=dataset,
        metrics=metrics,
        lines=lines,
        gains=gains,
        published=read,
        baseline=against.label if against else "",
        note=_note(rows),
    )


def _column(
    metric: str, rows: Sequence[LeaderboardRow], against: LeaderboardRow | None, samples: int, seed: int
) -> list[Cell]:
    """The cells of one metric for all rows."""
    contenders = [row.metrics.get(metric) for row in rows if row.kind == "model"]
    values = sorted({v for v in contenders if v is not None}, reverse=not lower_is_better(metric))
    tests: list[float | None] = []
    for row in rows:
        compare = against is not None and row is not against and row.kind in ("model", "baseline")
        tests.append(sign_flip_test(_differences(row, against, metric)[0], seed=seed) if compare and against else None)
    cells = []
    for row, p in zip(rows, holm(tests), strict=True):
        value = row.metrics.get(metric)
        contends = row.kind == "model" and value is not None and len(contenders) > 1
        own = row.videos.get(metric, {})
        means = np.array([video.mean for video in own.values()])
        cells.append(
            Cell(
                value=value,
                interval=bootstrap_mean(means, _weights(row, metric, list(own)), samples=samples, seed=seed),
                spread=row.spread.get(metric),
                p=p,
                rank=values.index(value) + 1 if contends and value in values[:2] else 0,
            )
        )
    return cells


def _gains(
    rows: Sequence[LeaderboardRow], metrics: Sequence[str], stages: Sequence[str], samples: int, seed: int
) -> list[Gain]:
    gains = []
    for name in dict.fromkeys(row.name for row in rows):
        found = {row.stage: row for row in rows if row.name == name and row.stage in stages}
        order = [stage for stage in stages if stage in found]
        pairs = list(itertools.pairwise(order))
        if len(order) > 2:
            pairs.insert(1, (order[0], order[-1]))
        for earlier, later in pairs:
            cells = {m: _difference(found[later], found[earlier], m, samples, seed) for m in metrics}
            gains.append(Gain(name=name, earlier=earlier, later=later, cells=cells))
    return gains


def _difference(later: LeaderboardRow, earlier: LeaderboardRow, metric: str, samples: int, seed: int) -> Cell:
    a, b = later.metrics.get(metric), earlier.metrics.get(metric)
    if a is None or b is None:
        return Cell(value=None)
    differences, weights = _differences(later, earlier, metric)
    return Cell(
        value=a - b,
        interval=bootstrap_mean(differences, weights, samples=samples, seed=seed),
        p=sign_flip_test(differences, seed=seed),
    )


def _differences(row: LeaderboardRow, against: LeaderboardRow, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """(V,) differences of the videos' means and (V,) weights, over the videos both rows have."""
    a, b = row.videos.get(metric, {}), against.videos.get(metric, {})
    shared = [video for video in a if video in b]
    differences = np.array([a[video].mean - b[video].mean for video in shared])
    return differences, _weights(row, metric, shared)


def _weights(row: LeaderboardRow, metric: str, videos: Sequence[str]) -> np.ndarray:
    if row.averaging == "video":
        return np.ones(len(videos))
    return np.array([float(row.videos[metric][video].frames) for video in videos])


def _note(rows: Sequence[LeaderboardRow]) -> str:
    if not rows:
        return ""
    row = rows[0]
    videos = max((len(own) for r in rows for own in r.videos.values()), default=0)
    over = "all frames" if row.averaging == "frame" else "the videos' means"
    counted = "1 video" if videos == 1 else f"{videos} videos"
    return f"protocol {row.protocol or 'not named'}, {counted}, {row.frames} frames, mean over {over}"
