"""Let threads do what a loop hands them, while it goes on."""

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

MANY = max(2, min(8, os.cpu_count() or 1))
"""Threads for work that can be done in any order."""


class Behind:
    """Does work in threads and hands their first error back. Use it as a context manager.

    Worth it when the work releases the interpreter lock, as encoding and compressing do. One thread keeps the order.
    Of what is handed over when work fails nothing more is begun. Leaving the ``with`` waits for what was handed over
    before, also when the body raises.
    """

    def __init__(self, threads: int = 1, waiting: int = 4) -> None:
        """Start no thread yet.

        Args:
            threads: how many.
            waiting: how much work may wait for a thread before `do` does.
        """
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="behind")
        self._most = threads + waiting
        self._pending: deque[Future[None]] = deque()
        self._failed = threading.Event()

    def do(self, work: Callable[..., None], *arguments: object) -> None:
        """Hand work over; wait if too much is waiting.

        Raises:
            BaseException: earlier work did.
        """
        while self._pending and (self._pending[0].done() or len(self._pending) >= self._most):
            self._pending.popleft().result()
        self._pending.append(self._executor.submit(self._try, work, arguments))

    def finish(self) -> None:
        """Wait for all that was handed over.

        Raises:
            BaseException: work did.
        """
        self._executor.shutdown()
        while self._pending:
            self._pending.popleft().result()

    def _try(self, work: Callable[..., None], arguments: tuple[object, ...]) -> None:
        if self._failed.is_set():
            return
        try:
            work(*arguments)
        except BaseException:
            self._failed.set()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._executor.shutdown()
        if error is None:
            self.finish()
