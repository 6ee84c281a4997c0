"""Frames resized once and kept on disk: one shard per video and size.

Two kinds:

* ``raw``: the uint8 pixels, memory-mapped. Exact, the fastest to read, 252 KiB per frame of 224x384.
* ``jpeg``: a tar of JPEG files (quality 95, no chroma subsampling) with an index of their offsets. About 15 KiB
  per frame, half a grey level off on average.

A shard knows the content of the video it was made from (sha256). Opening one compares names and sizes of the
source files, the size of the shard and the checksums of three of its frames; `check` reads everything.

Layout: ``<folder>/<H>x<W>-<kind>/<video id>.json`` with the data beside it.
"""

import hashlib
import io
import json
import logging
import os
import shutil
import tarfile
import tempfile
import time
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch

from saliency.errors import InputError
from saliency.io.atomic import write_atomic
from saliency.io.frame_source import FrameSource
from saliency.io.transforms import resize_frames

log = logging.getLogger(__name__)

Kind = Literal["raw", "jpeg"]
SUFFIX = {"raw": ".frames", "jpeg": ".tar"}
VERSION = 1
CHUNK = 16
"""Frames resized at once while a shard is built."""
ABANDONED = 600.0
"""Seconds after which a half-written shard that nobody writes to counts as left behind by a killed run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """What is written about a shard.

    Attributes:
        version: of this format.
        video: id of the video.
        kind: ``raw`` or ``jpeg``.
        size: (H, W) of the stored frames.
        num_frames: number of frames.
        source: sha256 of the content of the source files.
        files: sha256 of the names and sizes of the source files, for a quick comparison.
        num_bytes: size of the data file.
        offsets: where each frame starts in the data file.
        lengths: bytes of each frame.
        checksums: CRC-32 of each frame's bytes.
    """

    version: int
    video: str
    kind: Kind
    size: tuple[int, int]
    num_frames: int
    source: str
    files: str
    num_bytes: int
    offsets: Sequence[int]
    lengths: Sequence[int]
    checksums: Sequence[int]


class FrameCache:
    """A folder of shards, opened for reading.

    Args:
        folder: the folder.
        kind: which kind to read; None: raw shards where there are any, else jpeg.

    Raises:
        InputError: the folder does not exist.
    """

    def __init__(self, folder: Path, kind: Kind | None = None) -> None:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such frame cache; make it with saliency prepare cache")
        self.folder = folder
        self.kind: Kind | None = kind
        self._shards: dict[tuple[str, tuple[int, int]], tuple[Shard, Path]] = {}

    def read(self, video: str, size: tuple[int, int], sources: Sequence[Path], indices: Sequence[int]) -> np.ndarray:
        """Return frames of a video at `size`, uint8 (n, H, W, 3) RGB.

        Raw frames that follow one another are not copied: they come from the file when they are looked at. Writing to
        them changes the array only.

        Args:
            video: id of the video.
            size: (H, W); there must be a shard of exactly this size.
            sources: the files the shard must have been made from.
            indices: 0-based frames, in any order, repeats allowed.

        Raises:
            InputError: there is no such shard, it belongs to other files or is damaged.
            IndexError: an index is outside the video.
        """
        shard, path = self._shard(video, size, sources)
        for i in indices:
            if not 0 <= i < shard.num_frames:
                raise IndexError(f"{path}: frame {i} is outside the video of {shard.num_frames} frames")
        if shard.kind == "raw":
            pixels = np.memmap(path, dtype=np.uint8, mode="c", shape=(shard.num_frames, *shard.size, 3)).view(
                np.ndarray
            )
            first, n = (indices[0], len(indices)) if len(indices) else (0, 0)
            in_a_row = list(indices) == list(range(first, first + n))
            return pixels[first : first + n] if in_a_row else pixels[list(indices)]
        frames = np.empty((len(indices), *shard.size, 3), dtype=np.uint8)
        with path.open("rb") as file:
            for row, i in enumerate(indices):
                frames[row] = _decode(_bytes(file, shard, i), path, i, shard.size)
        return frames

    def num_frames(self, video: str, size: tuple[int, int], sources: Sequence[Path]) -> int:
        """Return the number of frames of a shard; raises as `read`."""
        return self._shard(video, size, sources)[0].num_frames

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_shards": {}}

    def _shard(self, video: str, size: tuple[int, int], sources: Sequence[Path]) -> tuple[Shard, Path]:
        """Find a shard; it is verified once in each process."""
        key = (video, (size[0], size[1]))
        if key not in self._shards:
            kinds: Sequence[Kind] = ["raw", "jpeg"] if self.kind is None else [self.kind]
            found = [place for kind in kinds if (place := shard_file(self.folder, video, size, kind)).is_file()]
            if not found:
                raise InputError(
                    f"{self.folder}: holds no frames of video {video} at {size[0]}x{size[1]}; add them with "
                    f"saliency prepare cache --size {size[0]} {size[1]}"
                )
            shard, data = verified(found[0], sources)
            jpeg = shard.kind == "jpeg"  # a worker keeps hundreds of these: only what reading needs, compactly
            self._shards[key] = (
                replace(
                    shard,
                    offsets=array("q", shard.offsets if jpeg else ()),
                    lengths=array("q", shard.lengths if jpeg else ()),
                    checksums=(),
                ),
                data,
            )
        return self._shards[key]


def shard_file(folder: Path, video: str, size: tuple[int, int], kind: Kind) -> Path:
    """Return where the description of a shard is; ``/`` and the like in the id are replaced."""
    name = "".join(c if c.isalnum() or c in "-_." else "~" for c in video)
    return folder / f"{size[0]}x{size[1]}-{kind}" / f"{name}.json"


def verified(description: Path, sources: Sequence[Path] | None = None) -> tuple[Shard, Path]:
    """Read the description of a shard and check it against its data and, quickly, its source files.

    Raises:
        InputError: one line that says what is wrong and how to rebuild.
    """
    remedy = f"delete {description} and run saliency prepare cache again"
    try:
        values = json.loads(description.read_text(encoding="utf-8"))
        shard = Shard(**{**values, "size": tuple(values["size"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{description}: is not the description of a shard ({error}); {remedy}") from error
    if shard.version != VERSION:
        raise InputError(f"{description}: has format {shard.version}, this version reads {VERSION}; {remedy}")
    if sources is not None and shard.files != files_hash(sources):
        raise InputError(f"{description}: was made from other files than {sources[0]}; {remedy}")
    data = description.with_suffix(SUFFIX[shard.kind])
    found = data.stat().st_size if data.is_file() else 0
    if found != shard.num_bytes:
        raise InputError(f"{data}: has {found} of {shard.num_bytes} bytes; {remedy}")
    with data.open("rb") as file:
        for i in {0, shard.num_frames // 2, shard.num_frames - 1}:
            if zlib.crc32(_bytes(file, shard, i)) != shard.checksums[i]:
                raise InputError(f"{data}: frame {i} is damaged; {remedy}")
    return shard, data


def check(description: Path, sources: Sequence[Path]) -> None:
    """Compare a shard completely: every frame's checksum and the content of the source files.

    Raises:
        InputError: something differs.
    """
    shard, data = verified(description, sources)
    if content_hash(sources) != shard.source:
        raise InputError(f"{description}: the content of {sources[0]} has changed; delete the shard and build it again")
    with data.open("rb") as file:
        for i in range(shard.num_frames):
            if zlib.crc32(_bytes(file, shard, i)) != shard.checksums[i]:
                raise InputError(f"{data}: frame {i} is damaged; delete {description} and build it again")


def build(
    folder: Path,
    video: str,
    open_source: Callable[[], FrameSource],
    sources: Sequence[Path],
    size: tuple[int, int],
    kind: Kind = "raw",
) -> bool:
    """Make the shard of one video unless a valid one is there.

    A killed run leaves no half shard: the description, written last, is what makes it one.

    Args:
        folder: the frame cache.
        video: id of the video.
        open_source: opens the frames.
        sources: the files they come from.
        size: (H, W) to resize to, antialiased bilinear, as training does.
        kind: ``raw`` or ``jpeg``.

    Returns:
        Whether a shard was made.

    Raises:
        InputError: a frame cannot be decoded, or the disk is full.
    """
    description = shard_file(folder, video, size, kind)
    data = description.with_suffix(SUFFIX[kind])
    _remove_leftovers(data)
    source_hash = content_hash(sources)
    if description.is_file():
        try:
            if verified(description, sources)[0].source == source_hash:
                return False
        except InputError as error:
            log.info("building again: %s", error)
        description.unlink()
    description.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=data.parent, prefix=f".{data.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file, open_source() as source:
            frames = _resized(source, size)
            offsets, lengths, checksums = _write_raw(file, frames) if kind == "raw" else _write_tar(file, frames)
            if len(offsets) != len(source):
                raise InputError(f"{sources[0]}: {len(offsets)} of {len(source)} frames could be decoded")
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        num_bytes = temporary.stat().st_size
        temporary.replace(data)
    except OSError as error:
        raise InputError(f"{data}: cannot be written ({error.strerror}); free space or name another folder") from error
    finally:
        temporary.unlink(missing_ok=True)
    shard = Shard(
        version=VERSION,
        video=video,
        kind=kind,
        size=(size[0], size[1]),
        num_frames=len(offsets),
        source=source_hash,
        files=files_hash(sources),
        num_bytes=num_bytes,
        offsets=offsets,
        lengths=lengths,
        checksums=checksums,
    )
    with write_atomic(description) as file:
        json.dump(asdict(shard), file)
    return True


def _remove_leftovers(data: Path) -> None:
    """Remove what killed runs left of a shard; a file that was written to lately may be another run's."""
    for part in data.parent.glob(f".{data.name}.*"):
        if time.time() - part.stat().st_mtime > ABANDONED:
            part.unlink(missing_ok=True)


