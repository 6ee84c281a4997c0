"""What a user can mend, in one line: full disks, missing rights, too little memory, killed helpers, no text.

Everything else is a bug and shows its traceback.
"""

import errno
import re
from concurrent.futures import BrokenExecutor

from saliency.errors import InputError

REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space or name another folder",
    errno.EDQUOT: "your share of the disk is full; free some space or name another folder",
    errno.EFBIG: "the file would be larger than is allowed here; name another disk",
    errno.EACCES: "no permission; change its rights (chmod, chown) or name another place",
    errno.EPERM: "not permitted; change its rights (chmod, chown) or name another place",
    errno.EROFS: "the disk can only be read; name another place",
    errno.EIO: "the disk cannot read or write it; look at the disk, then try again",
    errno.ENOENT: "there is no such file or folder; look at its name",
    errno.EEXIST: "is there already; move it away or name another place",
    errno.ENOTDIR: "a part of the path is a file, not a folder; name another place",
    errno.EISDIR: "is a folder where a file is wanted; name another place",
    errno.ENAMETOOLONG: "the name is too long for the disk; choose a shorter one",
    errno.EMFILE: "too many open files; raise `ulimit -n` or use fewer workers",
    errno.ENFILE: "too many open files on this machine; close other programs",
    errno.ENOMEM: "out of memory; close other programs, or lower the batch size and the number of workers",
    errno.ELOOP: "symbolic links lead in a circle; name the file itself",
}
"""What each number of an error of the system means for the user."""

NO_MEMORY = "lower the batch size and the number of workers, or close other programs"


def explain(error: BaseException) -> str | None:
    """Return what went wrong and what to do, in one line; None where it is a bug.

    Args:
        error: what a command raised.
    """
    words = _of_kind(error)
    if words is None:
        return None
    return " ".join("; ".join([words, *getattr(error, "__notes__", [])]).split())


def _of_kind(error: BaseException) -> str | None:
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"out of memory{f' ({error})' if str(error) else ''}; {NO_MEMORY}"
    if isinstance(error, UnicodeDecodeError):
        return f"a file that should be text is not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8"
    if isinstance(error, UnicodeEncodeError):
        return f"text cannot be written here ({error.reason}); set PYTHONIOENCODING=utf-8 and a UTF-8 locale"
    if isinstance(error, BrokenExecutor):
        return f"a worker process was ended from outside, perhaps for lack of memory; {NO_MEMORY}"
    if isinstance(error, OSError):
        return _of_system(error)
    if isinstance(error, RuntimeError):
        return _of_torch(error)
    return None


def _of_system(error: OSError) -> str:
    remedy = REMEDIES.get(error.errno or 0)
    told = error.strerror or str(error) or type(error).__name__
    if remedy is None:
        remedy = f"{told}; look at the disk and its rights, then try again"
    place = f"{error.filename}: " if error.filename else "" if error.errno in REMEDIES else "a file: "
    return f"{place}{remedy}"


def _of_torch(error: RuntimeError) -> str | None:
    text = " ".join(str(error).split())
    if type(error).__name__ == "OutOfMemoryError":
        return f"the GPU is out of memory; {NO_MEMORY}"
    if "can't allocate memory" in text or "not enough memory" in text:
        wanted = re.search(r"allocate (\d+) bytes", text)
        size = f" ({int(wanted[1]) / 2**30:.1f} GiB were asked for at once)" if wanted else ""
        return f"out of memory{size}; {NO_MEMORY}"
    if text.startswith("DataLoader worker") or "DataLoader worker (pid" in text:
        return f"a loader process was ended from outside, perhaps for lack of memory; {NO_MEMORY} (train.workers)"
    if "PytorchStreamWriter" in text or ("inline_container" in text and "write" in text):
        return "a file could not be written to its end; free some space or name another folder"
    return None
