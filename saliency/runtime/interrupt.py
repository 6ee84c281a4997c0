"""Ctrl-C and SIGTERM ask the loop to stop at the end of the step it is in."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

EXIT_STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}


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
