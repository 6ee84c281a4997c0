"""The one progress bar: on a terminal, with what is done, how fast, and how long it will take."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Bar(Protocol):
    """A bar that can be moved."""

    def __call__(self, steps: int = 1) -> None:
        """Move it by some steps."""
        ...

    def reach(self, done: int, total: int) -> None:
        """Move it to `done` of `total`."""
        ...


@contextmanager
def progress_bar(what: str, total: int | None = None, *, shown: bool = True) -> Iterator[Bar]:
    """Show a bar on standard error while inside; nothing where that is no terminal.

    Args:
        what: what is counted, in the plural: "frames".
        total: how many there will be; None where nobody knows.
        shown: False shows nothing (processes that are not the main one).

    Yields:
        The bar: called with a number of steps it moves by these, `reach` says where it is and how long it is.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Task as BarTask
    from rich.text import Text

    class Speed(ProgressColumn):
        """Done for each second so far."""

        def render(self, task: BarTask) -> Text:
            """Return e.g. ``12.3/s``."""
            speed = task.finished_speed or task.speed
            return Text(f"{speed:.1f}/s" if speed else ".../s", style="cyan")

    class Moved:
        """The bar of one task."""

        def __call__(self, steps: int = 1) -> None:
            bar.advance(task, steps)

        def reach(self, done: int, total: int) -> None:
            """Move the bar to `done` of `total`."""
            bar.update(task, completed=done, total=total)

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        Speed(),
        TimeRemainingColumn(),
    )
    piped = not sys.stdout.isatty()  # lines that are printed meanwhile go above the bar, but stay in a pipe
    hidden = not shown or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden, redirect_stdout=not piped) as bar:
        task = bar.add_task(what, total=total)
        yield Moved()
