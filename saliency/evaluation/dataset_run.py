"""Evaluate whole data sets: resumable video by video, in several processes, or in the shards of torchrun.

Below the output folder each predictor has a folder of its own::

    <predictor>/run.json              what is evaluated; another evaluation may not go on here
    <predictor>/parts/<video>.csv     the rows of a finished video
    <predictor>/parts/<video>.json    how its maps moved, where one process saw them all
    <predictor>/frames.csv, videos.csv, summary.json    the result
"""

import dataclasses
import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from saliency.data.trained_on import seen_in_training
from saliency.data.video import AnnotatedVideo
from saliency.errors import InputError
from saliency.evaluation import over_time
from saliency.evaluation.map_source import MapSource, OwnTruth, Progress
from saliency.evaluation.protocols import Protocol
from saliency.evaluation.result import FrameRow, Result, read_rows, write_rows
from saliency.evaluation.settings import USUAL, EvaluationSettings
from saliency.evaluation.shuffled import FixationPool
from saliency.evaluation.video_run import evaluate_many, frames_to_score, warn_about
from saliency.io.atomic import write_atomic
from saliency.runtime.distributed import World
from saliency.runtime.environment import environment
from saliency.runtime.pool import in_processes

log = logging.getLogger(__name__)

RUN_FILE = "run.json"
PARTS = "parts"
POLL_SECONDS = 1.0
NAME_LIMIT = 200
"""Bytes of a file's name without suffix and the extra letters of a temporary one: file systems take 255."""


