"""Get open data: `saliency data get NAME`, `saliency data list`; look at it in motion: `saliency data preview NAME`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from saliency.commands.arguments import parse_subcommands
from saliency.errors import InputError, nearest

ABOUT = "Get open data of other people: download, check, convert, look at it in motion."


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Show photographs set in motion, as training sees them, with the gaze drawn on them: an MP4.

    Attributes:
        name: a set of photographs: osie, crowd, scene.
        out: the film; default: runs/preview/NAME.mp4.
        motions: what to show: still, pan, zoom, shake, object, parallax, roll; default: all that training shows.
        count: videos.
        split: train, val or test.
        cuts: share of the videos that are cut to another photograph.
        delay: seconds after a cut before the eyes follow.
        seed: of all that is drawn.
    """

    name: tyro.conf.Positional[str]
    out: Path | None = None
    motions: tuple[str, ...] = ()
    count: int = 6
    split: str = "train"
    cuts: float = 0.25
    delay: float = 0.2
    seed: int = 0


def main(words: Sequence[str]) -> int:
    """Do what the words after ``saliency data`` say; return the exit status."""
    kinds = {"get": Get, "list": List, "preview": Preview}
    chosen = parse_subcommands(kinds, words, command="data", description=ABOUT)
    if isinstance(chosen, Preview):
        return preview(chosen)
    return get(chosen) if isinstance(chosen, Get) else show()


def preview(arguments: Preview) -> int:
    """Write the film."""
    from typing import Any, cast

    from saliency.data.motions import LEARNT
    from saliency.datasets.animated import Animated, AnimatedVideo
    from saliency.datasets.stills import SIGMAS, Stills
    from saliency.preparation.preview import write_preview

    if arguments.name not in SIGMAS:
        raise InputError(f"'{arguments.name}' is no set of photographs; there are {', '.join(SIGMAS)}"
                         f"{nearest(arguments.name, SIGMAS)}")  # fmt: skip
    if arguments.count < 1:
        raise InputError(f"--count must be at least 1, got {arguments.count}")
    out = arguments.out or Path("runs/preview") / f"{arguments.name}.mp4"
    data = Animated(
        sources=(Stills(name=arguments.name),),
        motions=cast(Any, arguments.motions or LEARNT),  # checked there
        cuts=arguments.cuts,
        delay=arguments.delay,
        seed=arguments.seed,
    )
    videos = [video for video in data.videos(arguments.split) if isinstance(video, AnimatedVideo)][: arguments.count]
    frames = write_preview(videos, out)
    print(f"{len(videos)} photographs in motion, {frames} frames: {out}")
    return 0


def get(arguments: Get) -> int:
    """Bring one set onto this machine."""
    from rich.console import Console

    from saliency.preparation import downloads
    from saliency.preparation.open_data import find_source
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
    from saliency.preparation.open_data import SOURCES

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
