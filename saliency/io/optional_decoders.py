"""Video files read by the optional packages decord and torchcodec.

Both are refused for the files they are known to misread (measured on files with the frame number burnt into
the picture, see ``benchmarks/decoders.py``), and for every file in which they count other frames than PyAV.
"""

import importlib
import os
import re
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from saliency.errors import InputError
from saliency.io.frame_source import FrameSource
from saliency.io.pyav_frames import PyAVFrames

R = TypeVar("R")

DECORD_TIMEOUT = 120.0
"""Seconds after which one decord call counts as hung; its native code cannot be interrupted."""

# Neither finds frames of a transport stream, and decord loses them in ASF. File formats that were not tried are
# refused as well: without a test there is no promise.
DECORD_CONTAINERS = frozenset({"mov", "matroska", "avi", "flv"})
TORCHCODEC_CONTAINERS = frozenset({"mov", "matroska", "avi", "flv", "asf", "gif"})
"""FFmpeg's names of the file formats in which the packages were found to be exact."""

_CHUNK = 32
"""Frames `iterate` fetches at once."""


class _ProbedFrames(FrameSource):
    """What both decoders share: PyAV looks at the file first, then the other package decodes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pid = os.getpid()
        with PyAVFrames(path) as probe:
            self.size, self.fps, self.rotation = probe.size, probe.fps, probe.rotation
            self.start, self.pixel_aspect, self._announced = probe.start, probe.pixel_aspect, probe.announced
            self._count = len(probe)
            self._timestamps = probe.timestamps
            self._missing = probe.shortfall(self._count)
            probe.try_keyframes()
            if probe.kind.contradictory:
                raise InputError(f"{path}: its tables of times or keyframes are wrong; use decoder pyav")
            self._refuse(probe)

    @abstractmethod
    def _refuse(self, probe: PyAVFrames) -> None:
        """Raise InputError if this package would misread the file."""

    def _refuse_container(self, found: str, package: str, exact: frozenset[str]) -> None:
        if found not in exact:
            raise InputError(f"{self.path}: {package} does not read {found} files to the frame; use decoder pyav")

    @abstractmethod
    def _fetch(self, indices: list[int]) -> np.ndarray:
        """Return frames (n, H, W, 3) at valid indices."""

    def __len__(self) -> int:
        return self._count

    @property
    def announced(self) -> int | None:
        """See `FrameSource.announced`."""
        return self._announced

    @property
    def timestamps(self) -> np.ndarray | None:
        """Seconds of each frame after the first."""
        return self._timestamps

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Return frames; see `FrameSource.read`."""
        if os.getpid() != self._pid:
            raise RuntimeError(f"{self.path}: was opened in another process; open it inside the worker")
        wanted = self._checked(indices)
        if not wanted:
            return np.empty((0, *self.size, 3), dtype=np.uint8)
        frames = self._fetch(wanted)
        if frames.shape != (len(wanted), *self.size, 3):
            raise InputError(
                f"{self.path}: frames came as {frames.shape[1:]}, expected {(*self.size, 3)}; use decoder pyav"
            )
        return frames

    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield frames in order, fetched in small groups; see `FrameSource.iterate`."""
        start, end = self._range(start, stop)
        for begin in range(start, end, _CHUNK):
            yield from self.read(range(begin, min(begin + _CHUNK, end)))


class DecordFrames(_ProbedFrames):
    """A video file read by decord 0.6 or decord2 (both are imported as ``decord``; install only one).

    The reader is opened for each `read` and dropped after it: an open one keeps over 150 MB, decodes ahead in
    the background and may dead-lock in forked workers.
    """

    def __init__(self, path: Path) -> None:
        self._decord = _need("decord", "pip install decord (wheels: Linux on x86-64)")
        super().__init__(path)
        found = len(self._guarded(self._open))
        if found != self._count:
            raise InputError(f"{path}: decord counts {found} frames, not {self._count}; use decoder pyav")

    def _refuse(self, probe: PyAVFrames) -> None:
        kind = probe.kind
        self._refuse_container(kind.container, "decord", DECORD_CONTAINERS)
        if kind.container == "avi" and kind.b_frames:
            raise InputError(f"{self.path}: decord misreads AVI files with B-frames; use decoder pyav")
        if kind.hidden_frames:
            raise InputError(f"{self.path}: decord ignores the file's edit list; use decoder pyav")
        if kind.open_gops:
            raise InputError(f"{self.path}: decord misreads open GOPs; use decoder pyav")
        if kind.lands_early:
            raise InputError(f"{self.path}: decord misreads files without a way to each keyframe; use decoder pyav")
        if self._missing is not None:
            raise InputError(f"{self.path}: is damaged and decord would not notice; use decoder pyav")

    def _open(self) -> Any:
        return self._decord.VideoReader(str(self.path), ctx=self._decord.cpu(0), num_threads=1)

    def _fetch(self, indices: list[int]) -> np.ndarray:
        return self._guarded(lambda: self._open().get_batch(indices).asnumpy())

    def _guarded(self, call: Callable[[], R]) -> R:
        """Run `call` in a thread that can be left behind when it hangs."""
        outcome: dict[str, Any] = {}

        def work() -> None:
            try:
                outcome["value"] = call()
            except Exception as error:
                outcome["error"] = error

        thread = threading.Thread(target=work, daemon=True, name=f"decord {self.path.name}")
        thread.start()
        thread.join(DECORD_TIMEOUT)
        if thread.is_alive():
            raise InputError(f"{self.path}: decord hangs ({DECORD_TIMEOUT:.0f} s); use decoder pyav")
        if "error" in outcome:
            reason = re.split(r"(?i)error:? ", _first_line(outcome["error"]))[-1]  # behind the place in its source
            raise InputError(f"{self.path}: decord cannot read it ({reason}); use decoder pyav") from outcome["error"]
        return outcome["value"]

    def close(self) -> None:
        """Nothing is kept open."""


class TorchCodecFrames(_ProbedFrames):
    """A video file read by torchcodec in its exact seek mode."""

    def __init__(self, path: Path) -> None:
        self._decoders = _need("torchcodec.decoders", "pip install 'video-saliency[torchcodec]'")
        super().__init__(path)
        try:
            self._decoder: Any = self._decoders.VideoDecoder(
                str(path), dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="exact"
            )
        except (RuntimeError, ValueError) as error:
            if "Could not load libtorchcodec" in str(error):
                raise InputError(f"decoder torchcodec {_unloadable(str(error))} or use decoder pyav") from error
            reason = _first_line(error)
            raise InputError(f"{path}: torchcodec cannot read it ({reason}); use decoder pyav") from error
        found = len(self._decoder)
        if found != self._count:
            raise InputError(f"{path}: torchcodec counts {found} frames, not {self._count}; use decoder pyav")

    def _refuse(self, probe: PyAVFrames) -> None:
        self._refuse_container(probe.kind.container, "torchcodec", TORCHCODEC_CONTAINERS)
        if probe.kind.container == "avi" and probe.kind.b_frames:
            raise InputError(f"{self.path}: torchcodec misreads AVI files with B-frames; use decoder pyav")
        if probe.kind.container == "matroska" and probe.kind.open_gops:
            raise InputError(f"{self.path}: torchcodec loses the end of Matroska open GOPs; use decoder pyav")
        if self._missing is not None:
            raise InputError(f"{self.path}: is damaged and torchcodec would not notice; use decoder pyav")

    def _fetch(self, indices: list[int]) -> np.ndarray:
        if self._decoder is None:
            raise RuntimeError(f"{self.path}: is closed")
        try:
            return self._decoder.get_frames_at(indices).data.numpy()
        except (RuntimeError, IndexError, ValueError) as error:
            reason = _first_line(error)
            raise InputError(f"{self.path}: torchcodec cannot decode it ({reason}); use decoder pyav") from error

    def close(self) -> None:
        """Drop the decoder."""
        self._decoder = None


def _need(module: str, install: str) -> ModuleType:
    """Import an optional package, late and with a clear message."""
    try:
        return importlib.import_module(module)
    except (ImportError, OSError, RuntimeError) as error:  # torchcodec raises RuntimeError without FFmpeg
        name = module.partition(".")[0]
        raise InputError(
            f"decoder {name} cannot be imported ({_first_line(error)}); {install} or use decoder pyav"
        ) from error


def _unloadable(report: str) -> str:
    """Say why torchcodec's libraries, one for each version of FFmpeg, cannot be loaded, and what to do."""
    tried = report.count("FFmpeg version ")
    missing = len(re.findall(r"libav\w+\.so\S*: cannot open shared object file", report))
    if missing and missing >= tried:
        return "needs FFmpeg's shared libraries, and there are none: install them (e.g. apt-get install ffmpeg)"
    return "does not fit the installed torch or FFmpeg: install the release made for this torch"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
