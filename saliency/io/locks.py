"""Locks between processes, on an open file: they go with the process that holds them, however it ends."""

import importlib
import importlib.util
import os
import time

SEES_THE_FILE = importlib.util.find_spec("fcntl") is not None
"""Whether a locked file can be renamed and a folder can be locked (POSIX); Windows can neither."""

_BYTE = 2**40
"""Windows locks bytes, and nobody else may touch them: one far behind anything that is written."""


def lock(handle: int, *, wait: bool) -> None:
    """Lock an open file for this process until it is closed.

    Args:
        handle: its descriptor.
        wait: until whoever holds it lets it go.

    Raises:
        BlockingIOError: another holds it, and `wait` is False.
        OSError: it cannot be locked; errno ENOLCK or ENOTSUP where the disk has no locks.
    """
    if SEES_THE_FILE:
        fcntl = importlib.import_module("fcntl")
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    msvcrt = importlib.import_module("msvcrt")
    while True:
        os.lseek(handle, _BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            break
        except PermissionError as error:
            if not wait:
                raise BlockingIOError(error.errno, "another process holds it") from error
            time.sleep(0.1)
    os.lseek(handle, 0, os.SEEK_SET)
