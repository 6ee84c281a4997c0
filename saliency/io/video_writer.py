"""Write frames to an MP4 that plays everywhere: H.264, yuv420p, with the sound of another file if wanted."""

import logging
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
import torch
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter

from saliency.errors import InputError
from saliency.io.partial import Partial
from saliency.io.pictures import TAGS, Matrix, Picture, Planes, planes_of
from saliency.io.pyav_reader import UNDECODED, reason
from saliency.io.sound import Sound, SoundTrack

log = logging.getLogger(__name__)

_KEYFRAME_SECONDS = 2
"""Distance of keyframes: what a killed process may lose, and how coarsely players search."""

_COLORSPACES: dict[Matrix, Colorspace] = {"bt709": Colorspace.ITU709, "bt601": Colorspace.ITU601}

_CLOCK = Fraction(1, 90_000)
"""Unit of time of videos with varying frame distances."""


class VideoWriter:
    """Writes RGB frames to an MP4. Use it as a context manager.

    Odd sizes: yuv420p stores one colour value per 2x2 pixels, so the stored width and height must be even. The
    last column or row is repeated once; no pixel is lost, moved or scaled.

    Colours are stored and tagged as BT.709, or as the first frame was whose planes are kept, limited range.

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
        self._matrix: Matrix = "bt709"
        self._reformatter = VideoReformatter()
        self._part = Partial(self.path)
        self.partial = self._part.path
        self._container: OutputContainer | None = None
        try:
            self._start(fps, crf, pixel_aspect)
            self._audio = None if sound is None else SoundTrack.open(Path(sound.path), self._opened, sound.start)
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
        options = {"crf": str(crf), "g": str(keyframes), **encoding()}
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

    def write(self, frame: np.ndarray, time: float | None = None) -> None:
        """Append a frame, uint8 (H, W, 3) RGB.

        Args:
            frame: the picture.
            time: seconds after the first frame, growing; given if and only if the rate is variable.

        Raises:
            InputError: the disk is full or the file cannot be written.
            ValueError: wrong shape, type or time.
        """
        self._check_frame(frame)
        self._append(self._stored(frame), time)

    def write_painted(
        self, picture: Picture, paint: Callable[[Planes, Planes, Matrix], None], time: float | None = None
    ) -> None:
        """Append a frame that is painted on as it is stored, without a way through RGB where it has planes.

        Args:
            picture: the frame; the first one decides about the matrix.
            paint: makes planes of the film from those of the frame, which may be the same, by their matrix.
            time: as of `write`.

        Raises:
            InputError: as of `write`.
            ValueError: as of `write`.
        """
        self._check_frame(picture.rgb)
        if picture.matrix is not None and not self.frames:
            self._matrix = picture.matrix
            self._stream.codec_context.colorspace = TAGS[picture.matrix]
        if picture.stored is not None and picture.matrix == self._matrix:
            film = av.VideoFrame(self.stored_size[1], self.stored_size[0], "yuv420p")
            paint(planes_of(picture.stored), planes_of(film), self._matrix)
        else:
            film = self._stored(picture.rgb)
            paint(planes_of(film), planes_of(film), self._matrix)
        self._append(film, time)

    def _check_frame(self, frame: np.ndarray) -> None:
        if frame.dtype != np.uint8 or frame.shape != (*self.size, 3):
            raise ValueError(f"expected uint8 {(*self.size, 3)}, got {frame.dtype} {frame.shape}")

    def _stored(self, frame: np.ndarray) -> av.VideoFrame:
        """Turn RGB into what is stored."""
        return self._reformatter.reformat(
            av.VideoFrame.from_ndarray(self._even(frame), format="rgb24"),
            format="yuv420p",
            dst_colorspace=_COLORSPACES[self._matrix],
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )

    def _append(self, picture: av.VideoFrame, time: float | None) -> None:
        """Encode a picture as it is to be stored."""
        if (time is None) == self._variable:
            raise ValueError("give the time of each frame if and only if variable_rate is set")
        container = self._opened
        pts = self.frames if time is None else round(Fraction(time) / self._time_base)
        if pts <= self._last_pts:
            raise ValueError(f"time {time} of frame {self.frames} is not after the one before")

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
        with av.open(str(self.partial), options=UNDECODED) as written:
            found = written.streams.video[0].frames
        if found != self.frames:
            raise OSError(f"{found} of {self.frames} frames arrived on the disk")

    def _even(self, frame: np.ndarray) -> np.ndarray:
        if self.stored_size == self.size:
            return np.ascontiguousarray(frame)
        down, right = self.stored_size[0] - self.size[0], self.stored_size[1] - self.size[1]
        return np.pad(frame, ((0, down), (0, right), (0, 0)), mode="edge")


def encoding() -> dict[str, str]:
    """Options of x264.

    Its preset veryfast, with a coarser search for motion between pixels: a quarter less time and 5 % more bytes for
    pictures that are 0.2 dB further from what was painted. It is to write the same bytes for the same pictures, with
    equal threads, on every processor with AVX2: its macroblock tree reads beyond its rows with AVX-512, so that what
    else lies in memory changes the film.
    """
    wide = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    return {"preset": "veryfast", "x264-params": "subme=1:asm=avx2" if wide else "subme=1"}
