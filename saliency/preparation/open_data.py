"""The table of open data: public repositories at a pinned commit, and what becomes of their files.

To add a set: put its register into ``saliency/assets/registers`` (the output of ``git ls-tree -r COMMIT``, of the
files that are needed, below a line ``# github.com/OWNER/NAME commit COMMIT``), its attribution beside it (same
name, ``.md``), and one entry into `SOURCES`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import saliency
from saliency.errors import InputError, nearest
from saliency.preparation import photographs

REGISTERS = Path(saliency.__file__).parent / "assets" / "registers"


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedFile:
    """A file of a public repository.

    Attributes:
        path: its place in the repository.
        blob: git's id of its content.
    """

    path: str
    blob: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Files of a public repository at one commit.

    Attributes:
        repository: ``owner/name`` at github.com.
        commit: 40 hexadecimal digits.
        files: those that are needed.
    """

    repository: str
    commit: str
    files: tuple[PinnedFile, ...]

    @property
    def archive(self) -> str:
        """The address of one archive of the whole repository at this commit."""
        return f"https://github.com/{self.repository}/archive/{self.commit}.zip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Open data that ``saliency data get`` brings.

    Attributes:
        name: what it is asked for by.
        about: what it is, in one line.
        licence: the words of its publishers.
        folder: where it is kept, below the data folder.
        needed: a file below that folder without which the set is not there.
        register: stem of the register and of the attribution.
        megabytes: what is downloaded; None: not known.
        convert: called with the folder of the originals, laid out as in the repository, and an empty folder to
            fill; None keeps the originals as they are.
    """

    name: str
    about: str
    licence: str
    folder: str
    needed: str
    register: str
    megabytes: float | None = None
    convert: Callable[[Path, Path], None] | None = None

    def pinned(self) -> Register:
        """Return what is downloaded."""
        return read_register(REGISTERS / f"{self.register}.txt")

    def attribution(self) -> str:
        """Return whose work it is, as Markdown."""
        return (REGISTERS / f"{self.register}.md").read_text(encoding="utf-8")


SOURCES = (
    Source(
        name="dhf1k-002",
        about="one video of DHF1K with the gaze of 17 people",
        licence="CC BY 4.0",
        folder="dhf1k_002",
        needed="video/002.AVI",
        register="dhf1k_002",
        megabytes=8.7,
    ),
    Source(
        name="osie",
        about="700 photographs of objects and people with the gaze of 15 viewers",
        licence="MIT (the laboratory's; the photographs are other people's)",
        folder="real_gaze/osie",
        needed="fixations.npz",
        register="osie",
        convert=photographs.convert_osie,
    ),
    Source(
        name="crowd",
        about="500 photographs of crowds with the gaze of 16 viewers (EyeCrowd)",
        licence="MIT (the laboratory's; the photographs are other people's)",
        folder="real_gaze/crowd",
        needed="fixations.npz",
        register="crowd",
        convert=photographs.convert_crowd,
    ),
    Source(
        name="scene",
        about="500 photographs of scenes with the gaze of 10 to 12 viewers",
        licence="MIT (the laboratory's; the photographs are other people's)",
        folder="real_gaze/scene",
        needed="fixations.npz",
        register="scene",
        convert=photographs.convert_scene,
    ),
)


def find_source(name: str) -> Source:
    """Return an entry of the table.

    Raises:
        InputError: there is none of that name.
    """
    known = {source.name: source for source in SOURCES}
    wanted = name.lower().replace("_", "-")
    if wanted not in known:
        raise InputError(f"no open data '{name}'{nearest(wanted, known)}; there is {', '.join(known)}")
    return known[wanted]


def read_register(path: Path) -> Register:
    """Read a register: ``# github.com/OWNER/NAME commit COMMIT``, then rows as ``git ls-tree -r`` prints them."""
    head, *rows = path.read_text(encoding="utf-8").splitlines()
    match = re.match(r"# github\.com/([\w.-]+/[\w.-]+) commit ([0-9a-f]{40})\b", head)
    if match is None:
        raise ValueError(f"{path}: the first line names no repository and commit: {head!r}")
    files = []
    for row in rows:
        about, _, name = row.partition("\t")
        _, kind, blob = about.split()[:3]
        if kind != "blob" or not re.fullmatch("[0-9a-f]{40}", blob) or name.startswith("/") or ".." in name.split("/"):
            raise ValueError(f"{path}: not a row of git ls-tree: {row!r}")
        files.append(PinnedFile(path=name, blob=blob))
    return Register(repository=match[1], commit=match[2], files=tuple(files))
