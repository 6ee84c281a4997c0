"""What a folder of outputs belongs to: which source has which name there, and what is done.

A hidden file of one JSON object a line, to which processes append in turns. Each claims the names of its sources
before it writes, so that two sources of one name never meet; and notes what is complete, so that a later call can
leave it out.
"""

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from saliency.errors import InputError
from saliency.io.locks import lock
from saliency.io.partial import fitting

log = logging.getLogger(__name__)

FILE = ".saliency-infer.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A source and the name of what is written of it.

    Attributes:
        source: a file or folder.
        name: its outputs are called ``NAME_saliency.mp4`` and the like.
    """

    source: Path
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was written of a source.

    Attributes:
        name: as of `Job`.
        source: absolute path.
        stamp: tells whether the source was changed since.
        settings: tells with what settings it was made.
        frames: how many.
        files: absolute paths of what was written.
        measured: numbers that were asked for.
    """

    name: str
    source: str
    stamp: str
    settings: str
    frames: int
    files: tuple[str, ...] = ()
    measured: Mapping[str, float | None] = field(default_factory=dict)


class Journal:
    """The notes of one folder."""

    def __init__(self, folder: Path) -> None:
        """Open the notes, which are made when the first line is written.

        Args:
            folder: of the outputs; made if missing.
        """
        self._folder, self._path = folder, folder / FILE

    def claim(self, sources: Sequence[Path]) -> list[Job]:
        """Give each source a name of its own: that of its file or folder, with a number behind it where it is taken.

        Raises:
            InputError: nothing can be written here.
        """
        with self._open() as file:
            owners = {str(line["name"]): str(line["source"]) for line in _lines(file) if "claim" in line}
            names = {source: name for name, source in owners.items()}
            taken = {name.casefold() for name in owners}  # Clip.mp4 and clip.mp4 are one on some disks
            jobs = []
            for source in sources:
                place = identity(source)
                if place not in names:
                    names[place] = _free(_name(source), taken)
                    taken.add(names[place].casefold())
                    _append(file, {"claim": 1, "name": names[place], "source": place})
                jobs.append(Job(source=source, name=names[place]))
            return jobs

    def begin(self, sources: Sequence[Path]) -> None:
        """Note that sources are done once more: what was noted of them counts no longer, however far this gets.

        Raises:
            InputError: nothing can be written here.
        """
        with self._open() as file:
            noted = {each.source for each in _done(_lines(file))}
            for source in sources:
                if identity(source) in noted:
                    _append(file, {"again": identity(source)})

    def note(self, done: Done) -> None:
        """Note that a source is done.

        Raises:
            InputError: nothing can be written here.
        """
        with self._open() as file:
            _append(file, {"done": asdict(done)})

    def done(self, settings: str) -> dict[str, Done]:
        """Return what is complete, was made with these settings and is still there: source -> what was written.

        Sources that were changed since are left out.
        """
        if not self._path.is_file():
            return {}
        with self._open() as file:
            found = {each.source: each for each in _done(_lines(file))}
        return {
            source: each
            for source, each in found.items()
            if each.settings == settings
            and each.stamp == stamp(Path(source))
            and all(Path(file).exists() for file in each.files)
        }

    @contextmanager
    def _open(self) -> Iterator[TextIO]:
        """The file, locked: to be read from its beginning and written to at its end."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._path.open("a+", encoding="utf-8") as file:
                lock(file.fileno(), wait=True)
                file.seek(0)
                yield file
                file.flush()
        except OSError as error:
            raise InputError(
                f"{self._folder}: cannot be written to ({error.strerror}); choose another --out"
            ) from error


def identity(source: Path) -> str:
    """Return what a source is known by: its absolute path."""
    return str(source.resolve())


def stamp(source: Path) -> str:
    """Return what changes when a file or the list of files of a folder does; empty if it is gone."""
    try:
        found = source.stat()
    except OSError:
        return ""
    return f"{found.st_size}-{found.st_mtime_ns}"


def _name(source: Path) -> str:
    path = source.resolve()
    return fitting(path.name if path.is_dir() else path.stem)


def _free(name: str, taken: set[str]) -> str:
    """A name, or its first variant with a number, that is not taken."""
    number, found = 1, name
    while found.casefold() in taken:
        number += 1
        found = f"{name}-{number}"
    return found


def _append(file: TextIO, line: Mapping[str, object]) -> None:
    """Write a line, never onto the half one that a killed process or a full disk left."""
    file.flush()
    end = file.buffer.seek(0, os.SEEK_END)
    file.buffer.seek(max(0, end - 1))
    torn = file.buffer.read(1) not in (b"", b"\n")
    file.write("\n" * torn + json.dumps(line) + "\n")


def _done(lines: Sequence[Mapping[str, Any]]) -> list[Done]:
    """What is noted of each source since it was begun the last time."""
    found = {}
    for line in lines:
        found.pop(line.get("again"), None)
        try:
            each = Done(**{**line["done"], "files": tuple(line["done"]["files"])})
        except (TypeError, KeyError):
            continue  # something else, or of another version
        found[each.source] = each
    return list(found.values())


def _lines(file: TextIO) -> list[dict[str, Any]]:
    lines = []
    for text in file:
        try:
            line = json.loads(text)
        except ValueError:  # a process was killed while it wrote
            log.debug("%s: a line cannot be read", os.fspath(file.name))
            continue
        if isinstance(line, dict):
            lines.append(line)
    return lines
