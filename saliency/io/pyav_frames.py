"""Video files by PyAV: an index of presentation times, seeking to keyframes, matching times."""

import logging
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.buffer import Buffer
from av.sidedata.sidedata import SideDataContainer
from av.video.frame import PictureType

from saliency.errors import InputError
from saliency.io.frame_source import FrameSource
from saliency.io.pictures import Picture, matrix_of
from saliency.io.promised_bytes import promised_bytes
from saliency.io.pyav_reader import Reader
from saliency.io.video_index import StreamFacts, VideoIndex, index_of

log = logging.getLogger(__name__)

_TIMED = frozenset({"matroska", "flv", "ivf", "mxf"})
"""File formats whose header says how long the file is; of others FFmpeg finds out from what is there."""
_MOST = 0.9
"""Share of the header's time that a complete MP4 has at least: edit lists and chapter marks blur it."""
_LATE = 1.5
"""Frames by which a complete file may end before the time in its header."""


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
class VideoKind:
    """What decides how a video file must be read.

    Attributes:
        container: FFmpeg's first name of the file format, e.g. ``mov`` (MP4 too), ``matroska``, ``avi``.
        codec: FFmpeg's name of the codec, e.g. ``h264``.
        b_frames: whether pictures may be stored in another order than they are shown.
        hidden_frames: whether an edit list hides some of the stored pictures.
        open_gops: whether pictures stored after a keyframe are shown before it, so that seeking to it is not
            enough to decode them.
        lands_early: whether seeking to some keyframe leads to an earlier one.
        contradictory: whether its tables lead elsewhere than to the pictures they name, as far as that was tried.
    """

    container: str
    codec: str
    b_frames: bool
    hidden_frames: bool
    open_gops: bool
    lands_early: bool
    contradictory: bool


