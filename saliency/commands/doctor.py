"""Look for what would stop a run on this machine, and say how to fix it: `saliency doctor`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from saliency.commands.arguments import parse

MARKS = {"ok": "[green]ok[/]", "note": "[cyan]note[/]", "problem": "[red]problem[/]"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Check versions, devices, decoders, disk space and permissions.

    Attributes:
        runs: folder that runs are written to.
        cache: folder of a frame cache, where there is one or will be.
        free_gib: disk space that a full-size run wants: checkpoints (1.2 GiB each for tri-KD) and curves.
    """

    runs: Path = Path("runs")
    cache: Path | None = None
    free_gib: float = 10.0


def main(words: Sequence[str]) -> int:
    """Print a table; exit status 1 when something that is needed does not work."""
    arguments = parse(Arguments, words, command="doctor")
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from saliency.commands import doctor_checks

    folders = [arguments.runs, *([arguments.cache] if arguments.cache is not None else [])]
    findings = doctor_checks.examine(folders, free_gib=arguments.free_gib)
    table = Table(box=None, pad_edge=False)
    for title in ("", "what", "found"):
        table.add_column(title, overflow="fold")
    for finding in findings:
        table.add_row(MARKS[finding.state], finding.what, escape(finding.found))
        if finding.fix:
            table.add_row("", "", f"[bold]fix:[/] {escape(finding.fix)}")
    console = Console(soft_wrap=True)
    console.print(table)
    problems = sum(finding.state == "problem" for finding in findings)
    console.print(f"{problems} problem(s)" if problems else "All that is needed works.")
    return 1 if problems else 0
