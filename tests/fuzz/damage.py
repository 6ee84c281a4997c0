"""A hypothesis strategy that damages seeds: bits, cuts, copies, numbers and words that readers stumble over."""

import re

from hypothesis import strategies as st

NUMBERS = (b"0", b"-1", b"1.5", b"1e999", b"-1e999", b"nan", b"inf", b"99999999999999999999", b"0x1f", b"1_0", b"")
WORDS = (b"\0", b"\xff\xfe", b"\n", b"\r", b'"', b",", b"{", b"}", b"[", b"]", b":", b"null", b"true", b"..", b"/")
WIDE = (b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\x00\x00\x00")

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_MOST = 6


@st.composite
def damaged(draw, seeds: tuple[bytes, ...], words: tuple[bytes, ...] = (), *, text: bool):
    """Bytes: one of the seeds with up to six damages.

    Args:
        draw: given by hypothesis.
        seeds: what is whole.
        words: what has a meaning in this kind of file.
        text: whether numbers and words stand in the seeds as text.
    """
    data = draw(st.sampled_from(seeds))
    kinds = (
        ("number", "word", "cut", "drop", "copy", "bytes") if text else ("bit", "wide", "word", "cut", "drop", "copy")
    )
    for _ in range(draw(st.integers(1, _MOST))):
        kind = draw(st.sampled_from(kinds))
        at = draw(st.integers(0, len(data)))
        if kind == "number" and (found := list(_NUMBER.finditer(data))):
            place = draw(st.sampled_from(found))
            data = data[: place.start()] + draw(st.sampled_from(NUMBERS)) + data[place.end() :]
        elif kind == "word":
            data = data[:at] + draw(st.sampled_from((*words, *WORDS))) + data[at:]
        elif kind == "wide":
            data = data[:at] + draw(st.sampled_from(WIDE)) + data[at + 4 :]
        elif kind == "bit" and at < len(data):
            data = data[:at] + bytes([data[at] ^ (1 << draw(st.integers(0, 7)))]) + data[at + 1 :]
        elif kind == "bytes":
            data = data[:at] + draw(st.binary(max_size=8)) + data[at:]
        elif kind == "cut":
            data = data[:at]
        else:
            to = draw(st.integers(at, min(len(data), at + 64)))
            data = data[:at] + data[to:] if kind == "drop" else data[:to] + data[at:to] + data[to:]
    return data
