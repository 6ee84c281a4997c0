"""An analysis as Markdown, JSON and plots."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saliency.analysis.cases import Cases
from saliency.analysis.recovery import Recovery
from saliency.analysis.teacher_share import TeacherShare
from saliency.analysis.transfer import Analysis, StageAnalysis
from saliency.io.atomic import write_atomic
from saliency.report.formats import markdown_text
from saliency.report.plot import bars


def write(analysis: Analysis, shares: Sequence[TeacherShare], folder: Path) -> list[Path]:
    """Write ``analysis.md``, ``analysis.json`` and the plots; return what was written.

    Args:
        analysis: the analyses of the stages.
        shares: who taught during the training.
        folder: made when it does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "analysis.json": json.dumps(_plain(analysis), indent=2),
        "analysis.md": markdown(analysis, shares),
        **{f"taught_{share.stage}.svg": share.plot() for share in shares},
    }
    if any(stage.similarity for stage in analysis.stages):
        files["cca.svg"] = cca_plot(analysis)
    for name, text in files.items():
        with write_atomic(folder / name) as file:
            file.write(text)
    return [folder / name for name in files]


def cca_plot(analysis: Analysis) -> str:
    """Return the similarity of each pair of models by stage, beside what chance gives, as SVG."""
    groups: dict[str, dict[str, float]] = {}
    for stage in analysis.stages:
        for pair, found in stage.similarity.items():
            groups.setdefault(pair, {})[stage.stage] = found.score
    for pair, found in analysis.stages[0].similarity.items():
        groups[pair]["chance"] = found.chance  # much the same in every stage
    return bars(groups, f"{analysis.run}: mean canonical correlation of the features", "CCA")


def markdown(analysis: Analysis, shares: Sequence[TeacherShare]) -> str:
    """Return the whole analysis as text."""
    parts = [
        f"# {markdown_text(analysis.run)}: what the transfer did",
        f"{analysis.samples} validation samples, best weights of each stage. `{analysis.before}` is before the "
        "transfer; a stage without transfer is a control, and what it changes too is no effect of the transfer.",
        *_scores(analysis),
        *_recovered(analysis),
        *_changed(analysis),
        *_taught(analysis, shares),
        *_cases(analysis),
        *_similarity(analysis),
    ]
    return "\n\n".join(parts) + "\n"


def _scores(analysis: Analysis) -> list[str]:
    metrics = list(analysis.ensemble)
    rows = [
        [stage.stage, name, *(f"{own[m]:.4f}" for m in metrics)]
        for stage in analysis.stages
        for name, own in stage.scores.items()
    ]
    rows.append([analysis.before, "ensemble", *(f"{analysis.ensemble[m]:.4f}" for m in metrics)])
    parts = ["## Scores", _table(["stage", "model", *metrics], rows)]
    if analysis.intervals:
        text = ", ".join(f"{n} {100 * i.low:.2f} to {100 * i.high:.2f}" for n, i in analysis.intervals.items())
        parts.append(f"95 % Wilson intervals of top-1 before, in percent: {text}.")
    return parts


def _recovered(analysis: Analysis) -> list[str]:
    metrics = list(analysis.ensemble)
    rows = [
        [stage.stage, name, *(_percent(own[m]) for m in metrics)]
        for stage in analysis.stages
        for name, own in stage.recovered.items()
    ]
    if not rows:
        return []
    return [
        "## Recovered share of the ensemble",
        "100 (after - before) / (ensemble - before), the ensemble being that of the models before. May exceed 100; "
        "`!` marks an ensemble that is worse than the model, where the sign means the opposite.",
        _table(["stage", "model", *metrics], rows),
    ]


def _percent(found: Recovery) -> str:
    if found.percent is None:
        return "undefined"
    return f"{found.percent:.1f}{' !' if found.ensemble_is_worse else ''}"


def _changed(analysis: Analysis) -> list[str]:
    rows = [
        [stage.stage, name, str(found.gained), str(found.lost), f"{found.p:.2g}"]
        for stage in analysis.stages
        for name, found in stage.changed.items()
    ]
    if not rows:
        return []
    return [
        "## Samples whose top-1 changed",
        "p: exact McNemar test of one run against its own start; it says nothing about other seeds.",
        _table(["stage", "model", "gained", "lost", "p"], rows),
    ]


def _taught(analysis: Analysis, shares: Sequence[TeacherShare]) -> list[str]:
    names = list(analysis.stages[0].taught)
    rows = [[stage.stage, *(f"{100 * stage.taught[n]:.1f}" for n in names)] for stage in analysis.stages]
    parts = [
        "## Who would teach",
        "Share of the validation samples on which each model is the best one, in percent.",
        _table(["stage", *names], rows),
    ]
    if shares:
        rows = [
            [share.stage, name, f"{100 * own[0]:.1f}", f"{100 * own[-1]:.1f}"]
            for share in shares
            for name, own in share.shares.items()
            if any(own)
        ]
        parts += [
            "Share of the training samples each model did teach, in percent, at the first and the last log line "
            "(every line is in `taught_STAGE.svg` and in TensorBoard):",
            _table(["stage", "model", "first", "last"], rows),
        ]
    return parts


def _cases(analysis: Analysis) -> list[str]:
    rows = [
        [stage.stage, pair, *_case_cells(found)] for stage in analysis.stages for pair, found in stage.cases.items()
    ]
    if not rows:
        return []
    return [
        "## Teacher and student",
        "Percent of the samples the teacher teaches. The paper's case 2 is 'exactly one': it has no case 4.",
        _table(
            ["stage", "teacher -> student", "1 both", "2 teacher", "3 neither", "4 student", "exactly one", "samples"],
            rows,
        ),
    ]


def _case_cells(found: Cases) -> list[str]:
    shares = (found.both, found.teacher_only, found.neither, found.student_only, found.exactly_one)
    return [*(f"{share:.2f}" for share in shares), str(found.samples)]


def _similarity(analysis: Analysis) -> list[str]:
    rows = [
        [stage.stage, pair, *_similarity_cells(stage, pair)] for stage in analysis.stages for pair in stage.similarity
    ]
    if not rows:
        return []
    return [
        "## Similarity of the features",
        "Mean of the k largest canonical correlations ± its bootstrap deviation over samples. `chance`: the same with "
        "the rows of one side shuffled; finite samples alone give that much.",
        _table(["stage", "models", "CCA", "chance", "k", "dimensions", "samples"], rows),
    ]


def _similarity_cells(stage: StageAnalysis, pair: str) -> list[str]:
    found = stage.similarity[pair]
    dimensions = " / ".join(map(str, found.dimensions))
    score = f"{found.score:.4f} ± {found.deviation:.4f}"
    return [score, f"{found.chance:.4f}", str(found.k), dimensions, str(found.samples)]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [map(markdown_text, head), ["---"] * len(head), *(map(markdown_text, row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(value: Any) -> Any:
    """Dataclasses as dicts, all the way down."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
