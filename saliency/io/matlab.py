"""One matrix out of a Matlab file, read without trusting the file.

The parsers of general libraries follow lengths and offsets of damaged files out of their memory. What the data sets
keep in ``.mat`` files is one plain or sparse matrix of numbers; that much of the format (MAT-File Format, MathWorks,
"Level 5") is read here, every length checked against what is there.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from saliency.errors import InputError

MAX_BYTES = 2**30
"""More than any map takes: what unpacks to more is damaged, or meant to fill the memory."""

_HEADER = 128
_COMPRESSED, _MATRIX = 15, 14
_SPARSE, _NUMBERS = 5, range(6, 16)  # classes of arrays
_COMPLEX = 0x0800
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""Number of an element's type -> what its values are."""


class _Damaged(Exception):
    """The file does not hold what it says."""


def read_matrix(path: Path, name: str) -> np.ndarray:
    """Read a variable of a Matlab file (version 5 to 7.2), numbers (H, W).

    Args:
        path: the file.
        name: the variable.

    Raises:
        InputError: no such file or variable, of another kind or version, truncated or damaged.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    if data[:8] == b"\x89HDF\r\n\x1a\n" or data[124:128] in (b"\0\2IM", b"\2\0MI"):
        raise InputError(f"{path}: is a Matlab 7.3 file; save it again with -v7")
    if data[126:128] not in (b"IM", b"MI"):
        raise InputError(f"{path}: is not a Matlab file that can be read; save it again with -v7")
    order = "<" if data[126:128] == b"IM" else ">"
    found = []
    try:
        for kind, body in _elements(data[_HEADER:], order):
            matrix = _unpacked(body, order) if kind == _COMPRESSED else body if kind == _MATRIX else None
            if matrix is not None:
                called, values = _variable(matrix, order, name)
                if values is not None:
                    return values
                found.append(called)
    except (_Damaged, struct.error, zlib.error) as error:
        raise InputError(f"{path}: is not a Matlab file that can be read ({error}); fetch it again") from error
    raise InputError(f"{path}: has no variable '{name}' (found: {', '.join(sorted(found))[:100] or 'nothing'})")


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield type and content of the elements that stand one after the other."""
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        if kind >> 16:  # a small element: its size, its type and at most four bytes share eight
            kind, size, first, after = kind & 0xFFFF, kind >> 16, at + 4, at + 8
            if size > 4:
                raise _Damaged("a small element is too long")
        else:
            first = at + 8
            after = first + (size if kind == _COMPRESSED else -(-size // 8) * 8)
        if first + size > len(data):
            raise _Damaged("it ends early")
        yield kind, data[first : first + size]
        at = after


def _unpacked(body: bytes, order: str) -> bytes | None:
    """Return the content of the matrix that a compressed element holds."""
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(body, MAX_BYTES)
    if not unpacker.eof:
        raise _Damaged(f"a compressed part does not end, or holds more than {MAX_BYTES} bytes")
    kind, content = next(_elements(data, order), (0, b""))
    return content if kind == _MATRIX else None


def _variable(matrix: bytes, order: str, wanted: str) -> tuple[str, np.ndarray | None]:
    """Return the name of a variable, and its values if it is the one that is wanted."""
    parts = list(_elements(matrix, order))
    if len(parts) < 3:
        raise _Damaged("a variable has no name")
    name = parts[2][1].decode("ascii", errors="backslashreplace")
    if not name.isprintable():
        raise _Damaged("a variable has no name")
    if name != wanted:
        return name, None
    flags, dimensions = _numbers(parts[0], order), _numbers(parts[1], order)
    if len(flags) != 2 or len(dimensions) != 2 or min(dimensions) < 0:
        raise _Damaged(f"'{name}' has {len(dimensions)} dimensions, expected (H, W)")
    height, width = (int(side) for side in dimensions)
    kind, is_complex = int(flags[0]) & 0xFF, bool(int(flags[0]) & _COMPLEX)
    if kind not in (_SPARSE, *_NUMBERS) or is_complex:
        raise _Damaged(f"'{name}' is no matrix of real numbers")
    if height * width > MAX_BYTES:
        raise _Damaged(f"'{name}' says it has {height} x {width} values")
    arrays = [_numbers(part, order) for part in parts[3:]]
    if kind == _SPARSE:
        return name, _dense(arrays, height, width)
    if len(arrays) != 1 or arrays[0].size != height * width:
        raise _Damaged(f"'{name}' lacks values")
    return name, arrays[0].reshape(width, height).T


def _numbers(part: tuple[int, bytes], order: str) -> np.ndarray:
    kind, content = part
    if kind not in _TYPES:
        raise _Damaged(f"unknown type {kind}")
    dtype = np.dtype(f"{order}{_TYPES[kind]}")
    if len(content) % dtype.itemsize:
        raise _Damaged("half a number")
    return np.frombuffer(content, dtype)


def _dense(arrays: list[np.ndarray], height: int, width: int) -> np.ndarray:
    """Return the matrix of which the rows, the ends of the columns and the values are kept."""
    if len(arrays) != 3:
        raise _Damaged("a sparse matrix needs rows, columns and values")
    rows, ends, values = arrays
    if rows.dtype.kind not in "iu" or ends.dtype.kind not in "iu" or len(ends) != width + 1:
        raise _Damaged("the columns of a sparse matrix do not fit")
    ends, rows = ends.astype(np.int64), rows.astype(np.int64)
    count = int(ends[-1])
    if ends[0] != 0 or (np.diff(ends) < 0).any() or count > min(len(rows), len(values)):
        raise _Damaged("the columns of a sparse matrix do not fit")
    if count and not (rows[:count].min() >= 0 and rows[:count].max() < height):
        raise _Damaged("a row of a sparse matrix lies outside")
    dense = np.zeros((height, width), values.dtype.newbyteorder("="))
    dense[rows[:count], np.repeat(np.arange(width), np.diff(ends))] = values[:count]
    return dense
