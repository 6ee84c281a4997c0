"""The one progress bar: on a terminal, with what is done, how fast, and how long it will take."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(what: str, total: int | None = None, *, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error while inside; nothing where that is no terminal.

    Args:
        what: what is counted, in the plural: "frames".
        total: how many there will be; None where nobody knows.
        shown: False shows nothing (processes that are not the main one).

    Yields:
        The function that moves the bar by a number of steps.
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

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        Speed(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not shown or not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda steps: bar.advance(task, steps)
