"""Uploaded videos, their turn, and their end: one is measured at a time, and none is kept longer than was said."""

import contextlib
import logging
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from saliency.errors import InputError
from saliency.serve.limits import Limits
from saliency.serve.orders import Order
from saliency.serve.uploads import Found

log = logging.getLogger(__name__)

State = Literal["uploading", "uploaded", "waiting", "running", "done", "failed"]


class Busy(InputError):
    """The server has as much to do as it takes on."""


class Stopped(Exception):
    """The video that is being measured was removed."""


@dataclass(slots=True, kw_only=True)
class Job:
    """An uploaded video and what became of it.

    Attributes:
        id: a name that nobody can guess; who knows it may see and remove the video.
        folder: holds the upload and, in ``results``, what was made of it.
        video: the uploaded file.
        found: what is in it; None until it is known.
        state: what is happening.
        done: frames that were measured.
        message: why it failed, or what was wrong with the file, in one line; empty: nothing.
        numbers: what was measured, in a form that JSON takes.
        order: what is wanted.
        touched: when something was last done with it, by `time.monotonic`.
    """

    id: str
    folder: Path
    video: Path
    found: Found | None = None
    state: State = "uploading"
    done: int = 0
    message: str = ""
    numbers: dict[str, object] = field(default_factory=dict)
    order: Order | None = None
    touched: float = field(default_factory=time.monotonic)
    removed: bool = False

    @property
    def results(self) -> Path:
        """The folder of what was made."""
        return self.folder / "results"

    def step(self) -> None:
        """Count a frame.

        Raises:
            Stopped: nobody wants the rest.
        """
        if self.removed:
            raise Stopped
        self.done += 1


Work = Callable[[Job, Order], None]
"""Measures a job and writes its results, calling `Job.step` after each frame; sets `numbers` and `message`."""


class Jobs:
    """All jobs of a server. Methods may be called from any thread."""

    def __init__(self, folder: Path, work: Work, limits: Limits) -> None:
        """Start the thread that measures.

        Args:
            folder: holds a folder for each job; emptied and removed by `close`.
            work: measures one.
            limits: what is accepted.
        """
        self._folder, self._work, self._limits = folder, work, limits
        self._jobs: dict[str, Job] = {}
        self._waiting: list[Job] = []
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="measuring", daemon=True)
        self._thread.start()

    def add(self, name: str) -> Job:
        """Return a new job whose upload is to be written to `Job.video`.

        Args:
            name: of the file, safe for a disk.

        Raises:
            Busy: too many are kept already.
        """
        with self._changed:
            if len(self._jobs) >= self._limits.videos:
                raise Busy("this page holds as many videos as it can keep; try again in some minutes")
            id = secrets.token_urlsafe(16)
            folder = self._folder / id
            (folder / "video").mkdir(parents=True)
            job = self._jobs[id] = Job(id=id, folder=folder, video=folder / "video" / name)
            return job

    def get(self, id: str) -> Job | None:
        """Return a job, if there still is one of that name; it will be kept as long again."""
        job = self._jobs.get(id)
        if job is not None:
            job.touched = time.monotonic()
        return job

    def arrived(self, job: Job, found: Found) -> None:
        """Note that an upload is complete."""
        with self._changed:
            job.found, job.state, job.touched = found, "uploaded", time.monotonic()

    def start(self, job: Job, order: Order) -> None:
        """Let a job wait for its turn, for the first time or again.

        Raises:
            Busy: too many wait already.
            InputError: it is waiting or being measured.
        """
        with self._changed:
            if job.state in ("uploading", "waiting", "running") or job.removed:
                raise InputError(f"{job.video.name}: is {job.state} already; wait for its end, or remove it")
            if len(self._waiting) >= self._limits.waiting:
                raise Busy(f"{len(self._waiting)} videos wait already; try again in some minutes")
            job.order, job.state, job.done, job.message, job.numbers = order, "waiting", 0, "", {}
            job.touched = time.monotonic()
            self._waiting.append(job)
            self._changed.notify()

    def before(self, job: Job) -> int:
        """Return how many videos come before this one, the one that is being measured included."""
        with self._changed:
            if job not in self._waiting:
                return 0
            running = any(other.state == "running" for other in self._jobs.values())
            return self._waiting.index(job) + running

    def remove(self, job: Job) -> None:
        """Remove an upload and all that was made of it; one that is being measured goes after its current frame."""
        with self._changed:
            job.removed = True
            self._jobs.pop(job.id, None)
            if job in self._waiting:
                self._waiting.remove(job)
            if job.state != "running":
                _remove(job.folder)

    def sweep(self) -> None:
        """Remove what nothing was done with for as long as things are kept."""
        before = time.monotonic() - 60 * self._limits.minutes
        for job in list(self._jobs.values()):
            if job.touched < before and job.state not in ("waiting", "running"):
                self.remove(job)

    def close(self) -> None:
        """Stop, and remove everything."""
        with self._changed:
            self._closed = True
            for job in list(self._jobs.values()):
                self.remove(job)
            self._changed.notify()
        self._thread.join(timeout=60)
        _remove(self._folder)

    def _run(self) -> None:
        while (job := self._next()) is not None:
            self._measure(job)

    def _next(self) -> Job | None:
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            job = self._waiting.pop(0)
            job.state = "running"
            return job

    def _measure(self, job: Job) -> None:
        state: State = "failed"
        message = ""
        try:
            assert job.order is not None
            _remove(job.results)
            self._work(job, job.order)
            state, message = "done", job.message
        except Stopped:
            pass
        except InputError as error:
            message = in_words(str(error), job)
        except Exception:  # whatever one video does, the next one has its turn
            log.exception("while measuring an uploaded video")
            message = (
                "this video could not be measured, by a fault of this server; whoever runs it finds more in its log"
            )
        with self._changed:
            job.state, job.message, job.touched = state, message, time.monotonic()
            if job.removed:
                _remove(job.folder)


def in_words(message: str, job: Job) -> str:
    """Return a message for somebody who knows neither this computer's folders nor the options of commands."""
    for folder in (job.video.parent, job.results, job.folder):
        message = message.replace(f"{folder}/", "")
    return message.replace("--roi ", "region ").replace("--", "")


def _remove(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
