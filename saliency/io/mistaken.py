"""What a file or name that cannot be used seems to be instead, in words that lead to the right one."""

import contextlib
from pathlib import Path

from saliency.errors import nearest

_LOOKS = (
    (b"%PDF", "it is a PDF", "save its pages as pictures and name these"),
    (b"PK\x03\x04", "it is a ZIP archive or an office document", "unpack it, or export its pictures, and name these"),
    (b"<!doctype", "it is a web page", "download the video itself"),
    (b"<html", "it is a web page", "download the video itself"),
)
"""How a file begins in lower case, what it is, and what to do."""


def no_such_file(path: Path) -> str:
    """Return that nothing has this name, and the nearest name in its folder or where to look."""
    told = f"{path}: no such file or folder"
    if not path.parent.is_dir():
        return f"{told}; there is no folder {path.parent} here"
    names: list[str] = []
    with contextlib.suppress(OSError):
        names = [each.name for each in path.parent.iterdir() if not each.name.startswith(".")]
    return told + (nearest(path.name, names) or f"; look at its name, you are in {Path.cwd()}")


def no_video(path: Path, reason: str) -> str:
    """Return that a file is no video, what it seems to be, and what to do.

    Args:
        path: the file.
        reason: what the decoder says.
    """
    begins = None
    with contextlib.suppress(OSError), path.open("rb") as file:
        begins = file.read(64).lstrip().lower()
    what, remedy = reason, "re-encode it, e.g. to H.264 in MP4, or fetch it again"
    if begins is not None and path.stat().st_size == 0:
        what, remedy = "it is empty, 0 bytes", "fetch it again"
    elif begins and all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in begins):
        what, remedy = "it is text", "name a video or a picture"
    for beginning, kind, better in _LOOKS:
        if begins is not None and begins.startswith(beginning.lower()):
            what, remedy = kind, better
    return f"{path}: is not a video file that can be read ({what}); {remedy}"
