"""Work in threads: its order, its first error, and how much may wait."""

import threading

import pytest

from saliency.io.behind import Behind


def test_one_thread_keeps_the_order_and_leaving_waits():
    done = []
    with Behind() as behind:
        for number in range(50):
            behind.do(done.append, number)
    assert done == list(range(50))


def test_nothing_is_begun_after_an_error_and_it_is_handed_back():
    done = []

    def work(number):
        if number == 2:
            raise OSError("full")
        done.append(number)

    with pytest.raises(OSError, match="full"), Behind(waiting=20) as behind:
        for number in range(10):
            behind.do(work, number)
    assert done == [0, 1]


def test_what_was_handed_over_is_done_when_the_body_raises():
    done = []
    with pytest.raises(KeyboardInterrupt), Behind() as behind:
        for number in range(3):
            behind.do(done.append, number)
        raise KeyboardInterrupt
    assert done == [0, 1, 2]


def test_little_waits():
    gate, begun = threading.Event(), []

    def work(number):
        begun.append(number)
        gate.wait(10)

    with Behind(threads=2, waiting=1) as behind:
        for number in range(3):
            behind.do(work, number)
        fourth = threading.Thread(target=behind.do, args=(work, 3))
        fourth.start()
        fourth.join(0.05)
        assert fourth.is_alive() and 3 not in begun
        gate.set()
        fourth.join(10)
    assert sorted(begun) == [0, 1, 2, 3]
