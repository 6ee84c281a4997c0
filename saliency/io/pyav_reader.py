"""One video file opened by PyAV: packets, decoded pictures in order, seeking."""

import logging
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Self

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from saliency.errors import InputError
from saliency.io.mistaken import no_video

log = logging.getLogger(__name__)

# FFmpeg can also open playlists (which name other files and addresses), device grabs and filter graphs.
# Only self-contained file formats are let through; the audio formats are here for a better message.
_FORMATS = (
    "mov,avi,matroska,webm,mpegts,mpeg,mpegvideo,m4v,h264,hevc,av1,obu,ivf,vc1,mjpeg,flv,asf,ogg,gif,apng,"
    "mxf,mxf_opatom,nut,rm,yuv4mpegpipe,dv,wtv,rawvideo,swf,nsv,gxf,mp3,wav,flac,aac,ac3,amr,aiff"
)
LOCAL_ONLY = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
"""Options of `av.open` that keep FFmpeg to one local file of a known format."""
UNDECODED = {**LOCAL_ONLY, "skip_frame": "all"}
"""The same where no picture is to be decoded: FFmpeg leaves out the first ones too, which take most of the time."""


class Reader:
    """One open container and its decoder; knows which frame comes next.

    Attributes:
        upcoming: number of the frame that `next` will return, None while unknown (after a seek).
        landed: presentation time and byte position of the first packet read after the last seek.
    """

    def __init__(self, path: Path, threads: int, options: Mapping[str, str] = LOCAL_ONLY) -> None:
        """Open a file.

        Args:
            path: the file.
            threads: of the decoder; 0 for as many as FFmpeg likes.
            options: `UNDECODED` if only packets are read whose times the file tells.

        Raises:
            InputError: it is no video.
        """
        self.path = path
        self._threads, self._options = threads, dict(options)
        self._reformatter = VideoReformatter()
        self._open()

    def _open(self) -> None:
        path = self.path
        self.upcoming: int | None = 0
        self._put_back: av.VideoFrame | None = None
        self.landed: tuple[int | None, int | None] | None = None
        try:
            self.container = av.open(str(path.absolute()), mode="r", options=self._options)
        except (FFmpegError, ValueError) as error:
            raise InputError(no_video(path, reason(error))) from error
        try:
            self.stream = _video_stream(self.container, path)
            if self._threads == 1:
                self.stream.thread_type = "NONE"  # frame threads can dead-lock in worker processes
            else:
                self.stream.thread_type = "AUTO"
                self.stream.codec_context.thread_count = self._threads
        except BaseException:
            self.container.close()
            raise
        self._decoded = self._decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._put_back = None
        self._decoded.close()
        self.container.close()

    def packets(self, *, video_only: bool = False) -> Iterator[av.Packet]:
        """Yield the non-empty packets of all streams without decoding, up to the first unreadable one."""
        try:
            for packet in self.container.demux(self.stream) if video_only else self.container.demux():
                if packet.size:
                    yield packet
        except FFmpegError as error:
            log.warning("%s: stops being readable (%s)", self.path, reason(error))

    def next(self) -> av.VideoFrame | None:
        """Return the next frame in presentation order, None at the end."""
        frame, self._put_back = self._put_back or next(self._decoded, None), None
        if frame is not None and self.upcoming is not None:
            self.upcoming += 1
        return frame

    def put_back(self, frame: av.VideoFrame) -> None:
        """Make a frame that `next` returned the one it returns again; `upcoming` is the caller's to correct."""
        self._put_back = frame

    def seek(self, pts: int) -> None:
        """Go to the keyframe at presentation time `pts`, or an earlier one."""
        self._decoded.close()
        try:
            self.container.seek(pts, stream=self.stream, backward=True, any_frame=False)
        except FFmpegError as error:
            raise InputError(f"{self.path}: cannot be searched ({reason(error)})") from error
        self.upcoming = self.landed = self._put_back = None
        self._decoded = self._decode()

    def rewind(self) -> None:
        """Start again at the beginning of the file; opening it anew is exact where seeking is not."""
        self.close()
        self._open()

    def rgb(self, frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
        """Convert a decoded frame to uint8 (h, w, 3), scaled only if its size changes within the stream."""
        height, width = size
        # one scaler with one thread for all frames: making one for each frame costs four times as much
        picture = self._reformatter.reformat(frame, width=width, height=height, format="rgb24", threads=1)
        return picture.to_ndarray()

    def _decode(self) -> Generator[av.VideoFrame, None, None]:
        try:
            for packet in self.container.demux(self.stream):
                if self.landed is None:
                    self.landed = (packet.pts, packet.pos)
                yield from packet.decode()
        except FFmpegError as error:
            where = "at its first frame" if self.upcoming in (None, 0) else f"after {self.upcoming} frames"
            raise InputError(f"{self.path}: decoding failed {where} ({reason(error)}); the file is damaged") from error


def _video_stream(container: InputContainer, path: Path) -> av.VideoStream:
    pictures = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if pictures and all(s.codec_context is None for s in pictures):
        raise InputError(f"{path}: no decoder for its video; re-encode it, e.g. to H.264 in MP4")
    pictures = [s for s in pictures if s.codec_context is not None]
    if not pictures:
        kinds = sorted({s.type for s in container.streams}) or ["no streams"]
        raise InputError(f"{path}: has no video in it (only {', '.join(kinds)})")
    return max(pictures, key=lambda s: (bool(s.disposition & Disposition.default), s.width * s.height))


def reason(error: BaseException) -> str:
    """Return what FFmpeg says about an error, without the file's name."""
    return getattr(error, "strerror", None) or str(error)
