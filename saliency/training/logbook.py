"""What people watch: a progress bar, TensorBoard curves and a plain JSONL log."""

import contextlib
import json
import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from saliency.config.run import Run
from saliency.io.atomic import replacing, write_atomic
from saliency.io.serial import dumps
from saliency.runtime import memory
from saliency.training.run_log import LOG, read_log

log = logging.getLogger(__name__)

EXAMPLES = "examples"
"""Folder of pictures: what each learner predicts for a validation sample at the end of each stage."""
PLAIN_SECONDS = 10.0
"""Without a terminal, a line of progress is printed this often."""


class Logbook:
    """Writes ``log.jsonl`` and ``tensorboard/`` below the run's folder and shows progress.

    Only the main process writes; elsewhere every method does nothing. TensorBoard writes in a thread of its own: what
    goes wrong there is an error of the next line that is written, or of `end`, and no traceback beside it.
    """

    def __init__(self, folder: Path, *, main: bool = True) -> None:
        self.folder, self.main = folder, main
        self.console = Console(file=sys.stderr, markup=False)
        self.bar: Progress | None = None
        self.task: TaskID | None = None
        self.writer: SummaryWriter | None = None
        self.stage, self.alone, self.total, self.first = "", "", 0, 0
        self.started = self.printed = self.opened = time.monotonic()
        self.last = (0, self.started)  # step and time of the latest log line
        self.failure: BaseException | None = None  # of TensorBoard's thread
        self.usual_hook = threading.excepthook

    def __enter__(self) -> "Logbook":
        self.usual_hook, threading.excepthook = threading.excepthook, self._thread_failed
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with contextlib.suppress(*([] if error is None else [OSError])):  # the first error is the one to tell
                self.end()
        finally:
            threading.excepthook = self.usual_hook

    def _thread_failed(self, what: threading.ExceptHookArgs) -> None:
        if type(what.thread).__module__.startswith("tensorboard."):
            self.failure = what.exc_value
        else:
            self.usual_hook(what)

    def begin(self, stage: str, total: int, first: int, alone: str = "") -> None:
        """Start (or, when `first` > 0, go on with) a stage of `total` steps, of all learners or of one alone."""
        if not self.main:
            return
        self.stage, self.alone, self.total, self.first = stage, alone, total, first
        self.started = self.printed = time.monotonic()
        self.last = (first, self.started)
        _cut(self.folder / LOG, stage, alone, first)
        self.writer = SummaryWriter(str(self.folder / "tensorboard" / stage / alone), purge_step=first or None)
        if self.console.is_terminal:
            self.bar = Progress(
                TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
                TimeRemainingColumn(), TextColumn("{task.fields[speed]}"),
                TextColumn("{task.fields[losses]}", markup=False), console=self.console,
            )  # fmt: skip
            self.bar.start()
            self.task = self.bar.add_task(f"{stage} {alone}".strip(), total=total, completed=first, speed="", losses="")

    def step(self, stage: str, step: int, values: Mapping[str, float], *, samples: int) -> None:
        """Record the running means of a training step of so many samples."""
        if not self.main:
            return
        self._write({"stage": stage, "step": step, "kind": "train", **values})
        speed = self._speed(step, samples)
        losses = "  ".join(f"{k.removeprefix('loss/')} {v:.3f}" for k, v in values.items() if k.startswith("loss/"))
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, completed=step, speed=speed, losses=losses)
        elif time.monotonic() - self.printed >= PLAIN_SECONDS or step == self.total:
            self.printed = time.monotonic()
            left = (self.printed - self.started) / max(1, step - self.first) * (self.total - step)
            text = f"{f'{stage} {self.alone}'.strip()} {step}/{self.total}  {speed}  {losses}  ETA {left:.0f} s"
            self.console.print(text, highlight=False, soft_wrap=True)

    def _speed(self, step: int, samples: int) -> str:
        """Samples per second since the latest log line and the peak of memory: shown and drawn, but not logged.

        The log of a run holds nothing that differs when it is run again.
        """
        now = time.monotonic()
        speeds = {"samples_per_second": (step - self.last[0]) * samples / max(1e-9, now - self.last[1])}
        self.last = (step, now)
        text = f"{speeds['samples_per_second']:.1f} samples/s"
        speeds["memory_gib"] = memory.peak(torch.device("cpu")) / 2**30
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            speeds["gpu_memory_gib"] = torch.cuda.max_memory_allocated() / 2**30
            text += f", GPU {speeds['gpu_memory_gib']:.1f} GiB"
        if self.writer is not None:
            for name, value in speeds.items():
                self.writer.add_scalar(f"speed/{name}", value, step)
        return text

    def skipped(self, stage: str, learner: str, step: int, ids: Sequence[str]) -> None:
        """Record a step that a learner did not take, because its gradient was not finite."""
        if self.main:
            log.warning("%s: %s skipped step %d: its gradient is not finite; samples %s", stage, learner, step, ids)
            self._write({"stage": stage, "step": step, "kind": "skipped", "learner": learner, "ids": list(ids)})

    def settings(self, run: Run) -> None:
        """Show the run's settings in TensorBoard."""
        if self.main and self.writer is not None:
            self.writer.add_text("config", "\n".join(f"    {line}" for line in dumps(run).splitlines()), self.first)

    def picture(self, learner: str, step: int, picture: Tensor) -> None:
        """Show a picture (3, H, W) uint8 in TensorBoard, and keep the latest one of each learner and stage."""
        if self.main and self.writer is not None:
            self.writer.add_image(f"picture/{learner}", picture.cpu(), step)
            (self.folder / EXAMPLES).mkdir(exist_ok=True)
            with replacing(self.folder / EXAMPLES / f"{self.stage}-{learner}.png", sync=False) as path:
                Image.fromarray(picture.cpu().permute(1, 2, 0).numpy()).save(path)  # (H, W, 3)

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

    def summary(self, run: Run) -> None:
        """Say what the run came to and where everything lies."""
        if not self.main:
            return
        lines = read_log(self.folder / LOG)
        skipped = Counter(line["learner"] for line in lines if line["kind"] == "skipped")
        done = (time.monotonic() - self.opened) / 60
        self.console.print(f"{run.name}: done, {done:.1f} minutes of this start", highlight=False)
        for stage in run.stages:
            for name in run.learners:
                path = self.folder / stage.name / f"{name}.safetensors"
                if path.exists():
                    monitor = (run.part(stage, name) if stage.alone else run).task.monitor
                    key = f"val_{monitor}/{name}"
                    scores = [line[key] for line in lines if line["stage"] == stage.name and key in line]
                    best = (min if monitor == "loss" else max)(scores, default=float("nan"))
                    self.console.print(f"  {path}  best {monitor} {best:.4f}", highlight=False, soft_wrap=True)
        for name, count in skipped.items():
            self.console.print(f"  {name} skipped {count} steps (see {self.folder / LOG})", highlight=False)
        self.console.print(
            f"  log {self.folder / LOG}, curves: tensorboard --logdir {self.folder / 'tensorboard'}",
            highlight=False,
            soft_wrap=True,
        )

    def end(self) -> None:
        """Close the stage.

        Raises:
            OSError: the last of TensorBoard's curves could not be written.
        """
        bar, writer = self.bar, self.writer
        self.bar = self.task = self.writer = None
        if bar is not None:
            bar.stop()
        if writer is not None:
            writer.close()
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure

    def _write(self, line: dict[str, Any]) -> None:
        if self.alone:
            line = {"alone": self.alone, **line}
        with (self.folder / LOG).open("a") as file:
            file.write(json.dumps(line) + "\n")
        if self.writer is not None:
            for name, value in line.items():
                if isinstance(value, float):
                    self.writer.add_scalar(name, value, line["step"])


def _cut(path: Path, stage: str, alone: str, first: int) -> None:
    """Remove the log lines of steps that will be done again after resuming."""
    if not path.exists():
        return
    kept = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
            again = (line["stage"], line.get("alone", "")) == (stage, alone) and line["step"] > first
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # the line that was being written when the process died
        if not again:
            kept.append(text)
    with write_atomic(path) as file:
        file.write("".join(f"{text}\n" for text in kept))
