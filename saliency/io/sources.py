"""Whatever shows a video becomes a `FrameSource`: files, folders, arrays, cameras, streams."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from saliency.errors import InputError
from saliency.io.arrays import ArrayFrames
from saliency.io.frame_source import FrameSource
from saliency.io.frames import Decoder, open_frames
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
