"""Photographs with few labels: one viewer or half of them, all photographs or a part, small enough for a study.

Per seed the viewers are cut into two halves: those whose gaze is learnt, and those who only say which network is
right (`TwoLabelsTarget.other`). A part of the photographs is set apart for early stopping.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saliency.data.still_samples import targets
from saliency.data.still_video import StillData, StillVideo, stills
from saliency.data.targets import Key
from saliency.errors import InputError
from saliency.io.images import read_image
from saliency.io.transforms import make_clip, resize_frames
from saliency.tasks.other_viewers import TwoLabelsTarget
from saliency.types import Batch, InputSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class FewLabels:
    """Photographs as the training loop wants them (see `saliency.config.run.Data`), with few labels.

    Attributes:
        source: the photographs.
        viewers: 1: of each photograph one viewer of each half; None: the whole halves.
        share: part of the training photographs that is used.
        stopping: part of those that is not trained on but validated on, with labels of the same kind.
        size: (H, W) of pictures and maps.
        seed: draws photographs, halves and viewers.
        parts: learner -> which of so many equal parts of the photographs it gets where it trains alone.
        part: (which, of how many); set by `own`.
        unlabelled: whether the training photographs that `share` leaves out are watched too, without ground truth.
    """

    source: StillData
    viewers: int | None = None
    share: float = 1.0
    stopping: float = 0.2
    size: tuple[int, int] = (48, 64)
    seed: int = 0
    parts: dict[str, int] = field(default_factory=dict)
    part: tuple[int, int] = (0, 1)
    unlabelled: bool = False

    def __post_init__(self) -> None:
        if self.viewers not in (None, 1) or not 0 < self.share <= 1 or not 0 < self.stopping < 1:
            raise ValueError(f"need viewers 1 or none, 0 < share <= 1 and 0 < stopping < 1, got {self}")

    def training(self, views: Mapping[str, InputSpec]) -> "FewLabelSamples":
        """The photographs that are trained on, mirrored at random."""
        photographs = self._labelled(self._photographs()[1])
        nobody = [np.zeros((0, 2), np.float32)] * 2
        hidden = [_load(video, self.size, nobody) for video in self._left_out()] if self.unlabelled else []
        return FewLabelSamples([*photographs, *hidden], views, self.size, flip=True)

    def validation(self, views: Mapping[str, InputSpec]) -> "FewLabelSamples":
        """The photographs for early stopping."""
        return FewLabelSamples(self._labelled(self._photographs()[0]), views, self.size, flip=False)

    def scoring(self, views: Mapping[str, InputSpec]) -> "FewLabelSamples":
        """The validation split with all viewers, which no network learns from."""
        photographs = [_load(video, self.size, [all_viewers(video)] * 2) for video in stills(self.source, "val")]
        return FewLabelSamples(photographs, views, self.size, flip=False)

    def own(self, learner: str) -> "FewLabels":
        """Return the part of a learner that trains alone."""
        if learner not in self.parts:
            return self
        return replace(self, part=(self.parts[learner], 1 + max(self.parts.values())))

    def _shuffled(self) -> tuple[list[StillVideo], int]:
        """The training photographs in the order of the seed, and how many of them are used."""
        videos = stills(self.source, "train")
        order = np.random.default_rng((self.seed, 0)).permutation(len(videos))
        return [videos[i] for i in order], max(2, round(self.share * len(videos)))

    def _left_out(self) -> list[StillVideo]:
        videos, used = self._shuffled()
        return videos[used:]

    def _photographs(self) -> tuple[list[StillVideo], list[StillVideo]]:
        """Those for early stopping and those for training."""
        videos, used = self._shuffled()
        chosen = videos[:used]
        held = max(1, round(self.stopping * len(chosen)))
        which, many = self.part
        return chosen[:held], chosen[held:][which::many]

    def _labelled(self, videos: list[StillVideo]) -> list["Photograph"]:
        viewers = sorted({int(viewer) for video in videos for viewer in video.gaze().viewers})
        if len(viewers) < 2:
            raise InputError(f"{self.source.name}: needs two viewers at least, one to teach and one to choose")
        order = np.random.default_rng((self.seed, 1)).permutation(viewers)
        middle = (len(order) + 1) // 2
        halves = (order[:middle], order[middle:])
        photographs = []
        for video in videos:
            labels = [self._look(video, half, side) for side, half in enumerate(halves)]
            if all(len(points) for points in labels):
                photographs.append(_load(video, self.size, labels))
        return photographs

    def _look(self, video: StillVideo, half: NDArray[np.int64], side: int) -> NDArray[np.float32]:
        """The fixations (k, 2) of a half of the viewers, or of one of them, on a photograph."""
        gaze = video.gaze()
        there = [viewer for viewer in half.tolist() if (gaze.viewers == viewer).any()]
        if self.viewers == 1 and there:
            name = int.from_bytes(hashlib.sha256(video.id.encode()).digest()[:4], "big")
            there = [there[int(np.random.default_rng((self.seed, 2, side, name)).integers(len(there)))]]
        return gaze.points[np.isin(gaze.viewers, there)]


@dataclass(frozen=True, slots=True)
class Photograph:
    """A picture and its two ground truths.

    Attributes:
        pixels: (3, H, W) uint8.
        density: (H, W) float32, of the viewers that are learnt from.
        fixations: (H, W) bool, of the same.
        other: (H, W) float32, of the viewers that choose.
        id: its name.
    """

    pixels: Tensor
    density: Tensor
    fixations: Tensor
    other: Tensor
    id: str


class FewLabelSamples:
    """Photographs in memory as a `saliency.config.run.Samples`; a sample is (index, whether it is mirrored)."""

    def __init__(
        self, photographs: Sequence[Photograph], views: Mapping[str, InputSpec], size: tuple[int, int], *, flip: bool
    ) -> None:
        self.photographs, self.views, self.flip = list(photographs), dict(views), flip
        if wrong := next((name for name, spec in self.views.items() if spec.size != size), None):
            raise InputError(f"learner {wrong} wants pictures of {self.views[wrong].size}, the data has {size}")

    def __len__(self) -> int:
        return len(self.photographs)

    def subset(self, *, labelled: bool) -> list[int]:
        """Return the indices of the photographs that have ground truth, or of those that have none."""
        return [i for i, each in enumerate(self.photographs) if bool(each.density.any()) == labelled]

    def fingerprint(self) -> str:
        """Return a hash of the pictures and maps."""
        digest = hashlib.sha256()
        for each in self.photographs:
            digest.update(each.id.encode())
            for tensor in (each.pixels, each.density, each.other):
                digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()

    def __getitem__(self, key: int | Key) -> tuple[int, bool]:
        if isinstance(key, int):
            return key, False
        return key[2], self.flip and bool(np.random.default_rng(key).random() < 0.5)

    def prepare(self, samples: Sequence[tuple[int, bool]], device: torch.device | str) -> Batch[TwoLabelsTarget]:
        """Make the models' inputs and the target of a batch on `device`; a picture fills a whole clip."""

        def stack(name: str) -> Tensor:
            parts = [getattr(self.photographs[i], name) for i, _ in samples]
            flips = [part.flip(-1) if flip else part for part, (_, flip) in zip(parts, samples, strict=True)]
            return torch.stack(flips).to(device)

        pixels = stack("pixels")  # (B, 3, H, W)
        inputs = {
            name: make_clip(pixels[:, None], replace(spec, length=1)).expand(-1, -1, spec.length, -1, -1)
            for name, spec in self.views.items()
        }
        target = TwoLabelsTarget(stack("density"), stack("fixations"), stack("other"))
        return Batch(inputs=inputs, target=target, ids=[self.photographs[i].id for i, _ in samples])


def all_viewers(video: StillVideo) -> NDArray[np.float32]:
    """All fixations (k, 2) on a photograph."""
    return video.gaze().points


def _load(video: StillVideo, size: tuple[int, int], labels: Sequence[NDArray[np.float32]]) -> Photograph:
    """Read a photograph at `size` and make the maps of the fixations (k, 2) that teach and that choose."""
    height, width = video.size
    sigma = (video.sigma / width, video.sigma / height)
    shares = [points / np.array((width, height), np.float32) for points in labels]
    (density, fixations), (other, _) = (targets(points, size, sigma) for points in shares)
    pixels = resize_frames(torch.from_numpy(read_image(video.path))[None], size)[0]
    return Photograph(pixels, torch.from_numpy(density), torch.from_numpy(fixations), torch.from_numpy(other), video.id)
