"""Videos that come in tar shards, for corpora that do not fit one disk: a folder, or an address, of tar files.

::

    index.json                 what is in which shard (version 1)
    train-000000.tar ..        about as large as each other; WebDataset's layout: members of one video share its key

        0007.avi               the video, byte by byte as it was
        0007.gaze.csv          its gaze, as `saliency.datasets.folder` reads it; or, where there is none,
        0007.maps.00001.png .. a density map (.png where eight bits hold it exactly, else .npy) and
        0007.fixations.00001.png ..  a fixation map for each frame
        0007.json              what the index says of the video

``saliency prepare shards`` writes them. Reading brings whole shards, in the order in which training visits them
(`saliency.data.shard_order`), into a folder of bounded size (`saliency.io.shard_store`).
"""

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from saliency.data.shard_order import shard_order
from saliency.data.targets import HOUSE, Sampling
from saliency.data.video import AnnotatedVideo
from saliency.datasets.folder import FolderVideo
from saliency.errors import InputError, MissingData
from saliency.io.cache_folder import cache_folder
from saliency.io.frames import Decoder, FrameSource
from saliency.io.maps import read_density, read_fixations
from saliency.io.shard_store import ShardFile, ShardStore, open_address
from saliency.types import InputSpec

T = TypeVar("T")

