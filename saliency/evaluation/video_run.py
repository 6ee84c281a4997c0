"""Score predictors on annotated videos: every frame's ground truth is read once, however many predictors.

Predicting runs in the calling thread, reading ground truth, resizing and scoring in a few others, so they overlap.
"""

import contextlib
import hashlib
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saliency.data.video import AnnotatedVideo
from saliency.errors import InputError
from saliency.evaluation import protocols
from saliency.evaluation.map_source import MapSource, OwnTruth, Progress
from saliency.evaluation.over_time import Recorded
from saliency.evaluation.result import FrameRow, Result
from saliency.evaluation.scoring import FrameTruth, Judge
from saliency.evaluation.settings import USUAL, EvaluationSettings
from saliency.evaluation.shuffled import FixationPool
from saliency.runtime.environment import environment

log = logging.getLogger(__name__)


def evaluate(
    predictor: MapSource,
    videos: Sequence[AnnotatedVideo],
    settings: EvaluationSettings = USUAL,
    **options: Any,
) -> Result:
    """Score one predictor; `options` are those of `evaluate_many`."""
    return evaluate_many([predictor], videos, settings, **options)[0]


def evaluate_many(
    predictors: Sequence[MapSource],
    videos: Sequence[AnnotatedVideo],
    settings: EvaluationSettings = USUAL,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
    pool: FixationPool | None = None,
    frames: Mapping[str, Sequence[int]] | None = None,
) -> list[Result]:
    """Score several predictors on the same frames.

    Args:
        predictors: each with a name of its own.
        videos: those to score.
        settings: all else that decides the numbers.
        threads: threads that read ground truth and score; default one per core, at most 8.
        progress: called after each frame.
        pool: where shuffled negatives come from; default the scored frames of `videos`. Give the pool of all
            videos when this call scores only some of them; oddities are then left to the caller to report.
        frames: video id -> the frames to score, as `frames_to_score` gives them; default that of `videos`.

    Returns:
        One result per predictor, in their order.

    Raises:
        InputError: no videos or frames, names used twice, unusable ground truth or prediction.
    """
    names = [predictor.name for predictor in predictors]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two predictors are called '{name}'; give each a name of its own")
    if not predictors or not videos:
        raise InputError(f"nothing to evaluate: {len(predictors)} predictors on {len(videos)} videos")
    for video in videos:
        if not video.annotated:
            raise InputError(f"video {video.id} has no ground truth to score against; take an annotated split")
    part = pool is not None
    protocol = settings.protocol
    if frames is None:
        frames = frames_to_score(videos, protocol, every=settings.every, seed=settings.seed)
    if pool is None and protocol.shuffled is not None:
        pool = FixationPool(videos, frames, protocol.shuffled, settings.seed)
    baseline = None if settings.baseline is None else settings.baseline.map
    watch = next((source.viewers.see for source in predictors if isinstance(source, Recorded)), None)
    judge = Judge(protocol=protocol, pool=pool, baseline=baseline, on_bad=settings.on_bad, watch=watch)

    def score_frame(video: AnnotatedVideo, frame: int, preds: Sequence[Tensor]) -> list[FrameRow]:
        truth: FrameTruth | None = None
        rows = []
        for predictor, pred in zip(predictors, preds, strict=True):
            if isinstance(predictor, OwnTruth):
                judged = judge.make_truth(video, frame, *predictor.truth(video, frame))
            else:
                truth = truth or judge.load_truth(video, frame)
                judged = truth
            rows.append(judge.score(pred, judged, size=video.size, predictor=predictor.name))
        return rows

    total = sum(len(frames[video.id]) for video in videos)
    rows: list[list[FrameRow]] = [[] for _ in predictors]

    def collect(scored: list[FrameRow]) -> None:
        for own, row in zip(rows, scored, strict=True):
            own.append(row)
        if progress is not None:
            progress(len(rows[0]), total)

    with _Workers(threads) as workers:
        for video in videos:
            for frame, preds in _in_step(predictors, video, frames[video.id]):
                for scored in workers.submit(score_frame, video, frame, preds):
                    collect(scored)
        for scored in workers.drain():
            collect(scored)
    if not total:
        raise InputError("the videos have no frames to score; check `every` and the videos")

    common = {**settings.facts(), **environment()}
    results = []
    for predictor, own in zip(predictors, rows, strict=True):
        metadata = {**common, "predictor": dict(getattr(predictor, "metadata", {}))}
        metadata["own_truth"] = isinstance(predictor, OwnTruth)
        result = Result(name=predictor.name, dataset=settings.dataset, protocol=protocol, rows=own, metadata=metadata)
        if not part:
            warn_about(result)
        results.append(result)
    return results


