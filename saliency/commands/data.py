"""Get open data: `saliency data get NAME`, `saliency data list`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from saliency.commands.arguments import parse_subcommands

ABOUT = "Get open data of other people: download, check, convert."


@dataclass(frozen=True, slots=True, kw_only=True)
class Get:
    """Download a set from its public repository, check every file and convert it; nothing is done if it is here.

    Attributes:
        name: which set; `saliency data list` shows them.
        from_: take the files from a folder that has them (a copy of the repository) instead of downloading.
    """

    name: tyro.conf.Positional[str]
    from_: Annotated[Path | None, tyro.conf.arg(name="from")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class List:
    """Show what there is to get and what is here."""


def main(words: Sequence[str]) -> int:
    """Do what the words after ``saliency data`` say; return the exit status."""
    chosen = parse_subcommands({"get": Get, "list": List}, words, command="data", description=ABOUT)
    return get(chosen) if isinstance(chosen, Get) else show()


def get(arguments: Get) -> int:
    """Bring one set onto this machine."""
    from rich.console import Console

    from saliency.preparation import downloads
    from saliency.preparation.sources import find_source
    from saliency.runtime.progress import progress_bar

    console = Console(soft_wrap=True, highlight=False)
    source = find_source(arguments.name)
    if downloads.is_here(source):
        folder = downloads.get(source)
        console.print(f"{source.name} is already in {folder}", markup=False)
        return 0
    with progress_bar(source.name) as bar:
        folder = downloads.get(source, given=arguments.from_, progress=bar.reach)
    count = len(source.pinned().files)
    console.print(f"{source.name}: {count} files checked, in {folder}", markup=False)
    console.print(f"licence: {source.licence}; keep {downloads.ATTRIBUTION} with it", markup=False)
    return 0


def show() -> int:
    """Print the table of sets."""
    from rich.console import Console
    from rich.table import Table

    from saliency.io.data_folder import VARIABLE, data_folder
    from saliency.preparation.downloads import is_here
    from saliency.preparation.sources import SOURCES

    table = Table(box=None, pad_edge=False)
    for title in ("name", "what", "download", "licence", "here"):
        table.add_column(title)
    for source in SOURCES:
        here = "yes" if is_here(source) else "no"
        table.add_row(
            source.name,
            source.about,
            "?" if source.megabytes is None else f"{source.megabytes:.0f} MB",
            source.licence,
            here,
        )
    console = Console(soft_wrap=True, highlight=False)
    console.print(table)
    console.print(f"in {data_folder()} ({VARIABLE} moves it); saliency data get NAME", markup=False)
    return 0