INDEX = "index.json"
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardVideo(AnnotatedVideo):
    """A video in a shard; its path is where it lies when the shard is here.

    Attributes:
        key: what the names of its files begin with.
        shard: number of its shard.
        file: that shard.
        store: brings it.
        fps: frames per second.
        times: start of each frame in seconds where frames do not last equally long.
        sigma: standard deviation in pixels of density maps made from gaze.
        gaze: whether it has a gaze file.
        maps: suffix of its density maps; empty: made from the gaze.
    """

    key: str
    shard: int
    file: ShardFile
    store: ShardStore
    fps: float
    times: tuple[float, ...] | None = None
    sigma: float
    gaze: bool
    maps: str = ""

    def open(self) -> FrameSource:
        """Open the frames, see `AnnotatedVideo.open`."""
        return self._reading(lambda folder: AnnotatedVideo.open(self))

    def sources(self) -> list[Path]:
        """Return the file the frames are read from."""
        return self._reading(lambda folder: AnnotatedVideo.sources(self))

    def identity(self) -> str:
        """Return what tells it from another video."""
        return f"{self.id}\0{self.key}\0{self.file.sha256}"

    def density(self, i: int) -> np.ndarray:
        """Return the density map of frame `i`, float32 (H, W)."""
        self.check_frame(i)
        if self.maps:
            return self._reading(lambda folder: read_density(folder / f"{self.key}.maps.{i + 1:05d}{self.maps}"))
        return self._reading(lambda folder: self._recorded(folder).density(i))

    def fixations(self, i: int) -> np.ndarray:
        """Return the fixation map of frame `i`, bool (H, W)."""
        self.check_frame(i)
        if self.maps:
            return self._reading(lambda folder: read_fixations(folder / f"{self.key}.fixations.{i + 1:05d}.png"))
        return self._reading(lambda folder: self._recorded(folder).fixations(i))

    def observers(self) -> np.ndarray | None:
        """Return the gaze, float32 (observers, num_frames, 2) x, y in pixels, NaN where absent; None without gaze."""
        return self._reading(lambda folder: self._recorded(folder).observers()) if self.gaze else None

    def points_outside(self, i: int) -> int:
        """Return how many points of the gaze file lie outside of the picture during frame `i`."""
        return self._reading(lambda folder: self._recorded(folder).points_outside(i)) if self.gaze else 0

    def _reading(self, read: Callable[[Path], T]) -> T:
        return self.store.reading(self.file, read)

    def _recorded(self, folder: Path) -> FolderVideo:
        if not self.gaze:
            raise InputError(f"video {self.id} has no ground truth; take a split that is annotated")
        return FolderVideo(
            id=self.id,
            path=self.path,
            num_frames=self.num_frames,
            size=self.size,
            fps=self.fps,
            times=self.times,
            gaze=folder / f"{self.key}.gaze.csv",
            sigma=self.sigma,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shards:
    """A corpus in shards.

    Attributes:
        address: folder of the shards: a path or an address, see `saliency.io.shard_store`.
        cache: where shards are unpacked; None: a folder in the project's cache (``SALIENCY_CACHE``).
        keep_gb: 10^9 bytes of shards that lie unpacked at most.
        lanes: streams of shards that are read side by side, see `saliency.data.shard_order`; best a multiple of the
            number of processes that divides the batch.
        mixed: shards of a lane whose samples are mixed.
        decoder: package that decodes the videos.
        sampling: the target rules of training and validation.
    """

    address: str
    cache: Path | None = None
    keep_gb: float = 20.0
    lanes: int = 1
    mixed: int = 4
    decoder: Decoder = "pyav"
    sampling: Sampling = HOUSE

    def __post_init__(self) -> None:
        if self.keep_gb <= 0 or self.lanes < 1 or self.mixed < 1:
            raise ValueError(f"need keep_gb > 0, lanes >= 1 and mixed >= 1, got {self}")

    def videos(self, split: str) -> list[AnnotatedVideo]:
        """Return the videos of a split, shard by shard; only the index is read.

        Raises:
            MissingData: the index cannot be reached.
            InputError: it is no index, has no such split, or the shards in use at a time are more than `keep_gb`.
        """
        text, index = _index(self.address)
        store = ShardStore(
            address=self.address,
            folder=(self.cache or cache_folder() / "shards") / hashlib.sha256(text.encode()).hexdigest()[:12],
            keep=int(self.keep_gb * 1e9),
        )
        try:
            found = [
                self._video(store, number, ShardFile(**shard["file"]), entry)
                for number, shard in enumerate(index["shards"])
                if shard["split"] == split
                for entry in shard["videos"]
            ]
            splits = sorted({shard["split"] for shard in index["shards"]})
        except (TypeError, KeyError) as error:
            raise InputError(f"{self.address}: {INDEX} is damaged ({error!r}); write the shards again") from error
        if split not in splits:
            raise InputError(f"{self.address} has no split '{split}'; it has {', '.join(splits)}")
        sizes = sorted({(video.file.name, video.file.num_bytes) for video in found}, key=lambda each: -each[1])
        if (need := sum(size for _, size in sizes[: self.lanes * self.mixed])) > store.keep:
            raise InputError(
                f"{self.address}: {self.lanes} lanes of {self.mixed} shards are {need / 1e9:.2f} GB, keep_gb is "
                f"{self.keep_gb:g}; raise it, or mix fewer shards"
            )
        return list(found)

    def view(self, spec: InputSpec) -> InputSpec:
        """Return the clip a model gets: its own."""
        return spec

    def arrange(self, videos: Sequence[AnnotatedVideo], repeats: int, seed: int, epoch: int) -> list[int]:
        """Return the order in which an epoch visits the samples of `videos`, each of which has `repeats`."""
        shards = [video.shard for video in videos if isinstance(video, ShardVideo) for _ in range(repeats)]
        return shard_order(shards, seed=seed, epoch=epoch, lanes=self.lanes, mixed=self.mixed)

    def _video(self, store: ShardStore, number: int, file: ShardFile, entry: dict[str, Any]) -> ShardVideo:
        known = {**entry, "size": tuple(entry["size"]), "times": entry["times"] and tuple(entry["times"])}
        path = store.place(file) / f"{entry['key']}{known.pop('suffix')}"
        return ShardVideo(path=path, shard=number, file=file, store=store, decoder=self.decoder, **known)


@functools.lru_cache(maxsize=8)
def _index(address: str) -> tuple[str, dict[str, Any]]:
    where = f"{address.rstrip('/')}/{INDEX}"
    try:
        with open_address(where) as file:
            text = file.read().decode()
    except OSError as error:
        raise MissingData(f"{where}: cannot be read ({error}); saliency prepare shards writes it") from error
    try:
        index = json.loads(text)
        if index["version"] != VERSION:
            raise InputError(f"{where}: has format {index['version']}, this version reads {VERSION}")
    except (ValueError, TypeError, KeyError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where}: is no index of shards ({error!r}); saliency prepare shards writes it") from error
    return text, index
