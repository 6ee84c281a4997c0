"""Write frames to an MP4 that plays everywhere: H.264, yuv420p, with the sound of another file if wanted."""

import logging
import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
import torch
from av.audio import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.video.plane import VideoPlane
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter

from saliency.errors import InputError
from saliency.io.partial import Partial
from saliency.io.pyav_reader import LOCAL_ONLY, reason

log = logging.getLogger(__name__)

AUDIO_COPIED = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus"})
"""Audio codecs that are copied into the MP4 as they are; others are encoded again as AAC."""

_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
_KEYFRAME_SECONDS = 2
"""Distance of keyframes: what a killed process may lose, and how coarsely players search."""

_CLOCK = Fraction(1, 90_000)
"""Unit of time of videos with varying frame distances."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """The sound of a video, to be kept in another.

    Attributes:
        path: the video; one without sound is fine.
        start: time in seconds, on its clock, of the first frame written.
    """

    path: str | Path
    start: float = 0.0


class VideoWriter:
    """Writes RGB frames to an MP4. Use it as a context manager.

    Odd sizes: yuv420p stores one colour value per 2x2 pixels, so the stored width and height must be even. The
    last column or row is repeated once; no pixel is lost, moved or scaled.

    Colours are stored and tagged as BT.709, limited range.

    The file is ``NAME.partial.mp4`` until it is closed, and takes its name only when it is complete and on the disk.
    When the body of the ``with`` raises, or the disk is full, an older film of that name stays as it was, and what
    could be written stays, playable, under the partial name. Without any frame no file appears.

    Attributes:
        path: the file to write.
        partial: where it is until it is complete.
        stored_size: (H, W) of the video in the file, both even.
        frames: number of frames written so far.
    """

    def __init__(
        self,
        path: str | Path,
        fps: float,
        size: tuple[int, int],
        sound: Sound | None = None,
        *,
        variable_rate: bool = False,
        pixel_aspect: Fraction = Fraction(1),
        crf: int = 18,
    ) -> None:
        """Start a file.

        Args:
            path: ends in ``.mp4``; its folder must exist.
            fps: frames per second.
            size: (H, W) of the frames.
            sound: the sound to keep; None writes none.
            variable_rate: True to give `write` the time of each frame.
            pixel_aspect: width of a pixel divided by its height as shown.
            crf: x264's constant quality, 0 (lossless) to 51; 18 is visually near lossless.

        Raises:
            InputError: an argument is out of range, the file cannot be made, or somebody else is writing it.
        """
        self.path = Path(path)
        if self.path.suffix.lower() != ".mp4":
            raise InputError(f"{path}: videos are written as .mp4")
        if not (math.isfinite(fps) and 0.01 <= fps <= 1000):
            raise InputError(f"{path}: cannot write {fps} frames per second; choose 0.01 to 1000")
        if min(size) < 1:
            raise InputError(f"{path}: cannot write frames of {size[1]}x{size[0]} pixels")
        if not self.path.parent.is_dir():
            raise InputError(f"{self.path.parent}: no such folder; make it first")

        self.size = (int(size[0]), int(size[1]))
        self.stored_size = (self.size[0] + self.size[0] % 2, self.size[1] + self.size[1] % 2)
        self.frames = 0
        self._rate = Fraction(fps).limit_denominator(1001)
        self._variable = variable_rate
        self._last_pts = -1
        self._broken = False
        self._reformatter = VideoReformatter()
        self._part = Partial(self.path)
        self.partial = self._part.path
        self._container: OutputContainer | None = None
        try:
            self._start(fps, crf, pixel_aspect)
            self._audio = None if sound is None else _Sound.open(Path(sound.path), self._opened, sound.start)
        except BaseException as error:
            if self._container is not None:
                self._container.close()
            self._part.discard()
            if isinstance(error, FFmpegError | OSError):
                raise InputError(f"{path}: cannot be written ({reason(error)})") from error
            raise

    def _start(self, fps: float, crf: int, pixel_aspect: Fraction) -> None:
        # Fragments while writing, so that even a killed process leaves something to play; made an ordinary
        # MP4 when closed. Without delay_moov the B-frames would shift the picture against the sound.
        self._container = container = av.open(
            str(self.partial), mode="w", options={"movflags": "hybrid_fragmented+delay_moov", "flush_packets": "1"}
        )
        keyframes = max(1, round(_KEYFRAME_SECONDS * fps))
        options = {"crf": str(crf), "preset": "veryfast", "g": str(keyframes), **_same_bits()}
        self._stream = container.add_stream("libx264", rate=self._rate, options=options)
        self._stream.height, self._stream.width = self.stored_size
        self._stream.pix_fmt = "yuv420p"
        self._time_base = _CLOCK if self._variable else 1 / self._rate
        context = self._stream.codec_context
        context.time_base = self._time_base
        context.sample_aspect_ratio = pixel_aspect
        context.colorspace = Colorspace.ITU709
        context.color_range = ColorRange.MPEG
        context.color_primaries = ColorPrimaries.BT709
        context.color_trc = ColorTrc.BT709

    @property
    def _opened(self) -> OutputContainer:
        if self._container is None:
            raise ValueError(f"{self.path} is closed")
        return self._container

    def write(
        self,
        frame: np.ndarray,
        time: float | None = None,
        paint: Callable[[Sequence[np.ndarray]], None] | None = None,
    ) -> None:
        """Append a frame, uint8 (H, W, 3) RGB.

        Args:
            frame: the picture.
            time: seconds after the first frame, growing; given if and only if the rate is variable.
            paint: changes the picture as it is stored: its planes Y (H, W), U and V (H / 2, W / 2), H and W even.

        Raises:
            InputError: the disk is full or the file cannot be written.
            ValueError: wrong shape, type or time.
        """
        if frame.dtype != np.uint8 or frame.shape != (*self.size, 3):
            raise ValueError(f"expected uint8 {(*self.size, 3)}, got {frame.dtype} {frame.shape}")
        if (time is None) == self._variable:
            raise ValueError("give the time of each frame if and only if variable_rate is set")
        container = self._opened
        pts = self.frames if time is None else round(Fraction(time) / self._time_base)
        if pts <= self._last_pts:
            raise ValueError(f"time {time} of frame {self.frames} is not after the one before")

        picture = av.VideoFrame.from_ndarray(self._even(frame), format="rgb24")
        picture = self._reformatter.reformat(
            picture,
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )
        if paint is not None:
            paint([_pixels(plane) for plane in picture.planes])
        picture.pts, picture.time_base = pts, self._time_base
        try:
            container.mux(self._stream.encode(picture))
            if self._audio is not None:
                self._audio.send_until(float(pts * self._time_base))
        except (FFmpegError, OSError) as error:
            self._broken = True
            raise InputError(f"{self.path}: cannot be written on ({reason(error)})") from error
        self.frames += 1
        self._last_pts = pts

    def close(self, complete: bool = True) -> None:
        """Finish the file and give it its name; calling it twice is harmless.

        Args:
            complete: False leaves the file under its partial name and cuts sound that goes on after the last frame.

        Raises:
            InputError: the end of the file could not be written; then it keeps its partial name.
        """
        if self._container is None:
            return
        container, self._container = self._container, None
        problem: Exception | None = None
        try:
            if self.frames and not self._broken:  # after a failure FFmpeg may crash on further packets
                container.mux(self._stream.encode(None))
                if self._audio is not None:
                    end = math.inf if complete else float(self._last_pts * self._time_base)
                    self._audio.send_until(end)
                    self._audio.finish()
        except Exception as error:
            problem = error
        for each in (container, self._audio):
            try:
                if each is not None:
                    each.close()
            except Exception as error:
                problem = problem or error
        if not self.frames:
            self._part.discard()
        elif problem is not None or self._broken or not complete:
            self._part.keep()
        else:
            try:
                self._check()
                self._part.finish()
            except (FFmpegError, OSError) as error:
                problem = error
                self._part.keep()
        if isinstance(problem, FFmpegError | OSError):
            raise InputError(f"{self.path}: cannot be finished ({reason(problem)})") from problem
        if problem is not None:
            raise problem

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close(complete=error is None)
        except Exception:
            if error is None:
                raise
            log.debug("while finishing %s", self.path, exc_info=True)  # the first error is the one to show
        if error is not None and self.frames and self.partial.exists():
            error.add_note(f"the {self.frames} frames before it are in {self.partial}")

    def _check(self) -> None:
        """Refuse a file that does not hold every frame: not every failed write is reported by FFmpeg."""
        with av.open(str(self.partial), options=LOCAL_ONLY) as written:
            found = written.streams.video[0].frames
        if found != self.frames:
            raise OSError(f"{found} of {self.frames} frames arrived on the disk")

    def _even(self, frame: np.ndarray) -> np.ndarray:
        if self.stored_size == self.size:
            return np.ascontiguousarray(frame)
        down, right = self.stored_size[0] - self.size[0], self.stored_size[1] - self.size[1]
        return np.pad(frame, ((0, down), (0, right), (0, 0)), mode="edge")


def _same_bits() -> dict[str, str]:
    """Options that make x264 write the same bytes for the same pictures, with equal threads, on every such processor.

    Its macroblock tree reads beyond its rows with AVX-512, so that what else lies in memory changes the film.
    """
    wide = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    return {"x264-params": "asm=avx2"} if wide else {}


def _pixels(plane: VideoPlane) -> np.ndarray:
    """View a plane as uint8 (H, W)."""
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


class _Sound:
    """Brings the sound of a file into a container, a piece at a time, shifted to the video's clock."""

    @staticmethod
    def open(path: Path, container: OutputContainer, offset: float) -> "_Sound | None":
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
        return _Sound(path, source, container, offset)

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
