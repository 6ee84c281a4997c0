"""Video files whose tables lie, in many ways, about pictures that are otherwise whole.

Each function yields (name, damaged file). The tables: ``idx1`` of AVI, the sample tables of MP4, the cues of Matroska.
"""

import random
import struct
from collections.abc import Callable, Iterator

Entry = tuple[bytes, int, int, int]
"""Of ``idx1``: name of the chunk, flags, offset, size."""

KEY = 0x10


# --- AVI --------------------------------------------------------------------------------------------------


def avi(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Damage the ``idx1`` of an AVI of at least 40 frames with a key frame at each 12th."""
    for name, edit in _idx1_edits():
        yield name, _with_idx1(data, edit)


def _idx1_edits() -> Iterator[tuple[str, Callable[[list[Entry]], list[Entry]]]]:
    for i in (0, 1, 5, 11, 12, 13, 23, 24, 30, 39):
        yield f"without_{i}", lambda e, i=i: e[:i] + e[i + 1 :]
    for i in (0, 1, 12, 13, 24, 39):
        yield f"twice_{i}", lambda e, i=i: [*e[: i + 1], *e[i:]]
    for i, j in ((0, 1), (5, 6), (11, 12), (12, 24), (13, 30)):
        yield f"swapped_{i}_{j}", lambda e, i=i, j=j: _changed(e, {i: e[j], j: e[i]})
    for i in (1, 5, 13, 23, 30):
        yield f"false_key_{i}", lambda e, i=i: _changed(e, {i: _with(e[i], flags=KEY)})
    for i in (0, 12, 24):
        yield f"no_key_{i}", lambda e, i=i: _changed(e, {i: _with(e[i], flags=0)})
    yield "no_keys", lambda e: [_with(x, flags=0) for x in e]
    yield "all_keys", lambda e: [_with(x, flags=KEY) for x in e]
    yield "two_less", lambda e: [x for i, x in enumerate(e) if i not in (3, 20)]
    yield "first_half", lambda e: e[: len(e) // 2]
    yield "second_half", lambda e: e[len(e) // 2 :]
    yield "every_other", lambda e: e[::2]
    yield "reversed", lambda e: e[::-1]
    yield "shuffled", lambda e: random.Random(0).sample(e, len(e))
    yield "empty", lambda e: []
    yield "offsets_plus_8", lambda e: [_with(x, offset=x[2] + 8) for x in e]
    yield "offsets_of_next", lambda e: [_with(x, offset=y[2]) for x, y in zip(e, [*e[1:], e[-1]], strict=True)]
    yield "offset_far", lambda e: _changed(e, {12: _with(e[12], offset=2**31)})
    yield "sizes_zero", lambda e: [_with(x, size=0) for x in e]
    yield "sizes_huge", lambda e: [_with(x, size=2**31 - 1) for x in e]
    yield "other_stream", lambda e: _changed(e, {13: (b"01wb", *e[13][1:])})
    yield "unknown_name", lambda e: _changed(e, {13: (b"zzzz", *e[13][1:])})


def _with_idx1(data: bytes, edit: Callable[[list[Entry]], list[Entry]]) -> bytes:
    """Return an AVI with other entries in its ``idx1``, all lengths made to fit."""
    at = data.rindex(b"idx1")
    (length,) = struct.unpack_from("<I", data, at + 4)
    entries = list(struct.iter_unpack("<4sIII", data[at + 8 : at + 8 + length]))
    table = b"".join(struct.pack("<4sIII", *entry) for entry in edit(entries))
    body = data[:at] + struct.pack("<4sI", b"idx1", len(table)) + table + data[at + 8 + length :]
    return body[:4] + struct.pack("<I", len(body) - 8) + body[8:]


def _with(entry: Entry, **values: int) -> Entry:
    name, flags, offset, size = entry
    return name, values.get("flags", flags), values.get("offset", offset), values.get("size", size)


def _changed(entries: list[Entry], changes: dict[int, Entry]) -> list[Entry]:
    return [changes.get(i, entry) for i, entry in enumerate(entries)]


# --- MP4 --------------------------------------------------------------------------------------------------


def mp4(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Damage the sample tables of an MP4 of 48 frames whose boxes keep their sizes."""
    for name in (b"stss", b"stts", b"ctts", b"stco", b"stsz", b"stsc"):
        at = data.find(name)
        if at < 0:
            continue
        first = at + 16 if name == b"stsz" else at + 12  # behind version, flags, (size of all,) count
        (count,) = struct.unpack_from(">I", data, first - 4)
        width = {b"stts": 8, b"ctts": 8, b"stsc": 12}.get(name, 4)
        rows = [data[first + i * width : first + (i + 1) * width] for i in range(count)]

        def put(new: list[bytes], first: int = first) -> bytes:
            table = b"".join(new)
            return data[:first] + table + data[first + len(table) :]

        def number(row: bytes, change: int, column: int = 0) -> bytes:
            (value,) = struct.unpack_from(">I", row, column)
            return row[:column] + struct.pack(">I", (value + change) % 2**32) + row[column + 4 :]

        word = name.decode()
        some = sorted({0, 1, count // 2, count - 1} & set(range(count)))
        for i in some:
            for change in (1, -1, 7):
                yield f"{word}_{i}_{change:+d}", put([*rows[:i], number(rows[i], change), *rows[i + 1 :]])
                if width > 4:
                    row = number(rows[i], change, 4)
                    yield f"{word}_{i}_second_{change:+d}", put([*rows[:i], row, *rows[i + 1 :]])
        for i in some:
            j = min(i + 1, count - 1)
            if i != j:
                yield f"{word}_swapped_{i}", put([*rows[:i], rows[j], rows[i], *rows[j + 1 :]])
        yield f"{word}_reversed", put(rows[::-1])
        yield f"{word}_zeros", put([bytes(width)] * count)
        for fewer in (0, count - 1, count + 1, 2**31):
            yield f"{word}_count_{fewer}", data[: first - 4] + struct.pack(">I", fewer) + data[first:]


# --- Matroska ---------------------------------------------------------------------------------------------


def matroska(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Damage times and positions of the cues of a small Matroska file, and numbers of its clusters."""
    at = data.rindex(b"\x1c\x53\xbb\x6b")  # Cues
    points = [i for i in range(at, len(data) - 1) if data[i] == 0xBB and data[i + 1] & 0x80]
    for k, point in enumerate(points):
        for name, mark in (("time", 0xB3), ("track", 0xF7), ("position", 0xF1)):
            place = data.find(bytes([mark]), point, point + 32)
            if place < 0:
                continue
            length = data[place + 1] & 0x7F
            value = int.from_bytes(data[place + 2 : place + 2 + length], "big")
            for change in (1, -1, 33, 500):
                new = (value + change) % 256**length
                yield (
                    f"cue_{k}_{name}_{change:+d}",
                    data[: place + 2] + new.to_bytes(length, "big") + data[place + 2 + length :],
                )
    yield "no_cues", data[:at] + b"\xec" + data[at + 1 :]
    clusters = [i for i in range(len(data) - 4) if data[i : i + 4] == b"\x1f\x43\xb6\x75"]
    for k, cluster in enumerate(clusters):
        place = data.find(b"\xe7", cluster, cluster + 16)  # Timestamp
        for change in (1, 33, -33):
            length = data[place + 1] & 0x7F
            value = int.from_bytes(data[place + 2 : place + 2 + length], "big")
            new = (value + change) % 256**length
            yield (
                f"cluster_{k}_time_{change:+d}",
                data[: place + 2] + new.to_bytes(length, "big") + data[place + 2 + length :],
            )


# --- any --------------------------------------------------------------------------------------------------


def bits(data: bytes, count: int, seed: int, *, first: int = 0, last: int | None = None) -> Iterator[tuple[str, bytes]]:
    """Flip one bit somewhere between two places, `count` times."""
    rng = random.Random(seed)
    for _ in range(count):
        place = rng.randrange(first, len(data) if last is None else last)
        bit = rng.randrange(8)
        flipped = bytearray(data)
        flipped[place] ^= 1 << bit
        yield f"bit_{place}_{bit}", bytes(flipped)
