"""Whatever shows a video becomes a `FrameSource`: files, folders, arrays, cameras, streams."""

import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from saliency.errors import InputError
from saliency.io.arrays import ArrayFrames
from saliency.io.frame_source import FrameSource
from saliency.io.frames import Decoder, open_frames
from saliency.io.images import IMAGE_SUFFIXES, numeric_order
from saliency.io.mistaken import no_such_file
from saliency.io.streams import SCHEMES, CameraFrames, StreamFrames

Source: TypeAlias = "str | os.PathLike[str] | int | FrameSource | Sequence[Any] | Any"
"""A path, an address, the number of a camera, an open source, an array or tensor (T, H, W, 3), a list of pictures."""


def open_source(
    source: Source,
    *,
    fps: float | None = None,
    allow_network: bool = False,
    decoder: Decoder = "pyav",
    threads: int = 0,
) -> FrameSource:
    """Open anything that shows a video.

    Args:
        source: path of a video file, an image or a folder of images; uint8 RGB array or tensor (T, H, W, 3) or
            (H, W, 3); list of pictures (H, W, 3); number of a camera; address ``rtsp://`` or ``http(s)://``; an open
            source is returned as it is.
        fps: frame rate of arrays, lists and folders of images; default 30.
        allow_network: whether addresses may be opened.
        decoder: of video files.
        threads: of the decoder; 0 for as many as FFmpeg likes.

    Raises:
        InputError: the source cannot be opened, has a wrong shape or type, or is an address without `allow_network`.
    """
    if isinstance(source, FrameSource):
        return source
    if isinstance(source, bool) or source is None:
        raise InputError(
            f"{source} is no video; give a path, an array (T, H, W, 3), a list of pictures or a camera's number"
        )
    if isinstance(source, int):
        return CameraFrames(source)
    if isinstance(source, str | os.PathLike):
        text = os.fspath(source)
        if text.partition("://")[0].lower() in SCHEMES and "://" in text:
            if not allow_network:
                raise InputError(f"{text}: is an address; allow it with --allow-network (in Python allow_network=True)")
            return StreamFrames(text)
        return open_frames(Path(text) if "://" not in text else text, decoder, threads=threads, fps=fps)
    return ArrayFrames(source, fps=fps)


VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv"}
    | {".3gp", ".ogv", ".vob", ".mxf", ".y4m"}
)
"""By which videos are known in a folder; a file that is named is opened whatever its ending."""

_UNFINISHED = re.compile(r"\.partial\.\w+$")


def find_sources(words: Sequence[str]) -> list[Path]:
    """Return the sources that a user names: files, globs, folders of videos, folders of images.

    A folder that holds videos stands for these and for the images beside them, each a source; one that holds images
    only is one source; one that holds neither stands for its folders. Hidden files are left out, twice named ones too.

    Args:
        words: paths and patterns with ``*``, ``?`` or ``[…]``; ``**`` goes through all folders below.

    Raises:
        InputError: there is no such file, nothing matches, or a folder holds nothing to look at.
    """
    found: dict[Path, None] = {}
    for word in words:
        for path in _matching(word):
            found |= dict.fromkeys(_in_folder(path) if path.is_dir() else [path])
    return list(found)


def _matching(word: str) -> list[Path]:
    if not word.strip():
        raise InputError("an empty name; name a video, a picture or a folder")
    if "://" in word:
        raise InputError(
            f"{word}: only local files can be opened; download it first (streams: saliency.predict in Python)"
        )
    path = Path(word)
    if path.exists():
        return [path]
    if not any(sign in word for sign in "*?["):
        raise InputError(no_such_file(path))
    names = sorted(glob.glob(word, recursive=True), key=numeric_order)  # noqa: PTH207  # Path.glob takes no absolute one
    matches = [Path(name) for name in names if not Path(name).is_dir() or "**" not in word]
    if "**" in word:
        matches = [path for path in matches if _is_shown(path)]
    if not matches:
        raise InputError(f"{word}: no file has a name like this")
    return matches


def _in_folder(folder: Path) -> list[Path]:
    entries = sorted((path for path in folder.iterdir() if path.name[0] != "."), key=lambda p: numeric_order(p.name))
    files = [path for path in entries if path.is_file() and _is_shown(path)]
    if any(path.suffix.lower() in VIDEO_SUFFIXES for path in files):
        return files
    if files:
        return [folder]
    below = [path for path in entries if path.is_dir()]
    found = [path for path in below if _holds_something(path)]
    if not found:
        raise InputError(f"{folder}: holds no video and no picture; name a folder that does, or a file")
    return [source for path in found for source in _in_folder(path)]


def _holds_something(folder: Path) -> bool:
    return any(_is_shown(path) for path in folder.rglob("*"))


def _is_shown(path: Path) -> bool:
    known = path.suffix.lower() in VIDEO_SUFFIXES | IMAGE_SUFFIXES
    return known and not path.name.startswith(".") and not _UNFINISHED.search(path.name)
