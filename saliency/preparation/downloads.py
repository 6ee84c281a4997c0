"""Bring open data onto this machine: every file checked against its git blob id, all of a set or nothing.

Files come from the public repository at its pinned commit, or from a folder that has them. They are gathered in a
hidden folder beside the place of the set, which goes on where an interrupted attempt stopped; when all are there and
converted, the set takes its name in one step.
"""

import contextlib
import errno
import hashlib
import http.client
import os
import shutil
import ssl
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from urllib.parse import quote

from saliency.errors import InputError
from saliency.io import locks
from saliency.io.data_folder import VARIABLE, data_folder
from saliency.preparation.open_data import PinnedFile, Register, Source

RAW = "https://raw.githubusercontent.com"
"""Where single files of public repositories are read."""

ATTRIBUTION = "ATTRIBUTION.md"

CONNECTIONS = 4
TIMEOUT = 30.0  # seconds without a byte
PAUSES = (0.5, 2.0)  # seconds before the second and the third attempt

UNREACHABLE = (urllib.error.URLError, ConnectionError, TimeoutError, ssl.SSLError, http.client.HTTPException)
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR)

Progress = Callable[[int, int], None]
"""Called with the number of files that are there and the number of all."""


def get(source: Source, *, given: Path | None = None, progress: Progress | None = None, base: str = RAW) -> Path:
    """Bring a set into the data folder; return its folder. One that is there is left alone.

    Args:
        source: what to get.
        given: a folder that has the files, wherever they lie below it; None downloads them.
        progress: told after each file.
        base: address below which ``OWNER/NAME/COMMIT/PATH`` is read.

    Raises:
        InputError: a file is missing, differs from the pinned one or cannot be fetched, or the folder cannot be
            written.
    """
    target = data_folder() / source.folder
    if is_here(source):
        return target
    if target.exists():
        raise InputError(f"{target} is in the way: it is no {source.name} (no {source.needed} in it); move it away")
    part = target.with_name(f".{target.name}.part")
    with _writing(target), _alone(part):
        if target.exists():  # another process was at it
            return target
        register, originals = source.pinned(), part / "originals"
        if given is None:
            _download(source, register, originals, base, progress)
        else:
            _copy(source, register, given, originals, progress)
        ready = originals
        if source.convert is not None:
            ready = part / "converted"
            shutil.rmtree(ready, ignore_errors=True)
            ready.mkdir()
            source.convert(originals, ready)
        (ready / ATTRIBUTION).write_text(source.attribution(), encoding="utf-8")
        ready.rename(target)
        shutil.rmtree(part)
    return target


def is_here(source: Source) -> bool:
    """Whether a set is in the data folder."""
    return (data_folder() / source.folder / source.needed).exists()


def blob_id(path: Path) -> str:
    """Return git's id of a file's content: SHA-1 of ``blob SIZE``, a zero byte and the content."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _download(source: Source, register: Register, folder: Path, base: str, progress: Progress | None) -> None:
    root = f"{base}/{register.repository}/{register.commit}"

    def bring(file: PinnedFile) -> None:
        place = folder / file.path
        if place.is_file() and blob_id(place) == file.blob:
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        url = f"{root}/{quote(file.path)}"
        with _temporary(place) as temporary:
            try:
                _fetch(url, temporary)
            except urllib.error.HTTPError as error:
                raise InputError(
                    f"{url}: the server answers {error.code} {error.reason}; {_by_hand(source)}"
                ) from error
            except UNREACHABLE as error:
                reason = getattr(error, "reason", None) or error
                raise InputError(f"{url}: cannot be reached ({reason}); {_by_hand(source)}") from error
            if blob_id(temporary) != file.blob:
                raise InputError(f"{url}: what came is not the pinned file (git blob {file.blob}); {_by_hand(source)}")
            temporary.replace(place)

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        jobs = [pool.submit(bring, file) for file in register.files]
        try:
            for done, job in enumerate(as_completed(jobs), start=1):
                job.result()
                if progress is not None:
                    progress(done, len(jobs))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _fetch(url: str, path: Path) -> None:
    """Write what is at an address; short troubles are waited out."""
    request = urllib.request.Request(url, headers={"User-Agent": "video-saliency"})
    for pause in (*PAUSES, None):
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer, path.open("wb") as file:
                shutil.copyfileobj(answer, file)
                expected = answer.headers.get("Content-Length")
                if expected is not None and file.tell() != int(expected):
                    raise http.client.IncompleteRead(b"", int(expected) - file.tell())
            return
        except UNREACHABLE as error:
            passing = not isinstance(error, urllib.error.HTTPError) or error.code in (408, 429, 500, 502, 503, 504)
            if pause is None or not passing:
                raise
            time.sleep(pause)


def _copy(source: Source, register: Register, given: Path, folder: Path, progress: Progress | None) -> None:
    """Take the files from a folder of the user's, where they may lie in other places than in the repository."""
    if not given.is_dir():
        raise InputError(f"--from {given}: no such folder; {_by_hand(source)}")
    names = {Path(file.path).name for file in register.files}
    found: dict[str, list[Path]] = {}
    for place, _, here in os.walk(given):
        for name in names.intersection(here):
            found.setdefault(name, []).append(Path(place, name))
    lacking = []
    for done, file in enumerate(register.files, start=1):
        candidates = [given / file.path, *sorted(found.get(Path(file.path).name, []))]
        right = next((path for path in candidates if path.is_file() and blob_id(path) == file.blob), None)
        if right is None:
            lacking.append(file)
            continue
        place = folder / file.path
        place.parent.mkdir(parents=True, exist_ok=True)
        with _temporary(place) as temporary:
            shutil.copyfile(right, temporary)
            temporary.replace(place)
        if progress is not None:
            progress(done, len(register.files))
    if lacking:
        first = lacking[0]
        state = "differs" if found.get(Path(first.path).name) else "is missing"
        raise InputError(
            f"--from {given}: {len(lacking)} of {len(register.files)} files of {source.name} are not as published, the "
            f"first: {first.path} {state} (git blob {first.blob}); {_by_hand(source)}"
        )


def _by_hand(source: Source) -> str:
    return (
        f"where there is a network, download {source.pinned().archive} and unpack it, then here: "
        f"saliency data get {source.name} --from FOLDER"
    )


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Say in one line that the disk is full or the folder cannot be written."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise InputError(
            f"cannot write {error.filename or target} ({error.strerror or error}); make room or set the environment "
            f"variable {VARIABLE} to a folder that can be written"
        ) from error


@contextlib.contextmanager
def _alone(part: Path) -> Iterator[None]:
    """Keep other processes from gathering the same set; the lock goes with the process."""
    lock = part.with_name(f"{part.name}.lock")
    with lock.open("w") as file:
        locks.lock(file.fileno(), wait=True)
        yield
    with contextlib.suppress(OSError):  # another waits for it, and has it open
        lock.unlink(missing_ok=True)


@contextlib.contextmanager
def _temporary(place: Path) -> Iterator[Path]:
    """A file name beside `place`; whatever is still there at the end is removed."""
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=".")
    os.close(handle)
    path = Path(name)
    path.chmod(0o644)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
