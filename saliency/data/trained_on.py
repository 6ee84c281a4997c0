"""Which videos a model learned from, by checksums kept with its weights: nobody shall score it on them unawares."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saliency.data.video import AnnotatedVideo
from saliency.io.images import list_images
from saliency.io.weights import file_sha256

KEY = "trained_on"
"""Where the metadata of a weights file holds the checksums, as a JSON list."""


def video_sha256(path: Path) -> str:
    """Return the SHA-256 of a video file, or of the checksums of a folder's images in order; empty if it is gone."""
    if path.is_file():
        return file_sha256(path)
    if not path.is_dir():
        return ""
    return hashlib.sha256("".join(file_sha256(image) for image in list_images(path)).encode()).hexdigest()


def checksums(samples: Any) -> tuple[str, ...]:
    """Return the checksums of the videos that samples are drawn from; none where these are no videos."""
    videos = getattr(samples, "videos", ())
    paths = {video.path for video in videos if isinstance(video, AnnotatedVideo)}
    return tuple(sorted({video_sha256(path) for path in paths} - {""}))


def trained_on(metadata: Mapping[str, str]) -> frozenset[str]:
    """Return the checksums that the metadata of a weights file holds."""
    try:
        return frozenset(map(str, json.loads(metadata.get(KEY, "[]"))))
    except (ValueError, TypeError):
        return frozenset()


def seen_in_training(videos: Sequence[AnnotatedVideo], known: frozenset[str]) -> list[str]:
    """Return the ids of the videos whose checksums are among `known`; no file is read if there are none."""
    return [video.id for video in videos if video_sha256(video.path) in known] if known else []
