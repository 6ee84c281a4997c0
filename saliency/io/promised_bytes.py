"""How long a video file says it is, in bytes: a shorter one has lost its end."""

import os
import struct
from pathlib import Path
from typing import BinaryIO

_EBML_HEADER = 0x1A45DFA3
_EBML_VOID, _EBML_CRC = 0xEC, 0xBF
_SEGMENT = 0x18538067
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def promised_bytes(path: Path, container: str) -> int | None:
    """Return the length that the header of a file gives for the whole file; None where it does not say.

    Read from the Matroska segment's size (RFC 8794 and RFC 9559) and from ASF's file properties. Files that were
    written to a pipe do not say it.

    Args:
        path: the file.
        container: FFmpeg's name of its format.
    """
    read = {"matroska": _matroska, "asf": _asf}.get(container)
    if read is None:
        return None
    with path.open("rb") as file:
        try:
            return read(file)
        except (struct.error, IndexError):
            return None  # FFmpeg reads on where this header is damaged


def _matroska(file: BinaryIO) -> int | None:
    while True:
        element, size = _vint(file, keep_marker=True), _vint(file, keep_marker=False)
        if element == _SEGMENT:
            return None if size is None else file.tell() + size
        if element not in (_EBML_HEADER, _EBML_VOID, _EBML_CRC) or size is None:
            return None
        file.seek(size, os.SEEK_CUR)


def _vint(file: BinaryIO, *, keep_marker: bool) -> int | None:
    """Read a number of variable length: as many leading zero bits as bytes follow; None if all bits are 1 (unknown)."""
    first = file.read(1)[0]
    more = 8 - first.bit_length()
    number = first if keep_marker else first & (0x7F >> more)
    unknown = not keep_marker and number == 0x7F >> more
    for byte in file.read(more):
        number = number << 8 | byte
        unknown &= byte == 0xFF
    return None if unknown else number


def _asf(file: BinaryIO) -> int | None:
    head = file.read(30)
    if head[:16] != _ASF_HEADER:
        return None
    (objects,) = struct.unpack_from("<I", head, 24)
    for _ in range(min(objects, 100)):
        at = file.tell()
        name, size = struct.unpack("<16sQ", file.read(24))
        if name == _ASF_FILE_PROPERTIES:
            body = file.read(80)
            (length,) = struct.unpack_from("<Q", body, 16)
            (flags,) = struct.unpack_from("<I", body, 64)
            return None if flags & 1 else length  # a broadcast does not know
        file.seek(at + size)
    return None
