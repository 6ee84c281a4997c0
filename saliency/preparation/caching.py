"""Resize the frames of a data set once and keep them, see `saliency.io.frame_cache`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from saliency.data.video import AnnotatedVideo
from saliency.errors import InputError
from saliency.io import frame_cache
from saliency.runtime.pool import in_processes


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePlan:
    """Shards that are to be there: every video in every size.

    Attributes:
        out: folder of the frame cache.
        videos: the videos.
        sizes: (H, W) of the frames.
        kind: raw or jpeg.
    """

    out: Path
    videos: Sequence[AnnotatedVideo]
    sizes: Sequence[tuple[int, int]]
    kind: frame_cache.Kind = "raw"

    def __post_init__(self) -> None:
        if min(min(size) for size in self.sizes) < 1:
            raise InputError(f"--size needs a height and a width of at least 1, got {min(self.sizes)}")
        if not self.videos:
            raise InputError("there is no video to cache; choose others")

    @property
    def frames(self) -> int:
        """Number of frames of all videos."""
        return sum(video.num_frames for video in self.videos)

    @property
    def shards(self) -> int:
        """Number of shards."""
        return len(self.videos) * len(self.sizes)

    def need(self) -> float:
        """Bytes that all shards take, estimated from one frame.

        Raises:
            InputError: that frame cannot be read.
        """
        middle = self.videos[len(self.videos) // 2]
        with middle.open() as source:
            sample = source.read([middle.num_frames // 2])[0]
        return sum(frame_cache.estimate(sample, self.frames, size, self.kind) for size in self.sizes)

    def there(self) -> int:
        """Bytes of shards that the folder holds."""
        return sum(path.stat().st_size for path in self.out.rglob("*") if path.suffix in (".frames", ".tar"))

    def free(self) -> int:
        """Bytes that are free on the folder's disk."""
        return frame_cache.free_bytes(self.out)

    def build(self, *, workers: int = 1, check: bool = False) -> Iterator[tuple[str, bool]]:
        """Make what is not there yet, or compare what is; yield what went wrong (or nothing), and whether it is new.

        Args:
            workers: processes.
            check: compare every frame and the source files of the shards that are there.
        """
        jobs = [(self.out, video, size, self.kind, check) for video in self.videos for size in self.sizes]
        return in_processes(_one, jobs, workers)


def _one(
    out: Path, video: AnnotatedVideo, size: tuple[int, int], kind: frame_cache.Kind, check: bool
) -> tuple[str, bool]:
    try:
        if check:
            frame_cache.check(frame_cache.shard_file(out, video.id, size, kind), video.sources())
            return "", False
        return "", frame_cache.build(out, video.id, video.open, video.sources(), size, kind)
    except InputError as error:
        return str(error), False
