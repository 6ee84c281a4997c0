"""The thread works ahead, hands errors on and stops when nobody listens."""

import threading
import time

import pytest

from saliency.io.prefetch import prefetch


def test_order_and_errors_are_kept():
    def items():
        yield from range(5)
        raise OSError("broken")

    got = []
    with pytest.raises(OSError, match="broken"):
        for item in prefetch(items(), depth=2):
            got.append(item)
    assert got == list(range(5))
    assert list(prefetch(iter([]), depth=1)) == []


def test_it_works_ahead_but_not_far():
    made = []

    def items():
        for i in range(100):
            made.append(i)
            yield i

    stream = prefetch(items(), depth=3)
    assert next(stream) == 0
    deadline = time.monotonic() + 5
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert 4 <= len(made) <= 6
    stream.close()


def test_leaving_early_ends_the_thread_and_closes_the_source():
    closed = threading.Event()

    def items():
        try:
            yield from range(1000)
        finally:
            closed.set()

    stream = prefetch(items(), depth=1)
    next(stream)
    stream.close()
    assert closed.is_set()
    assert not any(t.name == "prefetch" for t in threading.enumerate())
