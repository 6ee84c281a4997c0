"""What people watch: a progress bar, TensorBoard curves and a plain JSONL log."""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

LOG = "log.jsonl"
PLAIN_SECONDS = 10.0
"""Without a terminal, a line of progress is printed this often."""


class Logbook:
    """Writes ``log.jsonl`` and ``tensorboard/`` below the run's folder and shows progress.

    Only the main process writes; elsewhere every method does nothing.
    """

    def __init__(self, folder: Path, *, main: bool = True) -> None:
        self.folder, self.main = folder, main
        self.console = Console(file=sys.stderr)
        self.bar: Progress | None = None
        self.task: TaskID | None = None
        self.writer: SummaryWriter | None = None
        self.stage, self.total, self.first = "", 0, 0
        self.started = self.printed = time.monotonic()

    def __enter__(self) -> "Logbook":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def begin(self, stage: str, total: int, first: int) -> None:
        """Start (or, when `first` > 0, go on with) a stage of `total` steps."""
        if not self.main:
            return
        self.stage, self.total, self.first = stage, total, first
        self.started = self.printed = time.monotonic()
        _cut(self.folder / LOG, stage, first)
        self.writer = SummaryWriter(str(self.folder / "tensorboard" / stage), purge_step=first or None)
        if self.console.is_terminal:
            self.bar = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                TextColumn("{task.fields[losses]}"), console=self.console,
            )  # fmt: skip
            self.bar.start()
            self.task = self.bar.add_task(stage, total=total, completed=first, losses="")

    def step(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """Record the running means of a training step."""
        if not self.main:
            return
        self._write({"stage": stage, "step": step, "kind": "train", **values})
        losses = "  ".join(f"{k.removeprefix('loss/')} {v:.3f}" for k, v in values.items() if k.startswith("loss/"))
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, completed=step, losses=losses)
        elif time.monotonic() - self.printed >= PLAIN_SECONDS or step == self.total:
            self.printed = time.monotonic()
            left = (self.printed - self.started) / max(1, step - self.first) * (self.total - step)
            self.console.print(f"{stage} {step}/{self.total}  {losses}  ETA {left:.0f} s", highlight=False)

    def scores(self, stage: str, learner: str, step: int, values: Mapping[str, float]) -> None:
        """Record a learner's validation scores."""
        if self.main:
            self._write(
                {
                    "stage": stage,
                    "step": step,
                    "kind": "val",
                    **{f"val_{k}/{learner}": v for k, v in values.items()},
                }
            )

    def end(self) -> None:
        """Close the stage."""
        if self.bar is not None:
            self.bar.stop()
        if self.writer is not None:
            self.writer.close()
        self.bar = self.task = self.writer = None

    def _write(self, line: dict[str, Any]) -> None:
        with (self.folder / LOG).open("a") as file:
            file.write(json.dumps(line) + "\n")
        if self.writer is not None:
            for name, value in line.items():
                if isinstance(value, float):
                    self.writer.add_scalar(name, value, line["step"])


def _cut(path: Path, stage: str, first: int) -> None:
    """Remove the log lines of steps that will be done again after resuming."""
    if not path.exists():
        return
    kept = []
    for text in path.read_text().splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue  # the line that was being written when the process died
        if line["stage"] != stage or line["step"] <= first:
            kept.append(text)
    path.write_text("".join(f"{text}\n" for text in kept))
