"""Unpack downloaded archives without letting them write anywhere else."""

import bz2
import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from saliency.errors import InputError
from saliency.io.atomic import replacing

MAX_BYTES = 600 * 2**30
"""More unpacked bytes than any of the data sets has: an archive that holds more is a mistake or an attack."""

_DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError),
    *(EOFError, NotImplementedError, RuntimeError),  # zipfile's words for "ends early", "unknown", "encrypted"
)


def unpack(archive: Path, folder: Path, *, max_bytes: int = MAX_BYTES) -> int:
    """Unpack a zip or tar archive into `folder`; files that are there with the same size are kept.

    Links, devices, absolute paths and paths that lead out of `folder` are refused before anything is written.

    Args:
        archive: the file.
        folder: where to unpack; made if needed.
        max_bytes: refuse an archive that says it holds more.

    Returns:
        Number of files written.

    Raises:
        InputError: not a readable zip or tar archive, or one of the above.
    """
    if not archive.is_file():
        raise InputError(f"{archive}: no such file")
    if archive.suffix.lower() in (".rar", ".7z"):
        raise InputError(f"{archive}: cannot be unpacked here; use `unar {archive.name}` and verify the result")
    try:
        if zipfile.is_zipfile(archive):
            return _unpack_zip(archive, folder, max_bytes)
        if tarfile.is_tarfile(archive):
            return _unpack_tar(archive, folder, max_bytes)
    except _DAMAGED as error:
        raise InputError(f"{archive}: is damaged or protected ({error}); download it again") from error
    raise InputError(f"{archive}: is neither a zip nor a tar archive; download it again")


def _unpack_zip(archive: Path, folder: Path, max_bytes: int) -> int:
    with zipfile.ZipFile(archive) as source:
        members = [m for m in source.infolist() if not m.is_dir()]
        for member in members:
            mode = member.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise InputError(f"{archive}: '{member.filename}' is not a plain file; do not use this archive")
        places = _places(archive, folder, [(m.filename, m.file_size) for m in members], max_bytes)
        written = 0
        for member, place in zip(members, places, strict=True):
            if not _there(place, member.file_size):
                with source.open(member) as data:
                    _write(place, data, member.file_size, archive)
                written += 1
        return written


def _unpack_tar(archive: Path, folder: Path, max_bytes: int) -> int:
    with tarfile.open(archive) as source:
        members = [m for m in _members(archive, source) if not m.isdir()]
        for member in members:
            if not member.isreg():
                raise InputError(f"{archive}: '{member.name}' is not a plain file; do not use this archive")
        places = _places(archive, folder, [(m.name, m.size) for m in members], max_bytes)
        written = 0
        for member, place in zip(members, places, strict=True):
            data = source.extractfile(member)
            if data is not None and not _there(place, member.size):
                _write(place, data, member.size, archive)
                written += 1
        return written


def _members(archive: Path, source: tarfile.TarFile) -> list[tarfile.TarInfo]:
    """List a tar; a compressed one is read to its end, where the checksum of all that is in it stands."""
    try:
        members = source.getmembers()
        data = source.fileobj
        if isinstance(data, gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile):  # a plain tar has no such checksum
            while data.read(2**20):
                pass
    except OSError as error:
        raise InputError(f"{archive}: is damaged ({error}); download it again") from error
    return members


def _places(archive: Path, folder: Path, members: list[tuple[str, int]], max_bytes: int) -> list[Path]:
    """Return where each member goes, after all of them were found harmless."""
    total = sum(size for _, size in members)
    if total > max_bytes:
        raise InputError(f"{archive}: says it holds {total} bytes, more than {max_bytes}; do not use this archive")
    places = []
    for name, _ in members:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or (path.parts and ":" in path.parts[0]) or not path.parts:
            raise InputError(f"{archive}: '{name}' leads out of the folder; do not use this archive")
        place = folder.joinpath(*path.parts)
        parent = place.parent
        while parent != folder and parent != parent.parent:
            if parent.is_symlink():
                raise InputError(f"{parent}: is a link that '{name}' would follow; unpack into an empty folder")
            parent = parent.parent
        places.append(place)
    return places


def _there(place: Path, size: int) -> bool:
    return place.is_file() and not place.is_symlink() and place.stat().st_size == size


def _write(place: Path, data: IO[bytes], size: int, archive: Path) -> None:
    """Write one file so that it appears complete or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with replacing(place) as temporary:
        with temporary.open("wb") as file:
            shutil.copyfileobj(data, file)
        if temporary.stat().st_size != size:
            raise InputError(f"{archive}: ends early in '{place.name}'; download it again")
