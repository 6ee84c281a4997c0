"""Files and folders that take long to write: ``NAME.partial.EXT`` until they are complete, then ``NAME.EXT``.

What was complete before stays until the new one is: an interruption, a full disk or a damaged source leaves the old
file and a part beside it that can be looked at.
"""

import contextlib
import ctypes
import errno
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from saliency.errors import InputError
from saliency.io import locks
from saliency.io.atomic import put_on_disk

NAME_LIMIT = 200
"""Bytes of a name to which suffixes may still be added: file systems take 255 for the whole."""


def fitting(name: str, limit: int = NAME_LIMIT) -> str:
    """Return `name`, or, if it is longer than `limit` bytes, its beginning and a checksum of all of it."""
    if len(name.encode(errors="surrogateescape")) <= limit:
        return name
    checksum = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:12]
    kept = name.encode(errors="surrogateescape")[: limit - len(checksum) - 1].decode(errors="ignore")
    return f"{kept}-{checksum}"


def partial_path(path: Path) -> Path:
    """Where what becomes `path` is written until it is complete."""
    return path.with_name(f"{path.stem}.partial{path.suffix}")


class Partial:
    """Holds ``NAME.partial.EXT`` for one process and one writer until it is finished, kept or discarded.

    Attributes:
        target: the name it takes when it is complete.
        path: where to write: an empty file, or a folder.
    """

    def __init__(self, target: str | Path, *, folder: bool = False) -> None:
        """Begin. A file that an earlier, unfinished attempt left is emptied; a folder is as it was, see `empty`.

        Args:
            target: its folder must exist.
            folder: whether it is a folder.

        Raises:
            InputError: it cannot be made, or somebody else is writing it.
        """
        self.target, self.path, self.is_folder = Path(target), partial_path(Path(target)), folder
        for place in (self.target, self.path):
            if place.exists() and place.is_dir() != folder:
                raise InputError(f"{place}: is {'no' if folder else 'a'} folder; move it away or choose another name")
        try:
            self._lock: int | None = self._claim()
        except OSError as error:
            raise InputError(f"{target}: cannot be written ({error.strerror or error})") from error

    def empty(self) -> None:
        """Remove what a folder holds.

        Raises:
            OSError: that failed.
        """
        _empty(self.path)

    @property
    def open(self) -> bool:
        """Whether it is neither finished nor kept nor discarded."""
        return self._lock is not None

    def finish(self) -> None:
        """Put all of it on the disk and give it its name; an older file or folder of that name goes.

        Raises:
            OSError: that failed; the older one and the part are both there.
        """
        if self._lock is None:
            return
        _sync(self.path)
        if self.is_folder and self.target.is_dir():
            _exchange(self.path, self.target)
            if self.path.is_symlink():  # the older one, by now
                self.path.unlink()
            else:
                _empty(self.path)
                self.path.rmdir()
        else:
            self.path.replace(self.target)
        put_on_disk(self.target.parent)
        self._release()

    def keep(self) -> None:
        """Leave it as it is, under its partial name."""
        self._release()

    def discard(self) -> None:
        """Remove it."""
        if self._lock is None:
            return
        with contextlib.suppress(OSError):
            shutil.rmtree(self.path) if self.is_folder else self.path.unlink(missing_ok=True)
        self._release()

    def _claim(self) -> int:
        """Make the file or folder and lock it: the descriptor that holds the lock."""
        if not locks.SEES_THE_FILE:
            return self._claim_beside()
        while True:
            if self.is_folder:
                self.path.mkdir(exist_ok=True)
                lock = os.open(self.path, os.O_RDONLY)
            else:
                lock = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                locks.lock(lock, wait=False)
                if self.path.exists() and os.path.samestat(os.fstat(lock), self.path.stat()):
                    if not self.is_folder:
                        os.ftruncate(lock, 0)
                    return lock
            except BlockingIOError as error:
                os.close(lock)
                raise self._taken() from error
            except OSError as error:
                if error.errno in (errno.ENOLCK, errno.ENOTSUP):  # a disk without locks
                    return lock
                os.close(lock)
                raise
            os.close(lock)  # the one before has just finished and renamed it: try again

    def _claim_beside(self) -> int:
        """The same by a file of its own, where a locked file could not take its name."""
        lock = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            locks.lock(lock, wait=False)
            if self.is_folder:
                self.path.mkdir(exist_ok=True)
            else:
                self.path.write_bytes(b"")
        except BlockingIOError as error:
            os.close(lock)
            raise self._taken() from error
        except OSError:
            os.close(lock)
            raise
        return lock

    @property
    def _lock_file(self) -> Path:
        return self.path.with_name(f".{self.path.name}.lock")

    def _taken(self) -> InputError:
        return InputError(f"{self.target}: somebody else is writing it at this moment; wait, or write to another place")

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
            if not locks.SEES_THE_FILE:
                with contextlib.suppress(OSError):  # the next one has it open already
                    self._lock_file.unlink()


def _empty(folder: Path) -> None:
    """Remove what a folder holds, hidden files last: they tell what the others are if this is interrupted."""
    for old in sorted(folder.iterdir(), key=lambda path: path.name.startswith(".")):
        shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()


def _sync(path: Path) -> None:
    """Have a file, or a folder and all that it holds, on the disk."""
    if path.is_dir():
        for below in path.rglob("*"):
            if not below.is_symlink():
                put_on_disk(below)
    put_on_disk(path)


def _exchange(new: Path, old: Path) -> None:
    """Let two folders swap their names, in one step where the system can."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # TypeError: Windows knows no such library
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
        here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
        if renameat2(here, os.fsencode(new), here, os.fsencode(old), swap) == 0:
            return
    aside = Path(tempfile.mkdtemp(dir=old.parent, prefix=f".{old.name[:100]}."))
    old.replace(aside)
    new.replace(old)
    aside.replace(new)
