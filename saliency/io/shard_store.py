"""Shards of a corpus that does not fit one disk: tar files far away, a few of them unpacked here for a while.

A shard is read once from its beginning to its end, checked against its sha256 and unpacked into a folder that holds as
many shards as it may; the one that was not used for longest makes room. Processes of one machine share the folder.
"""

import contextlib
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

from saliency.errors import InputError, MissingData
from saliency.io import locks

T = TypeVar("T")

STAMP = ".unpacked"
"""File in the folder of an unpacked shard: its bytes, and when it was unpacked. Its time is that of the last use."""
PAUSES = (1.0, 5.0)
"""Seconds before the second and the third attempt to read a shard from the network."""
TIMEOUT = 60.0
"""Seconds without a byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardFile:
    """A shard as the index names it.

    Attributes:
        name: of the tar file.
        num_bytes: of the tar file.
        sha256: of the tar file.
    """

    name: str
    num_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardStore:
    """Where shards come from, and where they lie unpacked.

    Attributes:
        address: folder of the tar files: a path, or an address that begins with ``http://``, ``https://``, ``file://``
            or another scheme that fsspec knows.
        folder: where they are unpacked.
        keep: bytes of shards that lie there at most.
    """

    address: str
    folder: Path
    keep: int

    def place(self, shard: ShardFile) -> Path:
        """Return the folder in which a shard lies when it is unpacked."""
        return self.folder / f"{shard.name.removesuffix('.tar')}-{shard.sha256[:8]}"

    def reading(self, shard: ShardFile, read: Callable[[Path], T]) -> T:
        """Call `read` with the folder of an unpacked shard, which is brought here if need be.

        Another process may remove the shard meanwhile, to make room; then it is brought again.

        Raises:
            MissingData: the shard cannot be reached.
            InputError: the shard is damaged, or the disk is full; and what `read` raises.
        """
        while True:
            place = self.place(shard)
            stamp = self._bring(shard)
            try:
                return read(place)
            except (InputError, OSError):
                if _stamp(place) == stamp:  # it was there all the time: the error is its own
                    raise

    def _bring(self, shard: ShardFile) -> str:
        """Unpack a shard unless it is there; return its stamp."""
        place = self.place(shard)
        if stamp := _used(place):
            return stamp
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / f".{place.name}.lock").open("wb") as file:
                locks.lock(file.fileno(), wait=True)  # one process brings it, the others wait
                if stamp := _used(place):
                    return stamp
                self._make_room(shard.num_bytes)
                return self._unpack(shard, place)
        except OSError as error:
            raise MissingData(f"{self.folder}: shard {shard.name} cannot be unpacked ({error}); free space") from error

    def _unpack(self, shard: ShardFile, place: Path) -> str:
        temporary = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=self.folder))
        try:
            for pause in (*PAUSES, None):
                try:
                    self._read(shard, temporary)
                    break
                except (OSError, EOFError, tarfile.TarError) as error:
                    where = f"{self.address.rstrip('/')}/{shard.name}"
                    if pause is None or not _is_remote(self.address):
                        raise MissingData(f"{where}: cannot be read ({error}); make it reachable and resume") from error
                    time.sleep(pause)
            stamp = f"{shard.num_bytes} {time.time_ns()} {os.getpid()}"
            (temporary / STAMP).write_text(stamp, encoding="utf-8")
            temporary.rename(place)
            return stamp
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _read(self, shard: ShardFile, folder: Path) -> None:
        """Unpack the stream of a shard while it is read."""
        with open_address(f"{self.address.rstrip('/')}/{shard.name}") as file:
            hashed = _Hashed(file)
            with tarfile.open(fileobj=hashed, mode="r|") as archive:  # pyright: ignore[reportArgumentType,reportCallIssue]
                for member in archive:
                    content = archive.extractfile(member) if member.isfile() else None
                    if content is None or Path(member.name).name != member.name or member.name.startswith("."):
                        raise InputError(f"{shard.name}: holds '{member.name}', which is no file of a shard")
                    with (folder / member.name).open("wb") as out:
                        shutil.copyfileobj(content, out)
            while hashed.read(2**20):  # what follows the last member
                pass
        if hashed.digest.hexdigest() != shard.sha256:
            raise InputError(f"{shard.name}: is not the shard of the index (sha256 differs); write or copy it again")

    def _make_room(self, needed: int) -> None:
        """Remove what was not used for longest until `needed` more bytes may be there."""
        there = []
        for place in self.folder.glob("[!.]*/"):  # what begins with a dot is not there yet, or gone
            if stamp := _stamp(place):
                with contextlib.suppress(OSError):
                    there.append(((place / STAMP).stat().st_mtime_ns, int(stamp.split()[0]), place))
        total = sum(size for _, size, _ in there) + needed
        for _, size, place in sorted(there):
            if total <= self.keep:
                break
            with contextlib.suppress(OSError):  # in use where used files cannot be renamed, or another was faster
                gone = Path(tempfile.mkdtemp(prefix=".gone-", dir=self.folder))
                place.rename(gone / place.name)
                shutil.rmtree(gone, ignore_errors=True)
                total -= size


@contextlib.contextmanager
def open_address(address: str) -> Iterator[IO[bytes]]:
    """Open a file by its path or address for reading from its beginning.

    Raises:
        OSError: it cannot be reached.
        InputError: its scheme is unknown.
    """
    if address.startswith(("http://", "https://")):
        with urllib.request.urlopen(address, timeout=TIMEOUT) as answer:
            yield answer
        return
    if not _is_remote(address):
        with Path(address.removeprefix("file://")).open("rb") as file:
            yield file
        return
    import fsspec

    try:
        opened = fsspec.open(address, "rb")
    except (ImportError, ValueError) as error:
        raise InputError(f"{address}: cannot be opened ({error}); install fsspec's package for it") from error
    with opened as file:
        yield file  # pyright: ignore[reportReturnType]


def _is_remote(address: str) -> bool:
    return "://" in address and not address.startswith("file://")


def _stamp(place: Path) -> str:
    """The stamp of an unpacked shard; empty where there is none."""
    try:
        return (place / STAMP).read_text(encoding="utf-8")
    except OSError:
        return ""


def _used(place: Path) -> str:
    """The same, after noting that it is used now."""
    with contextlib.suppress(OSError):
        os.utime(place / STAMP)
    return _stamp(place)


class _Hashed(io.RawIOBase):
    """A stream whose bytes are hashed as they are read."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        data = self.file.read(size)
        self.digest.update(data)
        return data
