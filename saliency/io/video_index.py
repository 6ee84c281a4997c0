"""Where the frames of a video file are: read from its packets without decoding where these can be trusted."""

import logging
from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from saliency.errors import InputError
from saliency.io.pyav_reader import LOCAL_ONLY, UNDECODED, Reader

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFacts:
    """What the first decoded picture and the header say about the video in a file.

    Attributes:
        container: FFmpeg's first name of the file format, e.g. ``mov`` (MP4 too), ``matroska``, ``avi``.
        codec: FFmpeg's name of the codec, e.g. ``h264``.
        b_frames: whether pictures may be stored in another order than they are shown.
        header_frames: number of pictures that the header announces, 0 where it says nothing.
        first_pts: presentation time of the first picture that can be decoded.
    """

    container: str
    codec: str
    b_frames: bool
    header_frames: int
    first_pts: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoIndex:
    """Where the frames of a file are.

    Attributes:
        count: number of frames.
        pts: presentation time of each frame in units of the stream's time base, ascending; None if unknown.
        sequential: whether the file must be read from the beginning.
        contradictory: whether that is so because its table of keyframes, or its times, were found to be wrong.
        keys: presentation times of all keyframes, ascending, also of those before the first shown frame.
        places: byte position in the file of each keyframe.
        chunks: number of stored pictures and of AVI chunks without a picture.
        hidden: number of stored pictures that an edit list hides.
        empty: number of chunks of an AVI without a picture.
        open_gops: whether pictures stored after a keyframe are shown before it.
        lands_early: whether seeking to some keyframe leads to an earlier one.
        end: seconds on the file's clock at which the last thing of any stream ends.
    """

    count: int
    pts: Sequence[int] | None
    sequential: bool
    contradictory: bool = False
    keys: Sequence[int] = ()
    places: Sequence[int] = ()
    chunks: int
    hidden: int = 0
    empty: int
    open_gops: bool
    lands_early: bool = False
    end: float

    def frame_at(self, pts: int) -> int | None:
        """Return the number of the frame with this presentation time."""
        i = self.first_from(pts)
        return i if self.pts is not None and i < self.count and self.pts[i] == pts else None

    def first_from(self, pts: int) -> int:
        """Return the number of the first frame shown at or after a time."""
        assert self.pts is not None
        return bisect_left(self.pts, pts)

    def is_key(self, pts: int | None, place: int | None) -> bool:
        """Whether a keyframe with this presentation time is stored at this place."""
        i = -1 if pts is None else bisect_left(self.keys, pts)
        return 0 <= i < len(self.keys) and (self.keys[i], self.places[i]) == (pts, place)


@lru_cache(maxsize=4096)  # some 10 kB each: a worker comes back to the same videos in every epoch
def index_of(path: Path, num_bytes: int, mtime_ns: int, facts: StreamFacts, *, in_order: bool = False) -> VideoIndex:
    """Make the index of a file once; `num_bytes` and `mtime_ns` tell when the file was replaced.

    The presentation times of all packets are read, and the way to each keyframe is tried: FFmpeg finds it through a
    table in the file (``idx1`` of an AVI, the cues of a Matroska file, ...), and where that table disagrees with what
    is read in order, the file is decoded once and read in order from then on.

    Args:
        path: the file.
        num_bytes: its size.
        mtime_ns: its time of modification.
        facts: what is known about its video.
        in_order: do not trust its times and its table.
    """
    times: list[int | None] = []
    keys: dict[int, int | None] = {}  # presentation time -> byte position
    packets, chunks, latest_key, open_gops, end = 0, 0, None, False, 0.0
    latest, reordered = None, False
    # an MP4 tells the times of its packets; of other files decoding may be needed to know them
    options = UNDECODED if facts.container == "mov" else LOCAL_ONLY
    with Reader(path, 1, options) as reader:
        for packet in reader.packets():
            if packet.pts is not None and packet.time_base is not None:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream_index != reader.stream.index:
                continue
            packets += 1
            chunks = max(chunks, (packet.dts or 0) + 1)  # an AVI's clock counts chunks
            if packet.is_keyframe and packet.pts is not None:
                keys[packet.pts], latest_key = packet.pos, packet.pts
            elif latest_key is not None and packet.pts is not None and packet.pts < latest_key:
                open_gops = True
            reordered |= latest is not None and packet.pts is not None and packet.pts < latest
            latest = packet.pts
            if not packet.is_discard:  # an edit list may hide frames which others are predicted from
                times.append(packet.pts)
    known = sorted(t for t in times if t is not None)
    empty = chunks - packets if facts.container == "avi" else 0
    seekable = (
        len(set(known)) == len(times)
        and bool(keys)
        # leading pictures of a cut stream are in the file but cannot be decoded
        and known[0] == facts.first_pts
        and _packets_are_frames(facts, packets + empty)
    )
    consistent = not in_order and (facts.b_frames or not reordered)
    ways = _found_by_seeking(path, keys, options) if seekable and consistent else None
    if ways is None:
        pts = _decoded_times(path)
        known = [t for t in pts if t is not None]
        ascending = len(known) == len(pts) and all(a < b for a, b in pairwise(known))
        return VideoIndex(
            count=len(pts),
            pts=array("q", known) if ascending else None,
            sequential=True,
            contradictory=_packets_are_frames(facts, packets + empty),
            chunks=packets + empty,
            hidden=packets - len(times),
            empty=empty,
            open_gops=open_gops,
            end=end,
        )
    ordered = sorted(keys)
    return VideoIndex(
        count=len(known),
        pts=array("q", known),
        sequential=False,
        keys=array("q", ordered),
        places=array("q", [-1 if (place := keys[key]) is None else place for key in ordered]),
        chunks=packets + empty,
        hidden=packets - len(times),
        empty=empty,
        open_gops=open_gops,
        lands_early=any(key != landed for key, landed in ways.items()),
        end=end,
    )


def _packets_are_frames(facts: StreamFacts, chunks: int) -> bool:
    """Whether each packet of this kind of file is one shown frame with its presentation time."""
    if facts.container == "avi":
        # AVI stores no presentation times, and lost chunks make its counted times disagree with its index
        return not facts.b_frames and chunks == facts.header_frames
    if facts.codec == "vp8":
        return False  # has packets that are never shown
    if facts.container == "matroska":
        return not (facts.codec.startswith(("mpeg4", "msmpeg4")) and facts.b_frames)
    return facts.container == "mov"


def _found_by_seeking(path: Path, keys: Mapping[int, int | None], options: Mapping[str, str]) -> dict[int, int] | None:
    """Seek to each keyframe: its time -> time of the keyframe that this leads to, at most its own.

    None if one leads to another place than reading in order found a keyframe at.
    """
    ways: dict[int, int] = {}
    with Reader(path, 1, options) as reader:
        for pts in sorted(keys):
            try:
                reader.seek(pts)
                packet = next(reader.packets(video_only=True), None)
            except InputError as error:
                log.info("%s", error)
                return None
            if packet is None or packet.pts is None or packet.pts > pts or keys.get(packet.pts, -1) != packet.pos:
                return None
            ways[pts] = packet.pts
    return ways


def _decoded_times(path: Path) -> list[int | None]:
    pts: list[int | None] = []
    with Reader(path, threads=1) as reader:
        try:
            while (frame := reader.next()) is not None:
                pts.append(frame.pts)
        except InputError as error:  # the frames before the damage can still be read
            log.warning("%s", error)
    return pts
