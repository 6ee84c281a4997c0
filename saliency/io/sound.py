"""Bring the sound of a video into another."""

import logging
import math
from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.audio import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError

from saliency.io.pyav_reader import LOCAL_ONLY, reason

log = logging.getLogger(__name__)

AUDIO_COPIED = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus"})
"""Audio codecs that are copied into the MP4 as they are; others are encoded again as AAC."""

_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """The sound of a video, to be kept in another.

    Attributes:
        path: the video; one without sound is fine.
        start: time in seconds, on its clock, of the first frame written.
    """

    path: str | Path
    start: float = 0.0


class SoundTrack:
    """Brings the sound of a file into a container, a piece at a time, shifted to the video's clock."""

    @staticmethod
    def open(path: Path, container: OutputContainer, offset: float) -> "SoundTrack | None":
        """Return None if the file has no sound (or is a folder of images)."""
        if path.is_dir():
            return None
        try:
            source = av.open(str(path.absolute()), mode="r", options=LOCAL_ONLY)
        except (FFmpegError, ValueError) as error:
            log.warning("%s: its sound cannot be read (%s)", path, reason(error))
            return None
        if not source.streams.audio or source.streams.audio[0].codec_context is None:
            if source.streams.audio:
                log.warning("%s: its sound is of an unknown kind and left out", path)
            source.close()
            return None
        return SoundTrack(path, source, container, offset)

    def __init__(self, path: Path, source: InputContainer, container: OutputContainer, offset: float) -> None:
        self._path = path
        self._source = source
        self._container = container
        self._input: AudioStream = source.streams.audio[0]
        self._offset = offset
        codec = self._input.codec_context
        self._copied = codec.codec.canonical_name in AUDIO_COPIED
        if self._copied:
            self._output = container.add_stream_from_template(self._input)
        else:
            rate = min(_AAC_RATES, key=lambda r: (abs(r - codec.sample_rate), -r))
            self._output = container.add_stream("aac", rate=rate)
        self._pieces = self._packets()
        self._waiting: tuple[float, av.Packet] | None = None

    def send_until(self, end: float) -> None:
        """Write the sound that starts before `end` seconds on the video's clock."""
        while True:
            self._waiting = self._waiting or next(self._pieces, None)
            if self._waiting is None or self._waiting[0] >= end:
                return
            packet, self._waiting = self._waiting[1], None
            if self._copied:
                packet.stream = self._output
                self._container.mux(packet)
            else:
                self._encode(packet)

    def finish(self) -> None:
        """Write what the encoder still holds."""
        if not self._copied:
            self._container.mux(self._output.encode(None))

    def close(self) -> None:
        """Close the file that the sound comes from."""
        self._pieces.close()
        self._source.close()

    def _packets(self) -> Generator[tuple[float, av.Packet], None, None]:
        last = -math.inf
        shift = round(Fraction(self._offset) / (self._input.time_base or Fraction(1, 1000)))
        try:
            for packet in self._source.demux(self._input):
                if not packet.size or packet.dts is None or packet.dts <= last:
                    continue  # the closing empty packet, or damage
                last = packet.dts
                start = packet.dts if packet.pts is None else packet.pts
                time = float((start - shift) * packet.time_base)
                if time < -1:
                    continue  # long before the first frame
                packet.pts, packet.dts = start - shift, packet.dts - shift
                yield time, packet
        except FFmpegError as error:
            log.warning("%s: its sound stops (%s)", self._path, reason(error))

    def _encode(self, packet: av.Packet) -> None:
        try:
            pieces = packet.decode()
        except FFmpegError as error:
            log.warning("%s: a piece of sound is damaged (%s)", self._path, reason(error))
            return
        for piece in pieces:
            self._container.mux(self._output.encode(piece))
