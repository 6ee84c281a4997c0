"""Exports of eye trackers as tables of text: encoding, separator and decimal sign are found out and said."""

import codecs
import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saliency.errors import InputError, nearest

SEPARATORS = {"\t": "tabs", ";": "semicolons", ",": "commas"}
EMPTY = {"", "-", ".", "na", "n/a", "nan", "null", "none", "#n/a"}
"""What exports write where there is no number."""

_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.IGNORECASE)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNIT = re.compile(r"\s*[\[(].*?[\])]\s*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of text.

    Attributes:
        path: where it was read.
        columns: their names, as they are written.
        rows: the cells, as many in each row as there are columns.
        lines: the line of the file of each row, 1-based.
        notes: what was found out about the file.
    """

    path: Path
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]
    notes: tuple[str, ...]

    def find(self, *names: str) -> str | None:
        """Return the first column of one of these names, whatever its case and the unit behind it; None without."""
        plain = {simple(column): column for column in reversed(self.columns)}
        exact = {column.strip().lower(): column for column in self.columns}
        for name in names:
            if found := exact.get(name.lower()) or plain.get(simple(name)):
                return found
        return None

    def need(self, *names: str) -> str:
        """Return the first column of one of these names.

        Raises:
            InputError: there is none.
        """
        if (found := self.find(*names)) is None:
            shown = ", ".join(self.columns[:12])
            hint = nearest(names[0], self.columns)
            raise InputError(f"{self.path}: has no column '{names[0]}'{hint}; it has {shown}; export it too")
        return found

    def words(self, column: str) -> list[str]:
        """Return the cells of a column."""
        at = self.columns.index(column)
        return [row[at].strip() for row in self.rows]

    def numbers(self, column: str) -> np.ndarray:
        """Return a column as float64 (n,), NaN where a cell is empty.

        Raises:
            InputError: a cell is neither empty nor a finite number.
        """
        values = np.full(len(self.rows), np.nan)
        for i, word in enumerate(self.words(column)):
            if word.lower() in EMPTY:
                continue
            try:
                values[i] = float(word.replace(",", ".") if _DECIMAL_COMMA.fullmatch(word) else word)
            except ValueError:
                values[i] = np.inf
            if not np.isfinite(values[i]):
                raise InputError(f"{self.path}: line {self.lines[i]}: '{word[:40]}' is no number in column '{column}'")
        return values


def simple(column: str) -> str:
    """Return a column's name without its unit, in small letters: ``Gaze point X [DACS px]`` -> ``gaze point x``."""
    return _UNIT.sub("", column).strip().lower()


def unit(column: str) -> str:
    """Return what stands in brackets behind a column's name; empty without."""
    found = re.search(r"[\[(](.*?)[\])]\s*$", column)
    return found[1].strip().lower() if found else ""


def read_text(path: Path) -> tuple[str, str]:
    """Return a file's text and its encoding.

    Raises:
        InputError: it cannot be read or is no text.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); look at its name") from error
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "")
    if not encoding and data[1:2] == b"\0":
        encoding = "utf-16-le"
    for name in [encoding] if encoding else ["utf-8", "cp1252"]:
        try:
            text = data.decode(name)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text, name
    raise InputError(f"{path}: is no text; export the recording as text (CSV, TSV or ASC)")


def read_table(path: Path) -> Table:
    """Read a table whose first line names its columns.

    Raises:
        InputError: it is no such table, or a row has another number of cells.
    """
    text, encoding = read_text(path)
    lines = text.splitlines()
    head = lines[0] if lines else ""
    separator = max(SEPARATORS, key=head.count)
    if not head.count(separator):
        raise InputError(
            f"{path}: its first line names no columns separated by tabs, semicolons or commas; export it so"
        )
    try:
        reader = csv.reader(lines, delimiter=separator)
        columns = tuple(name.strip() for name in next(reader))
        numbered = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise InputError(f"{path}: is no table ({error}); export it as CSV or TSV") from error
    while columns and not columns[-1]:  # a separator at the end of each line
        columns = columns[:-1]
    rows = []
    for line, row in numbered:
        if len(row) < len(columns) or any(cell.strip() for cell in row[len(columns) :]):
            raise InputError(f"{path}: line {line} has {len(row)} cells, the first has {len(columns)}; export it again")
        rows.append(row[: len(columns)])
    if not rows:
        raise InputError(f"{path}: holds no sample; record it again or remove the file")
    notes = [f"separated by {SEPARATORS[separator]}"]
    if encoding.startswith("utf-16"):
        notes.append("UTF-16")
    if separator != "," and any(_DECIMAL_COMMA.fullmatch(cell.strip()) for row in rows[:200] for cell in row):
        notes.append("decimal commas")
    return Table(path=path, columns=columns, rows=rows, lines=[line for line, _ in numbered], notes=tuple(notes))
