"""Ctrl-C and SIGTERM: commands tidy up and end; the training loop stops at the end of the step it is in."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

EXIT_STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived; what tidies up after Ctrl-C does so after it, too."""

    exit_status = EXIT_STATUS[signal.SIGTERM]


def stop_on_sigterm() -> None:
    """Let SIGTERM raise `Terminated` in the main thread of this process; a second one ends it at once."""
    if threading.current_thread() is not threading.main_thread():
        return
    process = os.getpid()

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if os.getpid() != process:  # a process that was forked off: it ends as it would have
            os.kill(os.getpid(), signal.SIGTERM)
            return
        raise Terminated("stopped by SIGTERM")

    signal.signal(signal.SIGTERM, handle)


class Interrupted(Exception):
    """The run was asked to stop and has saved where it is."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_status = EXIT_STATUS[signal.Signals(number)]


@dataclass(slots=True)
class StopRequest:
    """Holds the signal that arrived, if any."""

    signal: int | None = None


@contextmanager
def listen() -> Iterator[StopRequest]:
    """Catch SIGINT and SIGTERM; a second one of them ends the process at once."""
    request = StopRequest()
    before = {number: signal.getsignal(number) for number in EXIT_STATUS}

    def handle(number: int, frame: FrameType | None) -> None:
        request.signal = number
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in EXIT_STATUS:
        signal.signal(number, handle)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