class PyAVFrames(FrameSource):
    """A video file read by PyAV."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.path = path
        self._threads = threads
        self._pid = os.getpid()
        self._reader: Reader | None = None
        with Reader(path, threads=1) as reader:  # also finds out early that nothing can be decoded
            first = reader.next()
            if first is None:
                raise InputError(f"{path}: no frame can be decoded; the file is empty or damaged")
            stream = reader.stream
            self._stored_size = (first.height, first.width)
            self._orientation = _Orientation.of(first)
            self._facts = StreamFacts(
                container=reader.container.format.name.split(",")[0],
                codec=stream.codec_context.codec.canonical_name,
                b_frames=bool(stream.codec_context.has_b_frames),
                header_frames=stream.frames,
                first_pts=first.pts,
            )
            self._header_duration = (reader.container.duration or 0) / 1e6  # FFmpeg counts microseconds
            self._time_base = stream.time_base or Fraction(1, 1000)
            rate = stream.average_rate or stream.guessed_rate
            aspect = stream.sample_aspect_ratio or Fraction(1)
        height, width = self._stored_size
        self.size = (width, height) if self._orientation.transpose else (height, width)
        self.pixel_aspect = 1 / aspect if self._orientation.transpose else aspect
        self.rotation = self._orientation.rotation
        self.fps = float(rate) if rate else 25.0
        self.start = float((first.pts or 0) * self._time_base)

    def __len__(self) -> int:
        return self._index.count

    @property
    def kind(self) -> VideoKind:
        """The traits of the file which other decoders stumble over."""
        return VideoKind(
            container=self._facts.container,
            codec=self._facts.codec,
            b_frames=self._facts.b_frames,
            hidden_frames=self._index.hidden > 0,
            open_gops=self._index.open_gops,
            lands_early=self._index.lands_early,
            contradictory=self._index.contradictory,
        )

    def try_keyframes(self) -> None:
        """Decode the picture at each keyframe, so that `kind` tells of false ones.

        Raises:
            InputError: one cannot be decoded.
        """
        index = self._index
        if index.sequential or len(index.keys) == index.count:  # where every picture is a keyframe, none is false
            return
        with Reader(self.path, threads=1) as reader:
            for pts in index.keys:
                frame = index.first_from(pts)
                if frame < index.count and not self._index.sequential:
                    self._goto(reader, frame)

    @property
    def announced(self) -> int | None:
        """See `FrameSource.announced`."""
        # MP4 counts samples that an edit list hides, and packed B-frames are counted one by one: only the
        # plain AVI header can be held against the decoder. It counts empty chunks ("show the last frame
        # again"), which are no frames of their own.
        if self._facts.container != "avi" or self._facts.b_frames or not self._facts.header_frames:
            return None
        return self._facts.header_frames - self._index.empty

    def shortfall(self, frames: int) -> str | None:
        """See `FrameSource.shortfall`."""
        index, facts = self._index, self._facts
        if facts.container == "avi" and facts.b_frames and index.chunks < facts.header_frames:
            return f"{index.chunks} pictures are in it but its header announces {facts.header_frames}"
        if facts.container == "mov" and index.end < _MOST * self._header_duration:
            return f"it ends after {index.end:.2f} s but its header announces {self._header_duration:.2f} s"
        if facts.container in _TIMED and index.end + _LATE / self.fps < self._header_duration:
            return f"it ends after {index.end:.2f} s but its header announces {self._header_duration:.2f} s"
        if (promised := promised_bytes(self.path, facts.container)) is not None:
            found = self.path.stat().st_size
            if found < promised:
                return f"it has {found} bytes but its header announces {promised}"
        return FrameSource.shortfall(self, frames)

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
            self._reader = Reader(self.path, threads=self._threads)
        for i in sorted(rows):
            out[rows[i]] = self._upright(self._reader, self._goto(self._reader, i))
        return out

    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield frames in order from a decoder of its own; see `FrameSource.iterate`."""
        for picture in self.pictures(start, stop):
            yield picture.rgb

    def pictures(self, start: int = 0, stop: int | None = None) -> Iterator[Picture]:
        """Yield frames and their planes; see `FrameSource.pictures`."""
        self._check_process()
        if start or stop is not None:  # a plain run through the file needs no index before its end
            self._range(start, stop)
        if start == stop:
            return
        with Reader(self.path, threads=self._threads) as reader:
            frame = self._goto(reader, start) if start else reader.next()
            done = start
            while frame is not None:
                yield self._picture(reader, frame)
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

    def _upright(self, reader: "Reader", frame: av.VideoFrame) -> np.ndarray:
        self.corrupt_frames += bool(frame.is_corrupt)
        return self._orientation.apply(reader.rgb(frame, self._stored_size))

    def _picture(self, reader: "Reader", frame: av.VideoFrame) -> Picture:
        rgb = self._upright(reader, frame)
        same = self._orientation == _Orientation() and (frame.height, frame.width) == self._stored_size
        matrix = matrix_of(frame) if same else None
        return Picture(rgb=rgb) if matrix is None else Picture(rgb=rgb, stored=frame, matrix=matrix)

    @cached_property
    def _index(self) -> VideoIndex:
        return self._indexed()

    def _indexed(self, *, in_order: bool = False) -> VideoIndex:
        stamp = self.path.stat()
        return index_of(self.path.absolute(), stamp.st_size, stamp.st_mtime_ns, self._facts, in_order=in_order)

    def _goto(self, reader: Reader, target: int) -> av.VideoFrame:
        """Return frame `target`, leaving the reader behind it."""
        if not self._index.sequential:
            try:
                return self._search(reader, target)
            except _OtherThanIndexed as found:
                log.warning("%s: %s; it is read in order from now on", self.path, found)
                self._index = self._indexed(in_order=True)
                reader.rewind()
        if reader.upcoming is None or reader.upcoming > target:
            reader.rewind()
        return self._forward(reader, target)

    def _search(self, reader: Reader, target: int) -> av.VideoFrame:
        """Return frame `target` by way of a keyframe before it."""
        index = self._index
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

    def _forward(self, reader: "Reader", target: int) -> av.VideoFrame:
        assert reader.upcoming is not None
        while True:
            frame = reader.next()
            if frame is None:
                raise InputError(f"{self.path}: frame {target} cannot be decoded; the file is damaged")
            if reader.upcoming == target + 1:
                return frame

    def _find(self, reader: Reader, target: int) -> av.VideoFrame | None:
        """Decode up to the frame with the target's time; None if the reader is past it or at the end.

        Raises:
            _OtherThanIndexed: what a seek led to, or the order of the pictures, is not what the index says.
        """
        expected = reader.upcoming
        landing = expected is None and self._facts.b_frames
        while (frame := reader.next()) is not None:
            reader.upcoming = expected
            if expected is None:  # after a seek: pictures before the keyframe may lack what they are predicted from
                pts, place = reader.landed or (None, None)
                if pts is None or not self._index.is_key(pts, place):
                    raise _OtherThanIndexed("its table of keyframes leads elsewhere")
                if frame.pts is not None and frame.pts < pts:
                    continue
                if frame.pts == pts and not (frame.key_frame or frame.pict_type == PictureType.NONE):
                    raise _OtherThanIndexed("its table of keyframes names pictures that are none")
                expected = self._index.first_from(pts)  # the keyframe itself unless an edit list hides it
            i = None if frame.pts is None else self._index.frame_at(frame.pts)
            if i is None:
                continue  # hidden by an edit list
            if i != expected:
                raise _OtherThanIndexed("its pictures come in another order than their times")
            reader.upcoming = expected = i + 1
            if i == target:
                if landing:  # only what follows tells whether the keyframe itself has the right time
                    self._check_next(reader, i + 1)
                return frame
            landing = False
            if i > target:
                return None
        return None

    def _check_next(self, reader: Reader, expected: int) -> None:
        """Look at the next picture, which stays the next one to be read."""
        following = reader.next()
        reader.upcoming = expected
        if following is None:
            return
        reader.put_back(following)
        if following.pts is None or self._index.frame_at(following.pts) != expected:
            raise _OtherThanIndexed("its pictures come in another order than their times")


class _OtherThanIndexed(Exception):
    """The file does not keep what its index says."""
