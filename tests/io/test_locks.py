"""Locks between processes, also by the way that Windows has, which is played here by a stand-in for its module."""

import fcntl
import os
import sys
import types

import pytest

from saliency.errors import InputError
from saliency.io import locks
from saliency.io.partial import Partial


@pytest.fixture
def windows(monkeypatch):
    """No fcntl; a module msvcrt that locks as Windows does, one byte of an open file."""

    def locking(handle: int, mode: int, count: int) -> None:
        assert (mode, count) == (2, 1) and os.lseek(handle, 0, os.SEEK_CUR) > 2**32
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PermissionError(13, "Permission denied") from error

    monkeypatch.setitem(sys.modules, "msvcrt", types.SimpleNamespace(locking=locking, LK_NBLCK=2))
    monkeypatch.setattr(locks, "SEES_THE_FILE", False)


def check(path) -> None:
    first, second = (os.open(path, os.O_RDWR | os.O_CREAT) for _ in range(2))
    locks.lock(first, wait=False)
    with pytest.raises(BlockingIOError):
        locks.lock(second, wait=False)
    os.close(first)
    locks.lock(second, wait=True)
    os.close(second)
    assert path.stat().st_size == 0


def test_one_holds_it_and_lets_it_go(tmp_path):
    check(tmp_path / "lock")


def test_one_holds_it_on_windows(tmp_path, windows):
    check(tmp_path / "lock")


@pytest.mark.parametrize("folder", [False, True])
def test_a_part_has_one_writer_on_windows(tmp_path, windows, folder):
    part = Partial(tmp_path / "a.x", folder=folder)
    with pytest.raises(InputError, match=r"a\.x: somebody else is writing it"):
        Partial(tmp_path / "a.x", folder=folder)
    (part.path / "b" if folder else part.path).write_text("new")
    part.finish()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.x"]
    again = Partial(tmp_path / "a.x", folder=folder)
    again.discard()
    found = tmp_path / "a.x" / "b" if folder else tmp_path / "a.x"
    assert found.read_text() == "new" and len(list(tmp_path.iterdir())) == 1
