"""Leaderboard tables as text: Markdown, CSV, JSON and LaTeX (booktabs)."""

import csv
import dataclasses
import io
import json
import re
from collections.abc import Mapping, Sequence

from saliency.metrics.frame import METRICS
from saliency.report.tables import Cell, Gain, LeaderboardRow, Line, Table

MISSING = "–"
PUBLISHED_HEADING = "Published, not re-run"
PUBLISHED_LEGEND = "As read in the source; split, protocol and metric code are those of the paper, so compare with care"
GAIN_LEGEND = (
    "Differences later minus earlier stage, with 95 % bootstrap interval over videos; * paired sign-flip test over "
    "videos p < 0.05 (not adjusted)"
)


def heading(metric: str) -> str:
    """A metric's name and direction, e.g. ``"CC ↑"``."""
    return f"{METRICS[metric].title} {'↑' if METRICS[metric].higher_is_better else '↓'}"


def number(value: float | None, *, signed: bool = False) -> str:
    """A table's number, three digits; ``–`` where there is none (never 0)."""
    if value is None:
        return MISSING
    value = round(value, 3) + 0.0  # + 0.0 turns -0.0 into 0.0
    return f"{value:+.3f}" if signed else f"{value:.3f}"


def legend(table: Table) -> str:
    """What the marks of the main table mean, one sentence each."""
    cells = [cell for line in table.lines for cell in line.cells.values()]
    told = []
    if any(cell.rank for cell in cells):
        told.append("Best model in bold, second best underlined; chance and priors are not ranked.")
    if any(cell.interval for cell in cells):
        told.append("Ranges: 95 % bootstrap interval over videos.")
    if any(cell.spread is not None for cell in cells):
        told.append("±: standard deviation over training runs; where no number of runs is named, there was one.")
    if any(cell.p is not None for cell in cells):
        told.append(
            f"*: differs from '{table.baseline}', paired sign-flip test over videos, p < 0.05 after Holm's adjustment "
            "for the rows."
        )
    if any(line.row.kind == "ceiling" for line in table.lines):
        told.append("†: scored on a ground truth of its own, not ranked.")
    return " ".join(told)


def row_label(row: LeaderboardRow) -> str:
    """A row's name with what must be known about it."""
    runs = f" ({row.runs} runs)" if row.runs > 1 else ""
    return f"{row.label}{' †' if row.kind == 'ceiling' else ''}{runs}"


def significant(cell: Cell) -> bool:
    """Whether the cell's test says p < 0.05."""
    return cell.p is not None and cell.p < 0.05