ALONE = World(rank=0, size=1, device=torch.device("cpu"))
"""One process, not started by torchrun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """Who does the work; the numbers do not depend on it.

    Attributes:
        processes: worker processes on this machine, for CPUs; the predictors must be picklable then.
        world: this process among those that torchrun started. Each scores videos of its own.
    """

    processes: int = 1
    world: World = ALONE

    def __post_init__(self) -> None:
        if self.processes < 1:
            raise InputError(f"processes must be at least 1, got {self.processes}")


HERE = Workers()
"""This process does all the work."""


def evaluate_dataset(
    predictors: Sequence[MapSource],
    videos: Sequence[AnnotatedVideo],
    folder: str | Path,
    settings: EvaluationSettings = USUAL,
    *,
    workers: Workers = HERE,
    restart: bool = False,
    progress: Progress | None = None,
) -> list[Result] | None:
    """Score predictors on a data set and save the results below `folder`; go on with what is there.

    Args:
        predictors: each with a name of its own.
        videos: the data set.
        folder: of the results, on a disk that all processes share.
        settings: all else that decides the numbers.
        workers: who does the work.
        restart: throw away what `folder` holds of these predictors.
        progress: called with the frames done (those of earlier runs included) and all frames of this process.

    Returns:
        The results in the order of `predictors`; None on processes other than the main one.

    Raises:
        InputError: see `evaluate_many`; or `folder` holds another evaluation under the same name.
    """
    world, protocol = workers.world, settings.protocol
    frames = frames_to_score(videos, protocol, every=settings.every, seed=settings.seed)
    homes = [Path(folder) / slug(predictor.name) for predictor in predictors]
    for home in homes:
        if homes.count(home) > 1:
            raise InputError(f"two predictors would write to {home}; give each a name of its own")
    described = [_describe(predictor, videos, frames, settings) for predictor in predictors]
    with world.together():
        if world.main:
            for home, what in zip(homes, described, strict=True):
                _claim(home, what, restart=restart)
    with world.together():  # what the main process threw away is gone before the others look
        for home, what in zip(homes, described, strict=True):
            _claim(home, what, restart=False)

    if world.main:
        _warn_of_training(predictors, videos)
    own = share(videos, frames, world)
    work = [
        _Task(video=video, predictors=tuple(lacking))
        for video in own
        if (lacking := [i for i, home in enumerate(homes) if not _done(home, video)])
    ]
    total = sum(len(frames[video.id]) for video in own)
    done = total - sum(len(frames[task.video.id]) for task in work)
    if work:
        pool = None if protocol.shuffled is None else FixationPool(videos, frames, protocol.shuffled, settings.seed)
        job = _Job(predictors=tuple(predictors), homes=tuple(homes), settings=settings, frames=frames, pool=pool)
        _run(job, work, workers.processes, done, total, progress)
    if not world.main:
        return None
    scored = [video for video in videos if frames[video.id]]
    while world.size > 1 and not all(_done(home, video) for home in homes for video in scored):
        time.sleep(POLL_SECONDS)  # for the other processes; torchrun ends all when one of them fails
    parts = [_read_parts(home, scored, frames, protocol) for home in homes]
    return [
        _merge(home, predictor, rows, settings) for home, predictor, rows in zip(homes, predictors, parts, strict=True)
    ]


def movement(
    predictors: Sequence[MapSource], videos: Sequence[AnnotatedVideo], folder: str | Path
) -> tuple[dict[str, dict[str, over_time.OverTime]], dict[str, int]]:
    """What an evaluation below `folder` kept of how maps moved, in this run and in those before it.

    Returns:
        Name of each predictor -> video -> how its maps moved; and of each of these predictors, of how many videos that
        was not looked at, because several processes or an earlier version scored them.

    Raises:
        InputError: a file is damaged.
    """
    found: dict[str, dict[str, over_time.OverTime]] = {}
    lacking: dict[str, int] = {}
    for predictor in predictors:
        home = Path(folder) / slug(predictor.name)
        done = {video.id: _movement(home, video) for video in videos if _done(home, video)}
        kept = {name: over_time.load(path) for name, path in done.items() if path.is_file()}
        if moved := {name: score for name, score in kept.items() if score is not None}:
            found[predictor.name] = moved
            lacking[predictor.name] = len(done) - len(kept)
    return found, lacking


def _warn_of_training(predictors: Sequence[MapSource], videos: Sequence[AnnotatedVideo]) -> None:
    """Say which predictors learned from videos that they are scored on."""
    for predictor in predictors:
        seen = seen_in_training(videos, getattr(predictor, "trained_on", frozenset()))
        if seen:
            some = ", ".join(seen[:5]) + (", …" if len(seen) > 5 else "")
            log.warning(
                "%s was trained on %d of the %d videos it is scored on (%s): its scores say nothing of new videos",
                predictor.name,
                len(seen),
                len(videos),
                some,
            )


def share(videos: Sequence[AnnotatedVideo], frames: Mapping[str, Sequence[int]], world: World) -> list[AnnotatedVideo]:
    """The videos of this process: dealt out by length, so that the processes finish together."""
    by_length = sorted(videos, key=lambda video: (-len(frames[video.id]), video.id))
    own = {video.id for video in by_length[world.rank :: world.size] if frames[video.id]}
    return [video for video in videos if video.id in own]


def slug(name: str) -> str:
    """A name as a folder: all but letters, digits and ``. + -`` becomes ``_``, what is too long ends in a checksum."""
    plain = re.sub(r"[^\w.+-]+", "_", name)
    if not plain.strip("."):
        plain = plain.replace(".", "_") or "_"  # "", "." and ".." are no folders of their own
    if len(plain.encode()) > NAME_LIMIT:
        kept = plain.encode()[: NAME_LIMIT // 2].decode(errors="ignore")
        plain = f"{kept}-{_checksum(name)}"
    return plain


def _checksum(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """One video and the positions of the predictors that still lack it."""

    video: AnnotatedVideo
    predictors: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What all tasks share; sent once to every worker process."""

    predictors: tuple[MapSource, ...]
    homes: tuple[Path, ...]
    settings: EvaluationSettings
    frames: Mapping[str, Sequence[int]]
    pool: FixationPool | None

    def score(self, task: _Task, threads: int | None = None, progress: Progress | None = None) -> int:
        """Score one video and write its rows; returns its number of frames."""
        results = evaluate_many(
            [self.predictors[i] for i in task.predictors],
            [task.video],
            self.settings,
            frames=self.frames,
            pool=self.pool,
            threads=threads,
            progress=progress,
        )
        self._keep_movement(task)  # before the rows: they say that the video is done
        for i, result in zip(task.predictors, results, strict=True):
            write_rows(_part(self.homes[i], task.video), result.rows, self.settings.protocol.metrics)
        return len(self.frames[task.video.id])

    def _keep_movement(self, task: _Task) -> None:
        sources = [self.predictors[i] for i in task.predictors]
        moved = over_time.over_time(sources, [task.video])
        for i, source in zip(task.predictors, sources, strict=True):
            if isinstance(source, over_time.Recorded):
                score = moved.get(source.name, {}).get(task.video.id)
                over_time.save(_movement(self.homes[i], task.video), score)
                source.forget(task.video)