def estimate(frame: np.ndarray, num_frames: int, size: tuple[int, int], kind: Kind) -> int:
    """Estimate the bytes of shards for `num_frames` frames; for ``jpeg`` from one typical frame (H, W, 3)."""
    if kind == "raw":
        return num_frames * size[0] * size[1] * 3
    small = next(_resized_chunk([frame], size))
    return num_frames * (len(_encode(small)) + 1024)  # tar header and padding


def free_bytes(folder: Path) -> int:
    """Return the free space of the disk that `folder` is, or will be, on."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def content_hash(files: Sequence[Path]) -> str:
    """Return the sha256 (hex) of the names and contents of files."""
    total = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            total.update(f"{path.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()


def files_hash(files: Sequence[Path]) -> str:
    """Return the sha256 (hex) of the names and sizes of files.

    Raises:
        InputError: one is missing.
    """
    try:
        lines = [f"{path.name}\0{path.stat().st_size}\n" for path in files]
    except OSError as error:
        raise InputError(f"{error.filename}: is missing; complete the data set") from error
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _resized(source: FrameSource, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Yield the frames of a source, resized, uint8 (h, w, 3)."""
    frames = source.iterate()
    while chunk := list(islice(frames, CHUNK)):
        yield from _resized_chunk(chunk, size)