def markdown_text(text: str) -> str:
    """Text for GitHub Markdown that shows as it is, on one line: no HTML, link, picture, emphasis or table cell."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*\[\]|~$#])", r"\\\1", text)
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\_", text)  # within a word it means nothing


def _code(text: str) -> str:
    """Text as code in Markdown, which may hold backquotes."""
    ticks = "`" * (1 + max((len(found) for found in re.findall("`+", text)), default=0))
    return f"{ticks} {text} {ticks}" if "`" in text else f"`{text}`"


def markdown(tables: Sequence[Table], title: str) -> str:
    """All tables as GitHub Markdown."""
    out = [f"# {markdown_text(title)}", ""]
    for table in tables:
        out += [f"## {markdown_text(table.dataset)}", ""]
        if table.lines:
            out += [f"{markdown_text(table.note)}.", ""]
            out += _markdown_rows(["model", *map(heading, table.metrics)], [_markdown_line(ln) for ln in table.lines])
            out += ["", legend(dataclasses.replace(table, baseline=markdown_text(table.baseline))), ""]
        if table.gains:
            out += ["### Gain of each stage", ""]
            out += _markdown_rows(
                ["model", "stages", *map(heading, table.metrics)], [_markdown_gain(g) for g in table.gains]
            )
            out += ["", f"{GAIN_LEGEND}.", ""]
        if table.reproduce:
            out += [f"Reproduce: {_code(table.reproduce)}", ""]
        if table.published:
            out += [f"### {PUBLISHED_HEADING}", "", f"{PUBLISHED_LEGEND}.", ""]
            lines = [
                [
                    markdown_text(ln.row.label),
                    *(number(ln.cells[m].value) for m in table.metrics),
                    markdown_text(ln.row.source),
                ]
                for ln in table.published
            ]
            out += [*_markdown_rows(["model", *map(heading, table.metrics), "source"], lines), ""]
    return "\n".join(out).rstrip() + "\n"


def csv_text(tables: Sequence[Table], title: str) -> str:
    """All rows of all tables, one line each; an empty cell where there is no number."""
    del title
    metrics = list(dict.fromkeys(metric for table in tables for metric in table.metrics))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    suffixes = ("", "_low", "_high", "_std", "_p")
    head = ["dataset", "kind", "name", "stage", "protocol", "frames", "runs", "source"]
    writer.writerow([*head, *(metric + suffix for metric in metrics for suffix in suffixes), "reproduce"])
    for table in tables:
        for line in [*table.lines, *table.published]:
            row = line.row
            cells = [line.cells.get(metric, Cell(value=None)) for metric in metrics]
            writer.writerow(
                [row.dataset, row.kind, row.name, row.stage, row.protocol, row.frames or "", row.runs, row.source]
                + [value for cell in cells for value in _csv_cell(cell)]
                + ["" if row.kind == "published" else table.reproduce]
            )
        for gain in table.gains:
            cells = [gain.cells.get(metric, Cell(value=None)) for metric in metrics]
            stage = f"{gain.later} - {gain.earlier}"
            writer.writerow(
                [table.dataset, "gain", gain.name, stage, "", "", "", ""]
                + [value for cell in cells for value in _csv_cell(cell)]
                + [table.reproduce]
            )
    return out.getvalue()


def json_text(tables: Sequence[Table], title: str) -> str:
    """Everything the tables know, per-video means included."""
    content = {
        "title": title,
        "tables": [
            {
                "dataset": table.dataset,
                "note": table.note,
                "legend": legend(table),
                "reproduce": table.reproduce,
                "baseline": table.baseline or None,
                "metrics": list(table.metrics),
                "lower_is_better": [m for m in table.metrics if not METRICS[m].higher_is_better],
                "rows": [_json_line(line) for line in table.lines],
                "gains": [
                    {"name": g.name, "earlier": g.earlier, "later": g.later, "metrics": _json_cells(g.cells)}
                    for g in table.gains
                ],
                "published": [_json_line(line) for line in table.published],
            }
            for table in tables
        ],
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def latex(tables: Sequence[Table], title: str) -> str:
    """All tables for a paper that loads `booktabs`, with intervals, marks, protocol and what they mean."""
    out = [f"% {' '.join(title.split())}. Needs \\usepackage{{booktabs}}.", ""]
    for table in tables:
        out += _latex_table(table)
    return "\n".join(out)


def _latex_table(table: Table) -> list[str]:
    caption = ": ".join(filter(None, [table.dataset, table.note]))
    heads = [
        rf"{_tex(METRICS[m].title)} $\{'up' if METRICS[m].higher_is_better else 'down'}arrow$" for m in table.metrics
    ]
    blocks = [[_latex_row(row_label(line.row), line.cells, table.metrics) for line in table.lines]]
    if table.gains:
        gains = [
            _latex_row(f"{gain.name}: {gain.earlier} → {gain.later}", gain.cells, table.metrics, signed=True)
            for gain in table.gains
        ]
        blocks.append([_latex_span("Gain of each stage", table), *gains])
    sources = list(dict.fromkeys(line.row.source for line in table.published))
    if table.published:
        read = [
            _latex_row(line.row.label, line.cells, table.metrics, mark=str(sources.index(line.row.source) + 1))
            for line in table.published
        ]
        blocks.append([_latex_span(PUBLISHED_HEADING, table), *read])
    notes = [legend(table) if table.lines else "", f"{GAIN_LEGEND}." if table.gains else ""]
    notes += [f"{PUBLISHED_HEADING}: {PUBLISHED_LEGEND}." if table.published else ""]
    told = [_tex(note) for note in notes if note]
    told += [f"$^{{{number}}}$ {_tex(source)}." for number, source in enumerate(sources, 1)]
    told += [rf"Reproduce: \texttt{{{_tex(table.reproduce)}}}"] if table.reproduce else []
    return [
        r"\begin{table*}[t]",
        r"\centering",
        r"\small",
        rf"\caption{{{_tex(caption)}.}}",
        rf"\begin{{tabular}}{{l{'c' * len(table.metrics)}}}",
        r"\toprule",
        " & ".join(["Model", *heads]) + r" \\",
        *(line for block in blocks if block for line in [r"\midrule", *block]),
        r"\bottomrule",
        r"\end{tabular}",
        r"\par\smallskip",
        rf"\parbox{{\linewidth}}{{\footnotesize {' '.join(told)}}}",
        r"\end{table*}",
        "",
    ]


def _markdown_rows(head: list[str], lines: list[list[str]]) -> list[str]:
    rule = ["---:" if cell[-1] in "↑↓" else "---" for cell in head]
    return ["| " + " | ".join(cells) + " |" for cells in [head, rule, *lines]]


def _markdown_line(line: Line) -> list[str]:
    return [markdown_text(row_label(line.row)), *(_markdown_cell(cell) for cell in line.cells.values())]


def _markdown_cell(cell: Cell) -> str:
    text = number(cell.value)
    if cell.value is None:
        return text
    if cell.spread is not None:
        text += f" ± {cell.spread:.3f}"
    text = {1: f"**{text}**", 2: f"<u>{text}</u>"}.get(cell.rank, text)
    if significant(cell):
        text += r"\*"
    if cell.interval is not None:
        text += f" [{cell.interval.low:.3f}, {cell.interval.high:.3f}]"
    return text


def _markdown_gain(gain: Gain) -> list[str]:
    cells = []
    for cell in gain.cells.values():
        text = number(cell.value, signed=True)
        if cell.value is not None:
            text += r"\*" if significant(cell) else ""
            text += f" [{cell.interval.low:+.3f}, {cell.interval.high:+.3f}]" if cell.interval else ""
        cells.append(text)
    return [markdown_text(gain.name), markdown_text(f"{gain.earlier} → {gain.later}"), *cells]


def _csv_cell(cell: Cell) -> list[object]:
    interval = cell.interval
    values = [cell.value, interval and interval.low, interval and interval.high, cell.spread, cell.p]
    return ["" if value is None else repr(float(value)) for value in values]


def _json_line(line: Line) -> dict[str, object]:
    row = dataclasses.asdict(line.row)
    row["metrics"] = _json_cells(line.cells)
    del row["spread"]
    return row


def _json_cells(cells: Mapping[str, Cell]) -> dict[str, object]:
    return {metric: dataclasses.asdict(cell) for metric, cell in cells.items()}


def _latex_row(
    label: str, cells: Mapping[str, Cell], metrics: Sequence[str], *, signed: bool = False, mark: str = ""
) -> str:
    name = _tex(label) + (f"$^{{{mark}}}$" if mark else "")
    return " & ".join([name, *(_latex_cell(cells.get(m, Cell(value=None)), signed=signed) for m in metrics)]) + r" \\"


def _latex_span(text: str, table: Table) -> str:
    return rf"\multicolumn{{{len(table.metrics) + 1}}}{{l}}{{\emph{{{_tex(text)}}}}} \\"


def _latex_cell(cell: Cell, *, signed: bool = False) -> str:
    text = _latex_number(cell.value, signed=signed)
    if cell.value is None:
        return text
    if cell.spread is not None:
        text += rf" $\pm$ {cell.spread:.3f}"
    text = {1: rf"\textbf{{{text}}}", 2: rf"\underline{{{text}}}"}.get(cell.rank, text)
    text += "$^*$" if significant(cell) else ""
    if cell.interval is None:
        return text
    low, high = (_latex_number(end, signed=signed) for end in (cell.interval.low, cell.interval.high))
    return rf"\shortstack{{{text}\\{{\scriptsize [{low}, {high}]}}}}"


def _latex_number(value: float | None, *, signed: bool = False) -> str:
    if value is None:
        return "--"
    text = number(value, signed=signed)
    return f"${text}$" if text[0] in "+-" else text


_TEX = {"&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "\\": r"\textbackslash{}"}
_TEX |= {
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "·": r"$\cdot$",
    "→": r"$\rightarrow$",
    "–": "--",
    "†": r"$\dagger$",
    "±": r"$\pm$",
    "<": "$<$",
    ">": "$>$",
    "[": "{[}",  # behind a line's end it would begin an option
    "*": "{*}",
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in " ".join(text.split()))
