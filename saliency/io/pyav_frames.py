"""Video files by PyAV: an index of presentation times, seeking to keyframes, matching times."""

import logging
import os
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Self, cast

import av
import numpy as np
from av.buffer import Buffer
from av.container import InputContainer
from av.error import FFmpegError
from av.sidedata.sidedata import SideDataContainer
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from saliency.errors import InputError
from saliency.io.frame_source import FrameSource

log = logging.getLogger(__name__)

# FFmpeg can also open playlists (which name other files and addresses), device grabs and filter graphs.
# Only self-contained file formats are let through; the audio formats are here for a better message.
_FORMATS = (
    "mov,avi,matroska,webm,mpegts,mpeg,mpegvideo,m4v,h264,hevc,av1,obu,ivf,vc1,mjpeg,flv,asf,ogg,gif,apng,"
    "mxf,mxf_opatom,nut,rm,yuv4mpegpipe,dv,wtv,rawvideo,swf,nsv,gxf,mp3,wav,flac,aac,ac3,amr,aiff"
)
LOCAL_ONLY = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
"""Options of `av.open` that keep FFmpeg to one local file of a known format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Orientation:
    """How a stored picture becomes upright: swap rows and columns first, then flip.

    A display matrix sends column x and row y to ``x' = a x + c y``, ``y' = b x + d y``.
    """

    transpose: bool = False
    flip_rows: bool = False
    flip_cols: bool = False

    @staticmethod
    def of(frame: av.VideoFrame) -> "_Orientation":
        # frame.side_data would make the frame and its side data hold each other, until the garbage collector runs
        matrix = SideDataContainer(frame).get("DISPLAYMATRIX")  # pyright: ignore[reportCallIssue]  # stubs lack it
        if matrix is None:
            return _Orientation()
        # nine 32-bit numbers, row by row: a b u, c d v, x y w
        a, b, _, c, d = np.frombuffer(bytes(cast(Buffer, matrix)), dtype=np.int32)[:5].tolist()
        if abs(b) > abs(a):
            return _Orientation(transpose=True, flip_rows=b < 0, flip_cols=c < 0)
        return _Orientation(flip_rows=d < 0, flip_cols=a < 0)

    @property
    def rotation(self) -> int:
        """Degrees counter-clockwise; a mirrored picture counts as its turn before the mirroring."""
        if self.transpose:
            return 90 if self.flip_rows else 270
        return 180 if self.flip_rows and self.flip_cols else 0

    def apply(self, picture: np.ndarray) -> np.ndarray:
        """Turn (h, w, 3) into the upright (H, W, 3)."""
        if self.transpose:
            picture = picture.transpose(1, 0, 2)
        if self.flip_rows:
            picture = picture[::-1]
        if self.flip_cols:
            picture = picture[:, ::-1]
        return np.ascontiguousarray(picture)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Index:
    """Where the frames of a file are.

    Attributes:
        count: number of frames.
        pts: presentation time of each frame in units of the stream's time base, ascending; None if unknown.
        sequential: whether the file must be read from the beginning.
        keys: presentation times of all keyframes, ascending, also of those before the first shown frame.
        hidden: number of stored pictures that an edit list hides.
        empty: number of chunks of an AVI without a picture.
        open_gops: whether pictures stored after a keyframe are shown before it.
    """

    count: int
    pts: Sequence[int] | None
    sequential: bool
    keys: Sequence[int]
    hidden: int = 0
    empty: int = 0
    open_gops: bool = False

    def frame_at(self, pts: int) -> int | None:
        """Return the number of the frame with this presentation time."""
        assert self.pts is not None
        i = bisect_left(self.pts, pts)
        return i if i < self.count and self.pts[i] == pts else None


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoKind:
    """What decides how a video file must be read.

    Attributes:
        container: FFmpeg's first name of the file format, e.g. ``mov`` (MP4 too), ``matroska``, ``avi``.
        codec: FFmpeg's name of the codec, e.g. ``h264``.
        b_frames: whether pictures may be stored in another order than they are shown.
        hidden_frames: whether an edit list hides some of the stored pictures.
        open_gops: whether pictures stored after a keyframe are shown before it, so that seeking to it is not
            enough to decode them.
    """

    container: str
    codec: str
    b_frames: bool
    hidden_frames: bool
    open_gops: bool


class PyAVFrames(FrameSource):
    """A video file read by PyAV."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.path = path
        self._threads = threads
        self._pid = os.getpid()
        self._reader: _Reader | None = None
        with _Reader(path, threads=1) as reader:  # also finds out early that nothing can be decoded
            first = reader.next()
            if first is None:
                raise InputError(f"{path}: no frame can be decoded; the file is empty or damaged")
            stream = reader.stream
            self._stored_size = (first.height, first.width)
            self._orientation = _Orientation.of(first)
            self._first_pts = first.pts
            self._time_base = stream.time_base or Fraction(1, 1000)
            rate = stream.average_rate or stream.guessed_rate
            self._codec = stream.codec_context.codec.canonical_name
            self._has_b_frames = bool(stream.codec_context.has_b_frames)
            self._format = reader.container.format.name.split(",")[0]
            self._header_frames = stream.frames
            aspect = stream.sample_aspect_ratio or Fraction(1)
        height, width = self._stored_size
        self.size = (width, height) if self._orientation.transpose else (height, width)
        self.pixel_aspect = 1 / aspect if self._orientation.transpose else aspect
        self.rotation = self._orientation.rotation
        self.fps = float(rate) if rate else 25.0
        self.start = float((self._first_pts or 0) * self._time_base)

    def __len__(self) -> int:
        return self._index.count

    @property
    def kind(self) -> VideoKind:
        """The traits of the file which other decoders stumble over."""
        return VideoKind(
            container=self._format,
            codec=self._codec,
            b_frames=self._has_b_frames,
            hidden_frames=self._index.hidden > 0,
            open_gops=self._index.open_gops,
        )

    @property
    def announced(self) -> int | None:
        """See `FrameSource.announced`."""
        # MP4 counts samples that an edit list hides, and packed B-frames are counted one by one: only the
        # plain AVI header can be held against the decoder. It counts empty chunks ("show the last frame
        # again"), which are no frames of their own.
        if self._format != "avi" or self._has_b_frames or not self._header_frames:
            return None
        return self._header_frames - self._index.empty

    @property
    def timestamps(self) -> np.ndarray | None:
        """Seconds of each frame after the first."""
        pts = self._index.pts
        if pts is None:
            return None
        return (np.asarray(pts, dtype=np.float64) - pts[0]) * float(self._time_base)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Seek, decode and return frames; see `FrameSource.read`."""
        self._check_process()
        wanted = self._checked(indices)
        out = np.empty((len(wanted), *self.size, 3), dtype=np.uint8)  # (n, H, W, 3)
        rows: dict[int, list[int]] = {}
        for row, i in enumerate(wanted):
            rows.setdefault(i, []).append(row)
        if self._reader is None:
            self._reader = _Reader(self.path, threads=self._threads)
        for i in sorted(rows):
            out[rows[i]] = self._upright(self._reader, self._goto(self._reader, i))
        return out

    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield frames in order from a decoder of its own; see `FrameSource.iterate`."""
        self._check_process()
        if start or stop is not None:  # a plain run through the file needs no index before its end
            self._range(start, stop)
        if start == stop:
            return
        with _Reader(self.path, threads=self._threads) as reader:
            frame = self._goto(reader, start) if start else reader.next()
            done = start
            while frame is not None:
                yield self._upright(reader, frame)
                done += 1
                if done == stop:
                    return
                frame = reader.next()
        if done != len(self):
            raise InputError(f"{self.path}: {done} of {len(self)} frames could be decoded; the file is damaged")

    def close(self) -> None:
        """Close the file."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise RuntimeError(f"{self.path}: was opened in another process; open it inside the worker")

    def _upright(self, reader: "_Reader", frame: av.VideoFrame) -> np.ndarray:
        self.corrupt_frames += bool(frame.is_corrupt)
        return self._orientation.apply(reader.rgb(frame, self._stored_size))

    @cached_property
    def _index(self) -> _Index:
        stamp = self.path.stat()
        return _index_of(self.path.absolute(), stamp.st_size, stamp.st_mtime_ns)

    def make_index(self) -> _Index:
        """Read the presentation times of all packets, or decode the whole file where they cannot be trusted."""
        times: list[int | None] = []
        keys: list[int] = []
        packets, chunks, open_gops = 0, 0, False
        with _Reader(self.path, threads=1) as reader:
            for packet in reader.packets():
                packets += 1
                chunks = max(chunks, (packet.dts or 0) + 1)  # an AVI's clock counts chunks
                if packet.is_keyframe and packet.pts is not None:
                    keys.append(packet.pts)
                elif keys and packet.pts is not None and packet.pts < keys[-1]:
                    open_gops = True
                if not packet.is_discard:  # an edit list may hide frames which others are predicted from
                    times.append(packet.pts)
        known = sorted(t for t in times if t is not None)
        empty = chunks - packets if self._format == "avi" else 0
        trusted = (
            len(set(known)) == len(times)
            and bool(keys)
            # leading pictures of a cut stream are in the file but cannot be decoded
            and known[0] == self._first_pts
            and self._packets_are_frames(packets + empty)
        )
        if trusted:
            return _Index(
                count=len(known),
                pts=array("q", known),
                sequential=False,
                keys=array("q", sorted(keys)),
                hidden=packets - len(times),
                empty=empty,
                open_gops=open_gops,
            )
        return self._index_by_decoding(empty, open_gops)

    def _packets_are_frames(self, chunks: int) -> bool:
        """Whether each packet of this kind of file is one shown frame with its presentation time."""
        if self._format == "avi":
            # AVI stores no presentation times, and lost chunks make its counted times disagree with its index
            return not self._has_b_frames and chunks == self._header_frames
        if self._codec == "vp8":
            return False  # has packets that are never shown
        if self._format == "matroska":
            return not (self._codec.startswith(("mpeg4", "msmpeg4")) and self._has_b_frames)
        return self._format == "mov"

    def _index_by_decoding(self, empty: int, open_gops: bool) -> _Index:
        pts: list[int | None] = []
        with _Reader(self.path, threads=self._threads) as reader:
            try:
                while (frame := reader.next()) is not None:
                    pts.append(frame.pts)
            except InputError as error:  # the frames before the damage can still be read
                log.warning("%s", error)
        known = [t for t in pts if t is not None]
        ascending = len(known) == len(pts) and all(a < b for a, b in pairwise(known))
        times = array("q", known) if ascending else None
        return _Index(count=len(pts), pts=times, sequential=True, keys=(), empty=empty, open_gops=open_gops)

    def _goto(self, reader: "_Reader", target: int) -> av.VideoFrame:
        """Return frame `target`, leaving the reader behind it."""
        index = self._index
        if index.sequential:
            if reader.upcoming is None or reader.upcoming > target:
                reader.rewind()
            return self._forward(reader, target)

        assert index.pts is not None
        # Which keyframe starts the run of pictures that `target` is decoded from?
        key = bisect_right(index.keys, index.pts[target]) - 1
        if reader.upcoming is not None and reader.upcoming <= target:
            between = key >= 0 and index.keys[key] > index.pts[reader.upcoming]
            if not between:  # going on is cheaper than seeking
                frame = self._find(reader, target)
                if frame is not None:
                    return frame
        while key >= 0:
            reader.seek(index.keys[key])
            frame = self._find(reader, target)
            if frame is not None:
                return frame
            key -= 1
        reader.rewind()
        frame = self._find(reader, target)
        if frame is None:
            raise InputError(f"{self.path}: frame {target} cannot be decoded; the file is damaged")
        return frame

    def _forward(self, reader: "_Reader", target: int) -> av.VideoFrame:
        assert reader.upcoming is not None
        while True:
            frame = reader.next()
            if frame is None:
                raise InputError(f"{self.path}: frame {target} cannot be decoded; the file is damaged")
            if reader.upcoming == target + 1:
                return frame

    def _find(self, reader: "_Reader", target: int) -> av.VideoFrame | None:
        """Decode up to the frame with the target's time; None if the reader is past it or at the end."""
        while (frame := reader.next()) is not None:
            i = None if frame.pts is None else self._index.frame_at(frame.pts)
            if i is None:
                continue
            reader.upcoming = i + 1
            if i == target:
                return frame
            if i > target:
                return None
        return None


