"""Plain grey PNGs are read as Pillow reads them; what is not plain, or not whole, is left to Pillow."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from saliency.errors import InputError
from saliency.io.grey_png import SIGNATURE, read_grey
from saliency.io.maps import read_density, read_fixations, read_values

RNG = np.random.default_rng(0)
LEVELS = RNG.integers(0, 256, (23, 31), dtype=np.uint8)
HEADER = struct.pack(">IIBBBBB", 31, 23, 8, 0, 0, 0, 0)


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(rows: bytes, header: bytes = HEADER, *, compressed: bytes | None = None, more: bytes = b"") -> bytes:
    data = zlib.compress(rows) if compressed is None else compressed
    return SIGNATURE + chunk(b"IHDR", header) + more + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def filtered(kind: int, levels: np.ndarray = LEVELS) -> bytes:
    """The rows behind their filter: 0 none, 1 less the left neighbour."""
    left = np.pad(levels, ((0, 0), (1, 0)))[:, :-1] if kind else np.zeros_like(levels)
    return np.pad(levels - left, ((0, 0), (1, 0)), constant_values=kind).tobytes()


def by_pillow(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "L"
        return np.asarray(image)


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (9, 1), (23, 31), (360, 640)])
def test_plain_ones_are_read_as_by_pillow(tmp_path, kind, shape):
    for levels in (RNG.integers(0, 256, shape, dtype=np.uint8), np.zeros(shape, np.uint8)):
        header = struct.pack(">II", shape[1], shape[0]) + HEADER[8:]
        (tmp_path / "a.png").write_bytes(png(filtered(kind, levels), header))
        found = read_grey(tmp_path / "a.png")
        assert found is not None and found.dtype == np.uint8
        np.testing.assert_array_equal(found, levels)
        np.testing.assert_array_equal(found, by_pillow((tmp_path / "a.png").read_bytes()))


def test_several_chunks_and_opencv_s_files(tmp_path):
    data = zlib.compress(filtered(1))
    parts = b"".join(chunk(b"IDAT", data[i : i + 100]) for i in range(0, len(data), 100))
    (tmp_path / "a.png").write_bytes(SIGNATURE + chunk(b"IHDR", HEADER) + parts + chunk(b"IEND", b""))
    cv2.imwrite(str(tmp_path / "b.png"), LEVELS)
    for name in "ab":
        np.testing.assert_array_equal(read_grey(tmp_path / f"{name}.png"), LEVELS)
        np.testing.assert_array_equal(read_density(tmp_path / f"{name}.png"), LEVELS / np.float32(255))
        np.testing.assert_array_equal(read_fixations(tmp_path / f"{name}.png"), LEVELS > 0)


def test_other_kinds_are_left_to_pillow(tmp_path):
    grey = Image.fromarray(LEVELS)
    kinds = {
        "palette": grey.convert("P"),
        "one bit": grey.convert("1"),
        "alpha": grey.convert("LA"),
        "colour": grey.convert("RGB"),
        "deep": Image.fromarray(LEVELS.astype(np.uint16) * 257),
        "adaptive": Image.fromarray(np.cumsum(LEVELS // 16, 0).astype(np.uint8)),
    }
    for kind, image in kinds.items():
        image.save(tmp_path / f"{kind}.png")
        assert read_grey(tmp_path / f"{kind}.png") is None, kind
        assert read_values(tmp_path / f"{kind}.png").shape[:2] == LEVELS.shape
    grey.save(tmp_path / "a.jpg")
    assert read_grey(tmp_path / "a.jpg") is None
    assert read_grey(tmp_path / "none.png") is None
    assert read_grey(tmp_path) is None


ROWS = filtered(1)
ODD = {
    "mixed filters": png(ROWS[:-32] + filtered(0)[-32:]),
    "unknown filter": png(b"\x07" + ROWS[1:]),
    "a row too few": png(ROWS[:-32]),
    "a row too many": png(ROWS + ROWS[-32:]),
    "half a row too few": png(ROWS[:-9]),
    "no picture": png(b""),
    "not deflated": png(b"", compressed=b"12345"),
    "deflated badly": png(b"", compressed=zlib.compress(ROWS)[:-1] + b"\x00"),
    "cut within": png(b"", compressed=zlib.compress(ROWS)[:-20]),
    "more behind": png(b"", compressed=zlib.compress(ROWS) + b"more"),
    "further chunk": png(ROWS, more=chunk(b"tEXt", b"a\0b")),
    "interlaced": png(ROWS, HEADER[:-1] + b"\x01"),
    "no width": png(ROWS, struct.pack(">II", 0, 23) + HEADER[8:]),
    "huge": png(ROWS, struct.pack(">II", 2**31 - 1, 2**31 - 1) + HEADER[8:]),
    "long header": png(ROWS, HEADER + b"\0"),
    "behind the end": png(ROWS) + b"x",
    "no end": png(ROWS)[:-12],
    "wrong sum": png(ROWS)[:-1] + b"x",
    "empty": b"",
}


@pytest.mark.parametrize("data", ODD.values(), ids=ODD.keys())
def test_odd_and_damaged_ones_are_left_to_pillow(tmp_path, data):
    (tmp_path / "a.png").write_bytes(data)
    assert read_grey(tmp_path / "a.png") is None


def test_any_damage_is_left_to_pillow(tmp_path):
    whole = png(ROWS)
    for _ in range(300):
        data = bytearray(whole)
        for at in RNG.integers(0, len(data), RNG.integers(1, 4)):
            data[at] ^= int(RNG.integers(1, 256))
        if RNG.random() < 0.3:
            del data[int(RNG.integers(8, len(data))) :]
        if data == whole:
            continue
        (tmp_path / "a.png").write_bytes(data)
        assert read_grey(tmp_path / "a.png") is None
    with pytest.raises(InputError, match=r"a\.png"):
        (tmp_path / "a.png").write_bytes(whole[:60])
        read_density(tmp_path / "a.png")
