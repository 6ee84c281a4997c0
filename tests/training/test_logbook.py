"""What people watch, on a disk that is full."""

import errno
import threading

import pytest
from tensorboard.summary.writer.record_writer import RecordWriter

from saliency.training.logbook import Logbook
from saliency.training.run_log import LOG, read_log

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def full_disk(monkeypatch):
    """Curves cannot be written; returns when TensorBoard's thread has met that."""
    met = threading.Event()

    def write(self, data):
        met.set()
        raise FULL

    def fill():
        monkeypatch.setattr(RecordWriter, "write", write)
        return met

    return fill


@pytest.fixture
def shown(monkeypatch):
    """The errors of threads that Python would show with their traceback."""
    errors = []
    monkeypatch.setattr(threading, "excepthook", lambda what: errors.append(what.exc_type))
    return errors


def test_a_full_disk_met_by_the_thread_of_the_curves_is_one_error_and_no_traceback(tmp_path, full_disk, shown):
    hook = threading.excepthook
    with pytest.raises(OSError, match="No space left"), Logbook(tmp_path) as logbook:
        logbook.begin("scratch", 9, 0)
        met = full_disk()
        logbook.step("scratch", 1, {"loss/a": 0.5}, samples=4)
        assert met.wait(10)
        for step in range(2, 100):
            logbook.step("scratch", step, {"loss/a": 0.5}, samples=4)
    assert not shown
    assert len(read_log(tmp_path / LOG)) < 99  # it ended at the next line, not at the end
    assert threading.excepthook is hook


def test_the_last_curves_count_too(tmp_path, full_disk, shown):
    with pytest.raises(OSError, match="No space left"), Logbook(tmp_path) as logbook:
        logbook.begin("scratch", 9, 0)
        full_disk()
        logbook.scores("scratch", "a", 9, {"cc": 0.5})
    assert not shown
    assert len(read_log(tmp_path / LOG)) == 1


def test_the_first_error_is_the_one_to_tell(tmp_path, full_disk):
    with pytest.raises(ZeroDivisionError), Logbook(tmp_path) as logbook:
        logbook.begin("scratch", 9, 0)
        full_disk()
        logbook.scores("scratch", "a", 9, {"cc": 1 / 2})
        raise ZeroDivisionError


def test_the_error_of_another_thread_is_shown_as_ever(tmp_path, shown):
    with Logbook(tmp_path):
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
    assert shown == [ZeroDivisionError]