@lru_cache(maxsize=4096)  # some 10 kB each: a worker comes back to the same videos in every epoch
def _index_of(path: Path, num_bytes: int, mtime_ns: int) -> _Index:
    """Make the index of a file once; `num_bytes` and `mtime_ns` tell when the file was replaced."""
    with PyAVFrames(path) as source:
        return source.make_index()


class _Reader:
    """One open container and its decoder; knows which frame comes next.

    Attributes:
        upcoming: number of the frame that `next` will return, None while unknown (after a seek).
    """

    def __init__(self, path: Path, threads: int) -> None:
        self.path = path
        self._threads = threads
        self._reformatter = VideoReformatter()
        self._open()

    def _open(self) -> None:
        path = self.path
        self.upcoming: int | None = 0
        try:
            self.container = av.open(str(path.absolute()), mode="r", options=LOCAL_ONLY)
        except (FFmpegError, ValueError) as error:
            raise InputError(
                f"{path}: is not a video file that can be read ({reason(error)}); "
                "re-encode it, e.g. to H.264 in MP4, or fetch it again"
            ) from error
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
        self._decoded.close()
        self.container.close()

    def packets(self) -> Iterator[av.Packet]:
        """Yield the non-empty packets of the video without decoding, up to the first unreadable one."""
        try:
            for packet in self.container.demux(self.stream):
                if packet.size:
                    yield packet
        except FFmpegError as error:
            log.warning("%s: stops being readable (%s)", self.path, reason(error))

    def next(self) -> av.VideoFrame | None:
        """Return the next frame in presentation order, None at the end."""
        frame = next(self._decoded, None)
        if frame is not None and self.upcoming is not None:
            self.upcoming += 1
        return frame

    def seek(self, pts: int) -> None:
        """Go to the keyframe at presentation time `pts`, or an earlier one."""
        self._decoded.close()
        try:
            self.container.seek(pts, stream=self.stream, backward=True, any_frame=False)
        except FFmpegError as error:
            raise InputError(f"{self.path}: cannot be searched ({reason(error)})") from error
        self.upcoming = None
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
            yield from self.container.decode(self.stream)
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
