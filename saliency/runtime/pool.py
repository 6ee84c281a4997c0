"""The one process pool: the same work on many jobs, in this process or in several."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

T = TypeVar("T")

_shared: tuple[Any, ...] = ()  # of a worker process, set once when it starts


def in_processes(
    work: Callable[..., T],
    jobs: Sequence[tuple[Any, ...]],
    processes: int,
    *,
    shared: tuple[Any, ...] = (),
    threads: int | None = None,
    ordered: bool = False,
) -> Iterator[T]:
    """Yield ``work(*shared, *job)`` of every job.

    The first error, and Ctrl-C, end it: jobs that run are finished, others are not begun. Workers are fresh
    processes, so `work` must be a function that they can import.

    Args:
        work: does one job.
        jobs: the arguments of each.
        processes: how many; below 2 the work is done in this process.
        shared: arguments of all jobs, sent once to each process.
        threads: threads that torch may use in each process; None leaves it alone.
        ordered: yield in the order of `jobs`, else in the order they finish.
    """
    if processes < 2:
        yield from (work(*shared, *job) for job in jobs)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, spawn, initializer=_begin, initargs=(shared, threads)) as pool:
        try:
            futures: list[Future[T]] = [pool.submit(_do, work, job) for job in jobs]
            yield from (future.result() for future in (futures if ordered else as_completed(futures)))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _begin(shared: tuple[Any, ...], threads: int | None) -> None:
    global _shared
    _shared = shared
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent; the jobs at work are finished
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def _do(work: Callable[..., T], job: tuple[Any, ...]) -> T:
    return work(*_shared, *job)
