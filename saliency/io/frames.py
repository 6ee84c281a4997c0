"""Frames of any local video file or folder of images, exact to the frame.

``open_frames(path)`` gives a `FrameSource`. Frame ``i`` is always the ``i``-th picture that decoding the
file from its beginning produces, upright, as RGB. How each decoder keeps that promise:

* ``"pyav"`` (default): an index of presentation times is read from the packets without decoding; a frame is
  reached by seeking to the keyframe before it and matching times. If the frame does not turn up, the search
  starts one keyframe earlier. Files whose packet times cannot be trusted (AVI with B-frames, transport
  streams, VP8, ...) are counted by decoding them once and read from the beginning.
* ``"decord"``, ``"torchcodec"`` (optional packages): refuse the files they are known to misread,
  see `saliency.io.optional_decoders`.
* a folder of images, or one image, is read whatever the decoder.

A source belongs to the process that opened it: open it inside the worker.
"""

import os
from pathlib import Path
from typing import Literal

from saliency.errors import InputError
from saliency.io.frame_source import FrameSource
from saliency.io.images import FOLDER_FPS, IMAGE_SUFFIXES, ImageFolder
from saliency.io.mistaken import no_such_file

Decoder = Literal["pyav", "decord", "torchcodec"]


def open_frames(
    path: str | Path,
    decoder: Decoder = "pyav",
    *,
    expected: int | None = None,
    threads: int = 1,
    fps: float | None = None,
) -> FrameSource:
    """Open a local video file, an image, or a folder of images.

    Args:
        path: what to open. Addresses (``http://``), playlists and device names are refused.
        decoder: package that decodes video files.
        expected: number of frames the video must have, e.g. the number of its annotations.
        threads: decoder threads (``"pyav"`` only); 1 in data-loading workers, 0 for as many as FFmpeg likes.
        fps: frame rate of a folder of images (default 30); for a video file it must be None.

    Raises:
        InputError: the path does not exist, is not a video, has no video stream, needs a package that is not
            installed, cannot be read exactly by this decoder, or has not the expected number of frames.
    """
    path = _local(path)
    if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
        source: FrameSource = ImageFolder(path, fps=FOLDER_FPS if fps is None else fps)
    elif fps is not None:
        raise InputError(f"{path}: is a video file with its own frame rate; leave fps out")
    elif decoder == "pyav":
        from saliency.io.pyav_frames import PyAVFrames  # each package only when it is used

        source = PyAVFrames(path, threads=threads)
    elif decoder == "decord":
        from saliency.io.optional_decoders import DecordFrames

        source = DecordFrames(path)
    elif decoder == "torchcodec":
        from saliency.io.optional_decoders import TorchCodecFrames

        source = TorchCodecFrames(path)
    else:
        raise InputError(f"unknown decoder {decoder!r}; choose pyav, decord or torchcodec")

    if expected is not None and len(source) != expected:
        found = len(source)
        source.close()
        raise InputError(f"{path}: has {found} frames where {expected} are expected; get the file again")
    return source


def _local(path: str | Path) -> Path:
    text = os.fspath(path)
    if "://" in text:
        raise InputError(f"{text}: only local files can be opened; download it first")
    path = Path(text)
    if not path.exists():
        raise InputError(no_such_file(path))
    if not (path.is_dir() or path.is_file()):
        raise InputError(f"{path}: is neither a regular file nor a folder")
    return path
