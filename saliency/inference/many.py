"""Many sources after one another: each gives its outputs or says why not, and none keeps the others from theirs."""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from saliency.inference.ensemble import Ensemble
from saliency.inference.journal import Done, Job, Journal, identity, stamp
from saliency.inference.outputs import Outputs, outputs_at, outputs_in
from saliency.inference.painters import Look
from saliency.inference.predictor import Predictor
from saliency.inference.relay import READERS, Entry, Relay
from saliency.inference.render import Seen, render
from saliency.inference.shared import SharedFrames, SharedSource
from saliency.inference.thinning import StepMaker, Thinned, step_for
from saliency.io.frame_source import FrameSource
from saliency.io.frames import Decoder, open_frames

PACK_SOURCES = 8
PACK_BYTES = 8_000_000
"""A pack is a row of sources that share batches; larger files are a pack of their own."""


class Meter(Protocol):
    """Measures the frames of one source in order."""

    def add(self, seen: Seen) -> None:
        """Measure the next one."""
        ...

    def result(self) -> Mapping[str, float | None]:
        """Return what was measured."""
        ...


class Measure(Protocol):
    """Starts a meter for a source; can be sent to other processes."""

    def __call__(self, source: FrameSource) -> Meter:
        """Start."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is done with every source; can be sent to other processes.

    Attributes:
        out: folder of the outputs, or the file of the only source's painted video or picture.
        one_file: whether `out` is that file.
        pictures: whether the painted video or picture is written.
        look: how maps are shown.
        maps: format of the maps; None writes none.
        every: each so manieth frame is predicted; None: by the video's frame rate, see `step_for`.
        decoder: of video files.
        fps: frame rate of folders of images.
        measure: what to measure besides; None: nothing.
        settings: tells whether an earlier call made the same, see `Journal.done`.
    """

    out: Path
    one_file: bool = False
    pictures: bool = True
    look: Look = field(default_factory=Look)
    maps: str | None = None
    every: int | None = 1
    decoder: Decoder = "pyav"
    fps: float | None = None
    measure: Measure | None = None
    settings: str = ""

    def open(self, job: Job) -> FrameSource:
        """Open a source.

        Raises:
            InputError: it cannot be read.
        """
        return open_frames(job.source, self.decoder, threads=0 if self.decoder == "pyav" else 1, fps=self.fps)

    def outputs(self, job: Job, source: FrameSource) -> Outputs:
        """Return what is written of a source."""
        if self.one_file:
            return outputs_at(self.out, source, maps=self.maps, peak=self.look.peak)
        return outputs_in(self.out, source, maps=self.maps, peak=self.look.peak, name=job.name, picture=self.pictures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How it went with a source.

    Attributes:
        job: the source.
        frames: how many are written.
        seconds: since the one before was done.
        every: each so manieth frame was predicted.
        picture: the painted video or picture; None if there is none.
        maps: folder or file of the maps; None if there are none.
        measured: what was asked for.
        problem: why the source could not be done, or not to its end, in one line; None: it is done.
    """

    job: Job
    frames: int = 0
    seconds: float = 0.0
    every: int = 1
    picture: Path | None = None
    maps: Path | None = None
    measured: Mapping[str, float | None] = field(default_factory=dict)
    problem: str | None = None


def packs(jobs: Sequence[Job]) -> list[list[Job]]:
    """Divide jobs into rows that share batches, in their order.

    Which these are depends on the jobs alone, so that every way to do them gives the same files.
    """
    rows: list[list[Job]] = []
    size = PACK_BYTES
    for job in jobs:
        own = job.source.stat().st_size if job.source.is_file() else PACK_BYTES
        if not rows or len(rows[-1]) >= PACK_SOURCES or size + own > PACK_BYTES:
            rows.append([])
            size = 0
        rows[-1].append(job)
        size += own
    return rows


def run_jobs(
    jobs: Sequence[Job],
    predictor: Predictor | Ensemble,
    work: Work,
    *,
    explain: Callable[[Exception], str | None],
    on_frame: Callable[[], None] = lambda: None,
) -> Iterator[Outcome]:
    """Do sources one after the other, with batches that go on from one to the next.

    Args:
        jobs: the sources.
        predictor: makes the maps.
        work: what to do with each.
        explain: an error in one line; None if it is nothing about the source, which ends everything.
        on_frame: called after each frame.

    Yields:
        How it went with each, in order.
    """
    left = deque(jobs)
    while left:
        with _Line(left, predictor, work) as line:
            failed = False
            while left and not failed:
                begun = time.perf_counter()
                try:
                    outcome = line.do(on_frame)
                except Exception as error:
                    told = explain(error)
                    if told is None:
                        raise
                    outcome, failed = (
                        Outcome(job=left[0], problem=_named(told, left[0])),
                        True,
                    )  # batches that were begun are lost
                left.popleft()
                outcome = replace(outcome, seconds=time.perf_counter() - begun)
                if outcome.problem is None and not work.one_file:
                    _note(outcome, work)
                yield outcome


class _Opened:
    """A source that is open, what it is called, and how closely it is predicted."""

    def __init__(self, job: Job, source: FrameSource, work: Work) -> None:
        self.job, self.source = job, source
        self.every = step_for(source.fps) if work.every is None else work.every
        self.shared = SharedFrames(source, READERS)


class _Line:
    """Sources in their order: opened when a batch needs them, done one after the other."""

    def __init__(self, jobs: Collection[Job], predictor: Predictor | Ensemble, work: Work) -> None:
        self._jobs, self._work = deque(jobs), work
        self._to_do: deque[_Opened | Exception] = deque()
        self._to_relay: deque[_Opened] = deque()
        self._stack = ExitStack()
        self._predictor: StepMaker = predictor
        self._relayed = isinstance(predictor, Predictor) and len(jobs) > 1
        if isinstance(predictor, Predictor) and self._relayed:
            self._predictor = relay = Relay(predictor, self._upcoming)
            self._stack.callback(relay.close)

    def do(self, on_frame: Callable[[], None]) -> Outcome:
        """Do the next source.

        Raises:
            Exception: it cannot be done.
        """
        while not self._to_do:
            self._open_next()
        opened = self._to_do.popleft()
        if isinstance(opened, Exception):
            raise opened
        with opened.source as source:
            return self._render(opened, source, on_frame)

    def _render(self, opened: _Opened, source: FrameSource, on_frame: Callable[[], None]) -> Outcome:
        work = self._work
        meter = None if work.measure is None else work.measure(source)

        def note(seen: Seen) -> None:
            if meter is not None:
                meter.add(seen)
            on_frame()

        written = render(
            SharedSource(source, opened.shared, READERS - 1) if self._relayed else source,
            Thinned(self._predictor, opened.every),
            work.outputs(opened.job, source),
            painter=work.look.painter(),
            on_frame=note,
        )
        return Outcome(
            job=opened.job,
            frames=written.frames,
            every=opened.every,
            picture=written.picture,
            maps=written.maps,
            measured=meter.result() if meter is not None and written.frames else {},
            problem=written.problem,
        )

    def _upcoming(self) -> Entry | None:
        while not self._to_relay and self._jobs:
            self._open_next()
        if not self._to_relay:
            return None
        opened = self._to_relay.popleft()
        return Entry(frames=opened.shared, every=opened.every)

    def _open_next(self) -> None:
        job = self._jobs.popleft()
        try:
            opened = _Opened(job, self._work.open(job), self._work)
        except Exception as error:  # told when it is this one's turn
            self._to_do.append(error)
            return
        self._stack.callback(opened.source.close)
        self._to_do.append(opened)
        self._to_relay.append(opened)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def _named(problem: str, job: Job) -> str:
    return problem if str(job.source) in problem else f"{job.source}: {problem}"


def _note(outcome: Outcome, work: Work) -> None:
    files = [path for path in (outcome.picture, outcome.maps) if path is not None]
    Journal(work.out).note(
        Done(
            name=outcome.job.name,
            source=identity(outcome.job.source),
            stamp=stamp(outcome.job.source),
            settings=work.settings,
            frames=outcome.frames,
            files=tuple(str(path.resolve()) for path in files),
            measured=dict(outcome.measured),
        )
    )
