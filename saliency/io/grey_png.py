"""Read 8-bit grey PNGs whose rows are filtered in the simplest ways, as OpenCV writes them, in half of Pillow's time.

Pillow undoes the filter "each pixel less its left neighbour" byte by byte, which takes as long as inflating. Here a
running sum does it. Whatever is not whole and plain is left to Pillow, which knows every other kind and what is wrong
with a damaged file. Format: https://www.w3.org/TR/png-3
"""

import struct
import zlib
from pathlib import Path

import numpy as np
import torch

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PLAIN = b"\x08\x00\x00\x00\x00"
"""End of the header: 8 bits, grey, deflate, the usual filters, not interlaced."""
LARGEST = 2**24
"""Pixels."""
PARTS = 8
"""A picture is inflated in so many parts, so that one with other filters is given up early."""


def read_grey(path: Path) -> np.ndarray | None:
    """Read a picture.

    Args:
        path: of any file.

    Returns:
        (H, W) uint8, what Pillow makes of the same file; None where it must be asked: not a PNG of this kind, other
        filters, further chunks, any damage, no such file.
    """
    try:
        with path.open("rb") as file:
            start = file.read(33)
            if start[:8] != SIGNATURE or start[24:29] != PLAIN:
                return None
            chunks = _chunks(start[8:] + file.read())
    except OSError:
        return None
    if chunks is None:
        return None
    width, height = struct.unpack(">II", start[16:24])
    if not 0 < width * height <= LARGEST:
        return None
    rows = _inflated(chunks, height, width + 1)
    if rows is None:
        return None
    levels = rows[:, 1:]
    return torch.cumsum(levels, 1, dtype=torch.uint8).numpy() if rows[0, 0] else levels.numpy()


def _chunks(data: bytes) -> bytes | None:
    """The compressed picture, if the chunks are a header, the picture and an end, all of them whole; else None."""
    names, contents, at = [], [], 0
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 8 + length
        if data[end : end + 4] != struct.pack(">I", zlib.crc32(data[at + 4 : end])):
            return None
        names.append(data[at + 4 : at + 8])
        contents.append(data[at + 8 : end])
        at = end + 4
    whole = at == len(data) and len(contents) > 2 and len(contents[0]) == 13 and not contents[-1]
    if not whole or names != [b"IHDR", *[b"IDAT"] * (len(names) - 2), b"IEND"]:
        return None
    return b"".join(contents[1:-1])


def _inflated(compressed: bytes, height: int, stride: int) -> torch.Tensor | None:
    """(height, stride) uint8, each row behind its filter, if all rows have the same and it is 0 or 1; else None."""
    inflate, found = zlib.decompressobj(), bytearray()
    step = -(-height // PARTS) * stride  # whole rows
    try:
        while not inflate.eof:
            part = inflate.decompress(compressed, step)
            compressed = inflate.unconsumed_tail
            filters = part[-len(found) % stride :: stride]
            found += part
            ended = not part and not inflate.eof  # too early
            if ended or len(found) > height * stride or found[:1] > b"\1" or filters.strip(found[:1]):
                return None
    except zlib.error:
        return None
    if len(found) != height * stride or inflate.unused_data:
        return None
    return torch.frombuffer(found, dtype=torch.uint8).view(height, stride)
