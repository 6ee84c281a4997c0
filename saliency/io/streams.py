"""Frames that arrive one after the other and have no end that is known: a camera, a stream from the network.

A frame that comes while the one before is still worked on waits; nothing is dropped. Only addresses that the user
asked for are opened, and nothing that an answer points to: playlists, ``concat:``, ``lavfi`` and local files are
refused by FFmpeg's own lists of allowed protocols and formats.
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from saliency.errors import InputError
from saliency.io.frame_source import FrameSource

SCHEMES = ("rtsp", "rtsps", "http", "https")
"""Addresses that can be opened."""

PATIENCE = 10.0
"""Seconds to wait for a stream's first and every further packet."""

_OPTIONS = {
    "protocol_whitelist": "rtsp,rtsps,rtp,srtp,udp,tcp,tls,http,https,crypto",
    "format_whitelist": "rtsp,sdp,rtp,mov,mp4,matroska,webm,mpegts,mjpeg,mpjpeg,flv,h264,hevc,avi,ogg",
    "rtsp_transport": "tcp",  # UDP loses packets without a word
}


class _Endless(FrameSource):
    """What cameras and streams share: frames are read once, from the first on."""

    def __len__(self) -> int:
        raise InputError(f"{self.path}: a camera or stream has no number of frames; record it to a file first")

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Refuse: a stream cannot be searched."""
        raise InputError(f"{self.path}: frames of a camera or stream come in order only; record it to a file first")

    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield the frames as they come, uint8 (H, W, 3) RGB, until the stream ends or `stop` of them came.

        Raises:
            InputError: `start` is not 0, or the stream breaks off.
        """
        if start != 0:
            raise InputError(f"{self.path}: a camera or stream cannot be entered at frame {start}")
        for number, frame in enumerate(self._frames()):
            if stop is not None and number >= stop:
                return
            if frame.shape[:2] != self.size:
                raise InputError(f"{self.path}: the picture changed its size from {self.size} to {frame.shape[:2]}")
            yield frame

    def _frames(self) -> Iterator[np.ndarray]:
        raise NotImplementedError


class StreamFrames(_Endless):
    """A stream at an address, ``rtsp://`` or ``http://``."""

    def __init__(self, address: str) -> None:
        """Connect and wait for the first picture.

        Args:
            address: of the stream, with one of `SCHEMES`.

        Raises:
            InputError: it cannot be reached, or holds no video.
        """
        import av
        from av.error import FFmpegError

        self.path = Path(address.rpartition("/")[2].partition("?")[0] or "stream")
        self.address = address
        try:
            self._container = av.open(address, mode="r", options=_OPTIONS, timeout=PATIENCE)
            if not self._container.streams.video:
                self._container.close()
                raise InputError(f"{address}: holds no video")
            stream = self._container.streams.video[0]
            stream.thread_type = "AUTO"
            self._decoded = self._container.decode(stream)
            self._first = next(self._decoded)
        except StopIteration:
            raise InputError(f"{address}: ended before its first picture") from None
        except (FFmpegError, OSError, ValueError) as error:
            raise InputError(
                f"{address}: cannot be opened as a video stream ({error}); check the address, and that it is the "
                "stream itself and no playlist or page"
            ) from error
        self.size = (self._first.height, self._first.width)
        self.fps = float(stream.average_rate or stream.guessed_rate or 30)

    def _frames(self) -> Iterator[np.ndarray]:
        from av.error import FFmpegError

        try:
            for frame in itertools.chain([self._first], self._decoded):
                self.corrupt_frames += bool(frame.is_corrupt)
                yield frame.to_ndarray(format="rgb24")
        except FFmpegError as error:
            raise InputError(f"{self.address}: the stream broke off ({error})") from error

    def close(self) -> None:
        """Hang up."""
        self._container.close()


class CameraFrames(_Endless):
    """A camera of this machine, by OpenCV."""

    def __init__(self, index: int, capture: Any = None) -> None:
        """Open the camera and take its first picture.

        Args:
            index: number of the camera, 0 for the first.
            capture: stands in for ``cv2.VideoCapture(index)``.

        Raises:
            InputError: there is no such camera, or another program holds it.
        """
        import cv2

        if capture is None:
            capture = cv2.VideoCapture(index)
        self._capture, self.path = capture, Path(f"camera{index}")
        taken, first = capture.read() if capture.isOpened() else (False, None)
        if not taken or first is None:
            capture.release()
            raise InputError(f"camera {index} gives no picture; check its number and that no other program holds it")
        self._first: np.ndarray = first
        self.size = first.shape[:2]
        rate = capture.get(cv2.CAP_PROP_FPS)
        self.fps = float(rate) if np.isfinite(rate) and rate > 0 else 30.0

    def _frames(self) -> Iterator[np.ndarray]:
        frame = self._first
        while True:
            yield np.ascontiguousarray(frame[:, :, ::-1])  # OpenCV's BGR
            taken, frame = self._capture.read()
            if not taken or frame is None:
                return

    def close(self) -> None:
        """Give the camera back."""
        self._capture.release()
