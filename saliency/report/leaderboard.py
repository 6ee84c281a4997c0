"""Write leaderboards: any rows in, Markdown, CSV, JSON, LaTeX and a self-contained HTML page out."""

from collections.abc import Sequence
from pathlib import Path

from saliency.errors import InputError, nearest
from saliency.io.atomic import write_atomic
from saliency.metrics.frame import METRICS
from saliency.report.formats import csv_text, json_text, latex, markdown
from saliency.report.published import published_tables
from saliency.report.table_page import html
from saliency.report.tables import LeaderboardRow, Table

FORMATS = {"md": markdown, "csv": csv_text, "json": json_text, "tex": latex, "html": html}
"""File suffix -> function (tables, title) -> text."""


STEM_LIMIT = 240
"""Bytes of the name of a file without its suffix: file systems take 255 for the whole."""


def write_leaderboard(
    tables: Sequence[Table],
    folder: str | Path,
    stem: str = "leaderboard",
    *,
    title: str = "Leaderboard",
    formats: Sequence[str] = tuple(FORMATS),
) -> dict[str, Path]:
    """Write the leaderboard in several formats and return format -> file.

    Args:
        tables: one a data set, see `saliency.report.tables.build_tables`.
        folder: where the files go; made if needed.
        stem: their name without suffix.
        title: heading.
        formats: which of md, csv, json, tex, html.

    Raises:
        InputError: an unknown format, or a stem that is no name of a file.
    """
    if stem != Path(stem).name or stem in ("", ".", "..") or "\0" in stem or len(stem.encode()) > STEM_LIMIT:
        raise InputError(f"'{stem}' is no name of a file; give a plain name as stem and the folder by itself")
    for name in formats:
        if name not in FORMATS:
            raise InputError(f"no leaderboard format '{name}'{nearest(name, FORMATS)}; known: {', '.join(FORMATS)}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for name in formats:
        written[name] = folder / f"{stem}.{name}"
        with write_atomic(written[name]) as file:
            file.write(FORMATS[name](tables, title))
    return written


def published_rows(dataset: str | None = None) -> list[LeaderboardRow]:
    """The numbers of papers on video saliency that ship with the package, with their sources; never re-run here.

    A number that a source lists twice, in two of its tables, is one row.

    Args:
        dataset: only those of this data set, e.g. ``"DHF1K"``.
    """
    rows = [
        LeaderboardRow(name=row.name, dataset=table.dataset, metrics=row.metrics, kind="published", source=table.source)
        for table in published_tables()
        if table.columns.keys() <= METRICS.keys() and dataset in (None, table.dataset)
        for row in table.rows
    ]
    return list({(row.dataset, row.name, *sorted(row.metrics.items())): row for row in reversed(rows)}.values())[::-1]
