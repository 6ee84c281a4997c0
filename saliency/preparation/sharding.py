"""Write the videos of a data set into tar shards, see `saliency.datasets.shards`."""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from saliency.data.video import AnnotatedVideo
from saliency.datasets.folder import FolderVideo, uneven
from saliency.datasets.shards import INDEX, VERSION
from saliency.errors import InputError
from saliency.io.atomic import replacing, write_atomic
from saliency.io.shard_store import ShardFile

Member = tuple[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written.

    Attributes:
        videos: how many.
        shards: how many.
        num_bytes: of the shards.
    """

    videos: int
    shards: int
    num_bytes: int


def write_shards(
    splits: Mapping[str, Sequence[AnnotatedVideo]],
    out: Path,
    *,
    limit: int,
    done: Callable[[int], object] = lambda _: None,
) -> Written:
    """Write shards and their index, which comes last: without it they are none.

    Args:
        splits: split -> its videos.
        out: a folder without an index; it is made.
        limit: bytes of a shard; one that holds a single video may be larger.
        done: called with 1 after each video.

    Raises:
        InputError: there is an index already, a video cannot be read or is a folder of frames, or the disk is full.
    """
    if (out / INDEX).exists():
        raise InputError(f"{out / INDEX}: is there already; name another folder or remove it")
    shards: list[dict[str, Any]] = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for split, videos in splits.items():
            if re.fullmatch(r"[\w.-]+", split) is None:
                raise InputError(f"split '{split}': shards are named after it; use letters, digits, - and _")
            group: list[Path] = []
            left = list(enumerate(videos))
            while left:
                path = out / f"{split}-{len(group):06d}.tar"
                entries = _write(path, left, limit, done)
                left = left[len(entries) :]
                group.append(path)
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                known = ShardFile(name=path.name, num_bytes=path.stat().st_size, sha256=digest)
                shards.append({"split": split, "file": asdict(known), "videos": entries})
        with write_atomic(out / INDEX) as file:
            json.dump({"version": VERSION, "shards": shards}, file)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror or error}); free space") from error
    return Written(
        videos=sum(len(shard["videos"]) for shard in shards),
        shards=len(shards),
        num_bytes=sum(shard["file"]["num_bytes"] for shard in shards),
    )


def _write(
    path: Path, videos: Sequence[tuple[int, AnnotatedVideo]], limit: int, done: Callable[[int], object]
) -> list[dict[str, Any]]:
    """Write a shard of as many of the videos as fit; return what the index says of them."""
    entries: list[dict[str, Any]] = []
    with replacing(path) as temporary, tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as archive:
        for number, video in videos:
            if entries and archive.offset + video.path.stat().st_size > limit:
                break
            entry, truth = _describe(video, f"{number:06d}")
            file = tarfile.TarInfo(f"{entry['key']}{entry['suffix']}")
            file.size = video.path.stat().st_size
            with video.path.open("rb") as content:
                archive.addfile(file, content)
            for name, data in [*truth, (f"{entry['key']}.json", json.dumps(entry).encode())]:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
            entries.append(entry)
            done(1)
    return entries


def _describe(video: AnnotatedVideo, key: str) -> tuple[dict[str, Any], list[Member]]:
    """What the index says of a video, and its ground truth as members of the shard."""
    if video.path.is_dir():
        raise InputError(f"{video.path}: is a folder of frames; shards hold video files")
    with video.open() as source:
        fps, times = source.fps, uneven(source)
    recorded = isinstance(video, FolderVideo) and video.gaze is not None and not (video.maps or video.fixation_files)
    truth: list[Member] = []
    suffix, sigma = "", 0.0
    if isinstance(video, FolderVideo) and recorded and video.gaze is not None:
        truth, sigma = [(f"{key}.gaze.csv", video.gaze.read_bytes())], video.sigma
    elif video.annotated:
        suffix, truth = _maps(video, key)
    entry = {
        "id": video.id,
        "key": key,
        "suffix": video.path.suffix.lower(),
        "num_frames": video.num_frames,
        "size": list(video.size),
        "annotated": video.annotated,
        "may_be_empty": video.may_be_empty,
        "fps": fps,
        "times": times,
        "sigma": sigma,
        "gaze": recorded,
        "maps": suffix,
    }
    return entry, truth


def _maps(video: AnnotatedVideo, key: str) -> tuple[str, list[Member]]:
    """The maps of each frame as members, and the suffix of the density maps."""
    members: list[Member] = []
    densities = [video.density(i).astype(np.float32) for i in range(video.num_frames)]
    grey = [np.rint(density * 255) for density in densities]
    exact = all(
        each.max(initial=0) <= 255 and np.array_equal((each / 255).astype(np.float32), density)
        for each, density in zip(grey, densities, strict=True)
    )
    for i, density in enumerate(densities):
        name = f"{key}.maps.{i + 1:05d}"
        members.append((f"{name}.png", _png(grey[i])) if exact else (f"{name}.npy", _npy(density)))
        members.append((f"{key}.fixations.{i + 1:05d}.png", _png(video.fixations(i) * 255)))
    return ".png" if exact else ".npy", members


def _png(values: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(values.astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def _npy(values: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, values)
    return out.getvalue()
