"""Work dealt out to processes of Ray, on this machine or on a cluster that shares the folders (the extra ``ray``).

Each process loads the models once. A pack whose process dies is given to another one.
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from saliency.errors import InputError
from saliency.inference.ensemble import Ensemble
from saliency.inference.journal import Job
from saliency.inference.many import Outcome, Work, run_jobs
from saliency.inference.predictor import Predictor

log = logging.getLogger(__name__)

TRIES = 3
"""Processes that may die over a pack before it is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that a process needs; can be sent to it.

    Attributes:
        build: loads the models.
        work: what to do with each source.
        explain: see `saliency.inference.many.run_jobs`.
    """

    build: Callable[[], Predictor | Ensemble]
    work: Work
    explain: Callable[[Exception], str | None]


class Worker:
    """What lives in a process: the models."""

    def __init__(self, recipe: Recipe, threads: int) -> None:
        """Load the models."""
        import torch

        torch.set_num_threads(threads)
        self._recipe, self._predictor = recipe, recipe.build()

    def do(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Do a pack."""
        recipe = self._recipe
        return list(run_jobs(jobs, self._predictor, recipe.work, explain=recipe.explain))

    def process(self) -> int:
        """Return the number of the process."""
        return os.getpid()


def run_with_ray(rows: Sequence[Sequence[Job]], recipe: Recipe, *, workers: int, gpus: float = 0) -> Iterator[Outcome]:
    """Do packs in processes of Ray.

    Args:
        rows: the packs.
        recipe: what each process needs.
        workers: how many processes.
        gpus: of each.

    Yields:
        How it went with each source, packs in the order in which they finish.

    Raises:
        InputError: Ray is not installed, or cannot be started.
    """
    ray = _ray()
    import torch

    begun_here = not ray.is_initialized()
    if begun_here:
        address = os.environ.get("RAY_ADDRESS")
        given: dict[str, Any] = {} if address else {"num_cpus": max(workers, os.cpu_count() or 1)}
        try:
            ray.init(logging_level=logging.ERROR, include_dashboard=False, log_to_driver=False, **given)
        except Exception as error:  # Ray raises what has no name of its own
            raise InputError(f"Ray cannot be started ({error}); try again, or leave --engine ray out") from error
    start = partial(ray.remote(num_cpus=1, num_gpus=gpus)(Worker).remote, recipe, torch.get_num_threads())
    try:
        yield from _deal(ray, start, min(workers, len(rows)), rows)
    finally:
        if begun_here:
            ray.shutdown()


def _deal(ray: Any, start: Callable[[], Any], count: int, rows: Sequence[Sequence[Job]]) -> Iterator[Outcome]:
    waiting = deque((row, 1) for row in rows)
    free, running = deque(start() for _ in range(count)), {}
    while waiting or running:
        while waiting and free:
            actor, (row, tries) = free.popleft(), waiting.popleft()
            running[actor.do.remote(row)] = actor, row, tries
        (ready,), _ = ray.wait(list(running), num_returns=1)
        actor, row, tries = running.pop(ready)
        try:
            outcomes = ray.get(ready)
        except (ray.exceptions.RayActorError, ray.exceptions.RaySystemError) as error:
            log.warning("a process died over %s and %d more sources", row[0].source, len(row) - 1)
            ray.kill(actor)
            free.append(start())  # one that Ray starts again refuses work until it is there
            if tries < TRIES:
                waiting.append((row, tries + 1))
                continue
            told = f"the process died {TRIES} times over it ({type(error).__name__}); is there enough memory?"
            outcomes = [Outcome(job=job, problem=f"{job.source}: {told}") for job in row]
        except ray.exceptions.RayTaskError as error:
            raise error.as_instanceof_cause() from None
        else:
            free.append(actor)
        yield from outcomes


def _ray() -> Any:
    try:
        import ray  # pyright: ignore[reportMissingImports]  # an extra that is not needed to check the rest
    except ImportError as error:
        raise InputError("--engine ray needs Ray, which is not here: pip install 'video-saliency[ray]'") from error
    return ray