def _run(job: _Job, work: Sequence[_Task], processes: int, done: int, total: int, progress: Progress | None) -> None:
    def report(finished: int) -> None:
        if progress is not None:
            progress(finished, total)

    report(done)
    if processes == 1:
        for task in work:
            start = done
            done += job.score(task, progress=lambda frames, _, start=start: report(start + frames))
        return
    if job.pool is not None and job.pool.shuffled.scheme != "video":
        job.pool.fill()  # once, instead of once per process
    threads = max(1, (os.cpu_count() or 1) // processes)
    for frames in in_processes(_Job.score, [(task, 1) for task in work], processes, shared=(job,), threads=threads):
        done += frames
        report(done)


def _describe(
    predictor: MapSource,
    videos: Sequence[AnnotatedVideo],
    frames: Mapping[str, Sequence[int]],
    settings: EvaluationSettings,
) -> dict[str, Any]:
    """All that decides the numbers, as JSON values."""
    what = {
        "name": predictor.name,
        "predictor": dict(getattr(predictor, "metadata", {})),
        "protocol": dataclasses.asdict(settings.protocol),
        "videos": {video.id: len(frames[video.id]) for video in videos},
        "dataset": settings.dataset,
        "on_bad": settings.on_bad,
        **settings.facts(),
    }
    return json.loads(json.dumps(what, default=str))


def _claim(home: Path, what: Mapping[str, Any], *, restart: bool) -> None:
    """Make sure that `home` belongs to this evaluation."""
    if restart and home.is_dir():
        if not (home / RUN_FILE).is_file() and any(home.iterdir()):
            raise InputError(f"{home} is not the folder of an evaluation; it is left alone, choose another")
        shutil.rmtree(home)
    (home / PARTS).mkdir(parents=True, exist_ok=True)
    path = home / RUN_FILE
    if path.is_file():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(found, dict):
                raise ValueError("it holds no object")
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} cannot be read ({error}); start again with --restart") from error
        changed = sorted(key for key in {*found, *what} if found.get(key) != what.get(key))
        if changed:
            raise InputError(
                f"{home} holds another evaluation (other {', '.join(changed)}); choose another folder or --restart"
            )
        return
    with write_atomic(path) as file:
        json.dump(what, file, indent=2)


def _part(home: Path, video: AnnotatedVideo) -> Path:
    """Where the rows of a finished video are: two videos never share a file, whatever their names."""
    name = slug(video.id)
    return home / PARTS / f"{name if name == video.id else f'{name[:100]}-{_checksum(video.id)}'}.csv"


def _movement(home: Path, video: AnnotatedVideo) -> Path:
    return _part(home, video).with_suffix(".json")


def _done(home: Path, video: AnnotatedVideo) -> bool:
    return _part(home, video).is_file()


def _read_parts(
    home: Path, videos: Sequence[AnnotatedVideo], frames: Mapping[str, Sequence[int]], protocol: Protocol
) -> list[FrameRow]:
    rows: list[FrameRow] = []
    for video in videos:
        part = _part(home, video)
        own = read_rows(part, protocol.metrics)
        if [(row.video, row.frame) for row in own] != [(video.id, frame) for frame in frames[video.id]]:
            raise InputError(f"{part} does not hold the frames of video {video.id}; remove it and evaluate again")
        rows += own
    return rows


def _merge(home: Path, predictor: MapSource, rows: Sequence[FrameRow], settings: EvaluationSettings) -> Result:
    protocol = settings.protocol
    metadata = {
        **settings.facts(),
        "predictor": dict(getattr(predictor, "metadata", {})),
        "own_truth": isinstance(predictor, OwnTruth),
        **environment(),
    }
    result = Result(name=predictor.name, dataset=settings.dataset, protocol=protocol, rows=rows, metadata=metadata)
    result.save(home)
    warn_about(result)
    return result
