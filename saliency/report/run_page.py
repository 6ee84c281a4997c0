"""What a run came to, for whoever opens its folder: ``curves.svg`` and ``run.html``, made of its log."""

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import saliency
from saliency.config.run import Run
from saliency.io.atomic import write_atomic
from saliency.io.serial import dumps
from saliency.metrics.frame import METRICS, lower_is_better
from saliency.report.plot import lines, stacked
from saliency.report.table_page import STYLE
from saliency.runtime.distributed import is_main
from saliency.training.logbook import EXAMPLES
from saliency.training.run_log import LOG, read_log

CURVES = "curves.svg"
PAGE = "run.html"

PANELS = {
    "loss/": ("training loss", "loss"),
    "val_loss/": ("validation loss", "loss"),
    "lr/": ("learning rate", "rate"),
    "grad_norm/": ("norm of the gradient", "norm"),
    "taught/": ("who taught", "share"),
}
"""Beginning of names in the log -> title and unit of their plot; validation metrics have plots of their own."""


@dataclass(frozen=True, slots=True)
class History:
    """A run's log, with steps counted on from stage to stage.

    Attributes:
        values: name -> (steps, values), finite ones only.
        begins: stage -> its first step.
        best: (stage, name of a validation score) -> its best value.
    """

    values: Mapping[str, tuple[list[float], list[float]]]
    begins: Mapping[str, float]
    best: Mapping[tuple[str, str], float]


def write_run_pages(run: Run, folder: Path, seeds: int = 1) -> list[Path]:
    """Write the curves and the page of a finished run, or of each of its seeds.

    Args:
        run: the run.
        folder: of the run.
        seeds: how many were trained.

    Returns:
        The pages; none in any but the first of several processes.
    """
    if not is_main():
        return []
    if seeds > 1:
        own = [folder / f"seed-{seed}" for seed in range(run.train.seed, run.train.seed + seeds)]
        return [page for each in own for page in write_run_pages(run, each)]
    history = read_history(folder / LOG)
    curves = stacked(plots(history))
    for name, text in {CURVES: curves, PAGE: page(run, folder, history, curves)}.items():
        with write_atomic(folder / name) as file:
            file.write(text)
    return [folder / PAGE]


def read_history(log: Path) -> History:
    """Read the log of a run.

    Raises:
        InputError: it is missing or damaged.
    """
    values: dict[str, tuple[list[float], list[float]]] = {}
    best: dict[tuple[str, str], float] = {}
    begins: dict[str, float] = {}
    end = 0.0
    for line in read_log(log):
        stage = line["stage"]
        begin = begins.setdefault(stage, end)
        end = max(end, begin + line["step"])
        for name, value in line.items():
            if not isinstance(value, float) or not math.isfinite(value):
                continue
            steps, found = values.setdefault(name, ([], []))
            steps.append(begin + line["step"])
            found.append(value)
            if line["kind"] == "val":
                low = name.startswith("val_loss/") or lower_is_better(_metric(name))
                best[stage, name] = (min if low else max)(value, best.get((stage, name), value))
    return History(values, begins, best)


def plots(history: History) -> list[str]:
    """Return a plot for each kind of value: a line for each learner, a mark where a stage begins."""
    kinds = dict(PANELS)
    for name in history.values:
        if name.startswith("val_") and not name.startswith("val_loss/"):
            title = METRICS[_metric(name)].title if _metric(name) in METRICS else _metric(name)
            kinds.setdefault(f"val_{_metric(name)}/", (f"validation {title}", title))
    drawn = []
    for prefix, (title, unit) in kinds.items():
        series = {name.removeprefix(prefix): own for name, own in history.values.items() if name.startswith(prefix)}
        if series:
            drawn.append(lines(series, title, "step", unit, marks=history.begins))
    return drawn


def page(run: Run, folder: Path, history: History, curves: str) -> str:
    """Return the page: best scores, examples, curves and settings; it needs no network and no other file."""
    examples = [
        f'<figure><img src="data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}" '
        f'alt="{escape(path.stem)}"><figcaption>{escape(path.stem)}</figcaption></figure>\n'
        for path in sorted((folder / EXAMPLES).glob("*.png"))
    ]
    parts = ["<h2>Best validation scores</h2>\n", _scores(history)]
    if examples:
        parts += ["<h2>Examples</h2>\n<p>A validation sample: picture, ground truth, prediction.</p>\n", *examples]
    parts += ["<h2>Curves</h2>\n", f'<div class="scroll">{curves}</div>\n']
    parts += ["<h2>Settings</h2>\n<details><summary>the whole config</summary>\n"]
    parts += [f"<pre>{escape(dumps(run))}</pre>\n</details>\n"]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(run.name)}</title>\n<style>{STYLE} img {{ max-width: 100%; }} figure {{ margin: 1rem 0; }} "
        "pre { overflow-x: auto; }</style>\n</head>\n"
        f"<body>\n<h1>{escape(run.name)}</h1>\n<p>seed {run.train.seed}, video-saliency {saliency.__version__}</p>\n"
        + "".join(parts)
        + "</body>\n</html>\n"
    )


def _scores(history: History) -> str:
    """A table with a row for each learner in each stage."""
    metrics = list(dict.fromkeys(_metric(name) for _, name in history.best))
    rows = []
    for stage, learner in dict.fromkeys((stage, name.partition("/")[2]) for stage, name in history.best):
        values = [history.best.get((stage, f"val_{metric}/{learner}")) for metric in metrics]
        rows.append([stage, learner, *("–" if value is None else f"{value:.4f}" for value in values)])
    return _table(["stage", "learner", *metrics], rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n'


def _metric(name: str) -> str:
    """``val_cc/learner`` -> ``cc``."""
    return name.partition("/")[0].removeprefix("val_")