def frames_to_score(
    videos: Sequence[AnnotatedVideo], protocol: protocols.Protocol, *, every: int = 1, seed: int = 0
) -> dict[str, list[int]]:
    """Return the frames of each video id that an evaluation scores, in increasing order.

    Raises:
        InputError: `every` is below 1, or two videos share an id.
    """
    if every < 1:
        raise InputError(f"every must be at least 1, got {every}")
    frames = {video.id: list(range(0, video.num_frames, every)) for video in videos}
    if len(frames) < len(videos):
        raise InputError("two videos have the same id; evaluate the data sets one at a time")
    total = sum(map(len, frames.values()))
    if protocol.max_frames is None or total <= protocol.max_frames:
        return frames
    every_frame = [(video, frame) for video, own in sorted(frames.items()) for frame in own]
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(f"{seed}\0subset".encode()).digest()[:8], "little"))
    chosen: dict[str, list[int]] = {video: [] for video in frames}
    for position in sorted(rng.choice(total, protocol.max_frames, replace=False).tolist()):
        video, frame = every_frame[position]
        chosen[video].append(frame)
    return chosen


def _in_step(
    predictors: Sequence[MapSource], video: AnnotatedVideo, frames: Sequence[int]
) -> Iterator[tuple[int, list[Tensor]]]:
    """Yield (frame, one map per predictor): the predictors advance together, so no map waits in memory."""
    streams = [iter(predictor.maps(video, frames)) for predictor in predictors]
    try:
        for frame in frames:
            preds = []
            for predictor, stream in zip(predictors, streams, strict=True):
                found, pred = next(stream, (None, None))
                if found != frame or pred is None:
                    got = "nothing" if found is None else f"frame {found}"
                    raise InputError(f"{predictor.name}, video {video.id}: gave {got} where frame {frame} was due")
                preds.append(pred)
            yield frame, preds
    finally:
        for stream in streams:
            if isinstance(stream, contextlib.AbstractContextManager) or hasattr(stream, "close"):
                stream.close()  # type: ignore[attr-defined]  # generators hold open videos


class _Workers:
    """A few threads that score; results come back in the order of submission and memory stays bounded."""

    def __init__(self, threads: int | None) -> None:
        self.threads = max(1, min(8, os.cpu_count() or 1) if threads is None else threads)
        self._pending: deque[Future[list[FrameRow]]] = deque()

    def __enter__(self) -> "_Workers":
        # Each thread computes alone: threads that start threads of their own get in each other's way, on a busy
        # machine by a factor of ten.
        before, ready = torch.get_num_threads(), threading.Barrier(self.threads + 1)

        def start() -> None:
            torch.set_num_threads(1)
            ready.wait()

        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="score", initializer=start)
        for _ in range(self.threads):
            self._pool.submit(int)  # starts a thread
        ready.wait()
        torch.set_num_threads(before)
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def submit(self, task: Callable[..., list[FrameRow]], *arguments: object) -> Iterator[list[FrameRow]]:
        """Start a task; yield what must be collected before the next may start."""
        self._pending.append(self._pool.submit(task, *arguments))
        while len(self._pending) > 3 * self.threads or (self._pending and self._pending[0].done()):
            yield self._pending.popleft().result()

    def drain(self) -> Iterator[list[FrameRow]]:
        """Yield what is left."""
        while self._pending:
            yield self._pending.popleft().result()


def oddities(result: Result) -> str:
    """Say how many frames were not like the others, e.g. ``"3 frames without fixations"``; empty if none."""
    counts = result.flag_counts()
    reasons = {
        "no_fixations": "frames without usable fixations",
        "no_density": "frames without a density map",
        "bad_pred": "frames with a NaN or infinite prediction",
        "constant_pred": "frames with a constant prediction",
        "outside_points": "gaze points outside the image",
    }
    if "maps" in result.metadata.get("predictor", {}):  # models have sizes of their own, files should have the video's
        reasons["resized_pred"] = "maps of another size than the video, resized to it"
    return ", ".join(f"{counts[flag]} {reason}" for flag, reason in reasons.items() if counts[flag])


def warn_about(result: Result) -> None:
    """Log the oddities of a result, and warn if there is no shuffled AUC at all."""
    if told := oddities(result):
        log.info("%s on %s, %d frames: %s", result.name, result.dataset, len(result.rows), told)
    found = result.summary().get("auc_shuffled")
    if found is not None and not found.n_valid and found.n_bad < found.n_total:
        log.warning(
            "%s on %s: no shuffled AUC, because no other video lends it negatives; "
            "use --shuffled video (protocol.with_shuffled)",
            result.name,
            result.dataset,
        )
