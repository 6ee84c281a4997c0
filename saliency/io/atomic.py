"""Write a file so that a killed process leaves the old one or the new one, never half of one."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO


@contextlib.contextmanager
def replacing(path: str | Path, *, sync: bool = True) -> Iterator[Path]:
    """Yield a new empty file beside `path` to write to; it takes the name when the block ends well.

    Its name starts with a dot, is like no other and ends in the suffix of `path`. What was written is on the disk
    before it takes the name. When the block raises, the new file is removed and an old one of that name stays.

    Args:
        path: the name.
        sync: False where many files are written that the caller has put on the disk later.

    Raises:
        OSError: the file cannot be made, completed or renamed.
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:100]}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        if sync:
            put_on_disk(temporary)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):  # the first error is the one to hear of
            temporary.unlink(missing_ok=True)
        raise
    if sync:
        put_on_disk(path.parent)


@contextlib.contextmanager
def write_atomic(path: str | Path) -> Iterator[TextIO]:
    """Open a temporary file beside `path` for writing text, see `replacing`.

    Line ends are written as given (what `csv` wants).
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        yield file


def put_on_disk(path: Path) -> None:
    """Make a file, or the names in a folder, survive a power cut; folders only where the system can open them.

    Raises:
        OSError: that failed.
    """
    if os.name != "posix" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
