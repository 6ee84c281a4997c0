"""Let a thread work ahead of a loop."""

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.1


def prefetch(items: Iterator[T], depth: int) -> Iterator[T]:
    """Yield what `items` yields while a thread is already working on the next ones.

    Worth it when `items` releases the interpreter lock, as decoding does. An error in `items` is raised here
    after everything that came before it. When the loop is left early the thread stops.

    Args:
        items: an iterator that nobody else uses.
        depth: how many items may wait, at least 1.
    """
    waiting: queue.Queue[tuple[str, T | BaseException | None]] = queue.Queue(maxsize=depth)
    left = threading.Event()

    def put(kind: str, value: T | BaseException | None) -> None:
        while not left.is_set():
            try:
                waiting.put((kind, value), timeout=_POLL_SECONDS)
                return
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                put("item", item)
                if left.is_set():
                    break
            put("end", None)
        except BaseException as error:
            put("error", error)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    thread = threading.Thread(target=work, daemon=True, name="prefetch")
    thread.start()
    try:
        while True:
            kind, value = waiting.get()
            if kind == "end":
                return
            if kind == "error":
                assert isinstance(value, BaseException)
                raise value
            yield value  # type: ignore[misc]
    finally:
        left.set()
        thread.join()
