"""Leaderboard tables as one HTML page that needs nothing else: sortable columns, light and dark."""

from collections.abc import Sequence
from html import escape

from saliency.report.formats import (
    GAIN_LEGEND,
    PUBLISHED_HEADING,
    PUBLISHED_LEGEND,
    heading,
    legend,
    number,
    row_label,
    significant,
)
from saliency.report.tables import Cell, Gain, Line, Table

STYLE = """
:root { color-scheme: light dark; --line: #d4d8de; --soft: #f4f6f8; --text: #1b1f24; --quiet: #5d6673;
  --best: #0b6e4f; --page: #fff; }
@media (prefers-color-scheme: dark) { :root { --line: #343b45; --soft: #1d2229; --text: #e4e8ee; --quiet: #98a2b0;
  --best: #4cc79c; --page: #14181d; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; padding: 0 1rem; max-width: 78rem;
  color: var(--text); background: var(--page); }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.25rem; margin: 2.2rem 0 .2rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; } p { color: var(--quiet); margin: .3rem 0 .8rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .8rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
td.source { white-space: normal; min-width: 18rem; color: var(--quiet); font-size: .85rem; }
thead th { background: var(--soft); cursor: pointer; user-select: none; }
thead th[aria-sort=ascending]::after { content: " ▲"; font-size: .7em; }
thead th[aria-sort=descending]::after { content: " ▼"; font-size: .7em; }
tbody tr:hover { background: var(--soft); }
.best { font-weight: 700; color: var(--best); } .second { text-decoration: underline; }
.interval { display: block; color: var(--quiet); font-size: .75rem; font-weight: 400; }
.kind { color: var(--quiet); font-size: .8rem; }
"""

SCRIPT = """
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => {
    head.tabIndex = 0;
    const sort = () => {
      const first = head.dataset.first || "ascending", now = head.getAttribute("aria-sort");
      const order = now === null ? first : now === "ascending" ? "descending" : "ascending";
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const key = row => row.cells[column].dataset.value;
      [...body.rows].sort((a, b) => {
        const x = key(a), y = key(b);
        if (x === "" || y === "") return (x === "") - (y === "");
        const difference = head.dataset.text ? x.localeCompare(y) : Number(x) - Number(y);
        return sign * difference;
      }).forEach(row => body.append(row));
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", event => { if (event.key === "Enter") sort(); });
  });
}
"""


def html(tables: Sequence[Table], title: str) -> str:
    """All tables as a page without links to anything outside it."""
    parts = [_section(table) for table in tables]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n"
        "<p>Click a heading to sort.</p>\n" + "".join(parts) + f"<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _section(table: Table) -> str:
    out = [f"<h2>{escape(table.dataset)}</h2>\n"]
    if table.lines:
        out.append(f"<p>{escape(table.note)}.</p>\n")
        out.append(_table(_heads(table, ["model"]), [_line(line) for line in table.lines]))
        out.append(f"<p>{escape(legend(table))}</p>\n")
    if table.gains:
        out.append("<h3>Gain of each stage</h3>\n")
        out.append(_table(_heads(table, ["model", "stages"]), [_gain(gain) for gain in table.gains]))
        out.append(f"<p>{escape(GAIN_LEGEND)}.</p>\n")
    if table.reproduce:
        out.append(f"<p>Reproduce: <code>{escape(table.reproduce)}</code></p>\n")
    if table.published:
        out.append(f"<h3>{PUBLISHED_HEADING}</h3>\n<p>{PUBLISHED_LEGEND}.</p>\n")
        rows = [
            _text(line.row.label)
            + "".join(_cell(cell) for cell in line.cells.values())
            + f'<td class="text source" data-value="{escape(line.row.source)}">{escape(line.row.source)}</td>'
            for line in table.published
        ]
        out.append(_table(_heads(table, ["model"]) + _head("source", text=True), rows))
    return "".join(out)


def _table(heads: str, rows: Sequence[str]) -> str:
    body = "".join(f"<tr>{row}</tr>\n" for row in rows)
    return f'<div class="scroll"><table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n'


def _heads(table: Table, names: Sequence[str]) -> str:
    columns = [_head(name, text=True) for name in names]
    columns += [
        _head(heading(metric), first="descending" if "↑" in heading(metric) else "ascending")
        for metric in table.metrics
    ]
    return "".join(columns)


def _head(name: str, *, text: bool = False, first: str = "ascending") -> str:
    kind = ' class="text" data-text="1"' if text else ""
    return f'<th scope="col"{kind} data-first="{first}">{escape(name)}</th>'


def _line(line: Line) -> str:
    return _text(row_label(line.row)) + "".join(_cell(cell) for cell in line.cells.values())


def _gain(gain: Gain) -> str:
    cells = "".join(_cell(cell, signed=True) for cell in gain.cells.values())
    return _text(gain.name) + _text(f"{gain.earlier} → {gain.later}") + cells


def _text(value: str) -> str:
    return f'<td class="text" data-value="{escape(value)}">{escape(value)}</td>'


def _cell(cell: Cell, *, signed: bool = False) -> str:
    text = number(cell.value, signed=signed)
    if cell.value is None:
        return f'<td data-value="">{text}</td>'
    if cell.spread is not None:
        text += f" ± {cell.spread:.3f}"
    style = {1: "best", 2: "second"}.get(cell.rank, "")
    text = f'<span class="{style}">{text}</span>' if style else text
    hint = "" if cell.p is None else f' title="p = {cell.p:.3g}"'
    if significant(cell):
        text += "*"
    if cell.interval is not None:
        low, high = number(cell.interval.low, signed=signed), number(cell.interval.high, signed=signed)
        text += f'<span class="interval">{low} … {high}</span>'
    return f'<td data-value="{cell.value!r}"{hint}>{text}</td>'