def _resized_chunk(frames: list[np.ndarray], size: tuple[int, int]) -> Iterator[np.ndarray]:
    resized = resize_frames(torch.from_numpy(np.stack(frames)), size)  # (n, 3, h, w)
    yield from np.ascontiguousarray(resized.permute(0, 2, 3, 1).numpy())


def _write_raw(file: io.BufferedWriter, frames: Iterator[np.ndarray]) -> tuple[list[int], list[int], list[int]]:
    offsets, lengths, checksums = [], [], []
    for frame in frames:
        offsets.append(file.tell())
        lengths.append(frame.nbytes)
        checksums.append(zlib.crc32(frame.data))
        file.write(frame.data)
    return offsets, lengths, checksums


def _write_tar(file: io.BufferedWriter, frames: Iterator[np.ndarray]) -> tuple[list[int], list[int], list[int]]:
    offsets, lengths, checksums = [], [], []
    with tarfile.open(fileobj=file, mode="w") as archive:
        for i, frame in enumerate(frames):
            data = _encode(frame)
            member = tarfile.TarInfo(f"{i:05d}.jpg")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
            padded = -(-len(data) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
            offsets.append(file.tell() - padded)
            lengths.append(len(data))
            checksums.append(zlib.crc32(data))
    return offsets, lengths, checksums


def _encode(frame: np.ndarray) -> bytes:
    options = [
        *(cv2.IMWRITE_JPEG_QUALITY, 95),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    ]
    return cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def _decode(data: bytes, path: Path, i: int, size: tuple[int, int]) -> np.ndarray:
    frame = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if frame is None or frame.shape[:2] != tuple(size):
        raise InputError(f"{path}: frame {i} is damaged; delete the shard and build it again")
    return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB, dst=frame)


def _bytes(file: io.BufferedReader, shard: Shard, i: int) -> bytes:
    file.seek(shard.offsets[i])
    return file.read(shard.lengths[i])
