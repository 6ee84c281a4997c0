"""Predictors for evaluation: models, and what every model must be compared with.

Each gives the maps of the frames it is asked for, see `saliency.evaluation.map_source.MapSource`.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from saliency.data.map_files import JoinedVideo
from saliency.data.video import AnnotatedVideo
from saliency.errors import InputError
from saliency.evaluation.map_source import FixedMap, MapSource
from saliency.inference.engine import Engine
from saliency.inference.predictor import Predictor
from saliency.io.frames import open_frames
from saliency.io.maps import MAP_FILES, read_values

GRID = (90, 160)
"""(H, W) on which the centre prior and the mean train map are kept."""

GAZE_SIGMA = 30 / 2.3548 / 640
"""Standard deviation of a gaze point's blob as a share of the image's width: DHF1K's 30 px FWHM at 640 px."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPredictor:
    """A model's maps, at the model's own resolution.

    Attributes:
        name: what tables call it.
        engine: the model and how it computes.
        batch_size: clips per forward pass.
        metadata: facts for the result, e.g. the weights' hash.
        trained_on: checksums of the videos it learned from, as far as its weights say.
    """

    name: str
    engine: Engine
    batch_size: int = 8
    metadata: Mapping[str, object] = field(default_factory=dict)
    trained_on: frozenset[str] = frozenset()

    def maps(self, video: AnnotatedVideo, frames: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
        """Decode the video and yield the model's maps."""
        predict = Predictor(self.engine, batch_size=self.batch_size)
        with video.open() as source:
            yield from predict.maps(source, frames)


def settled_for(engine: Engine, videos: Sequence[AnnotatedVideo]) -> Engine:
    """Return the engine with the backend that ``auto`` means for all frames of some videos."""
    return engine.settled(videos[0].size, sum(video.num_frames for video in videos)) if videos else engine


def chance(name: str = "chance") -> FixedMap:
    """A uniform map: what a predictor that knows nothing scores."""
    return FixedMap(name=name, map=torch.ones(GRID), metadata={"map": "uniform"})


def centre_prior(train: Sequence[AnnotatedVideo], *, every: int = 10, name: str = "centre prior") -> FixedMap:
    """A Gaussian with the mean and covariance of the training fixations, positions relative to the image.

    Args:
        train: training videos, each of the same weight.
        every: read every so many frames of them.
        name: what tables call it.

    Raises:
        InputError: the videos have no fixations.
    """
    sums = sum((moments(video, every) for video in train), np.zeros(6))
    if not sums[0]:
        raise InputError(f"none of the {len(train)} training videos has a fixation; take annotated training videos")
    mean, covariance = of_moments(sums)
    fitted = {"mean_xy": mean.tolist(), "covariance": covariance.tolist(), "videos": len(train), "every": every}
    return FixedMap(name=name, map=gaussian(mean, covariance), metadata=fitted)


def moments(video: AnnotatedVideo, every: int) -> np.ndarray:
    """Return 1 and the means of x, y, xx, yy, xy of a video's fixations, relative to the image; zeros without any."""
    points = []
    for frame in range(0, video.num_frames, every):
        fixations = video.fixations(frame)
        points.append((np.argwhere(fixations) + 0.5) / np.array(fixations.shape))
    joined = np.concatenate(points)
    if not len(joined):
        return np.zeros(6)
    y, x = joined.T
    return np.array([1.0, x.mean(), y.mean(), (x * x).mean(), (y * y).mean(), (x * y).mean()])


def of_moments(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean x, y (2,) and the covariance (2, 2) of summed `moments`."""
    _, mx, my, xx, yy, xy = sums / sums[0]
    covariance = np.array([[xx - mx * mx, xy - mx * my], [xy - mx * my, yy - my * my]]) + 1e-6 * np.eye(2)
    return np.array([mx, my]), covariance


def gaussian(mean: np.ndarray, covariance: np.ndarray) -> Tensor:
    """Return a Gaussian over the image, float32 of `GRID` with peak 1; mean x, y and covariance relative to it."""
    rows, columns = np.indices(GRID)
    away = np.stack([(columns + 0.5) / GRID[1] - mean[0], (rows + 0.5) / GRID[0] - mean[1]])  # (2, h, w)
    exponent = np.einsum("ihw,ij,jhw->hw", away, np.linalg.inv(covariance), away)
    return torch.from_numpy(np.exp(-exponent / 2)).float()


def mean_train_map(train: Sequence[AnnotatedVideo], *, every: int = 10, name: str = "mean train map") -> FixedMap:
    """The mean of the training density maps, each frame normalised to sum 1 and each video of the same weight.

    Args:
        train: training videos.
        every: read every so many frames of them.
        name: what tables call it.

    Raises:
        InputError: the videos have no density.
    """
    mean = torch.zeros(GRID, dtype=torch.float64)
    used = 0
    for video in train:
        own = torch.zeros(GRID, dtype=torch.float64)
        frames = 0
        for frame in range(0, video.num_frames, every):
            density = torch.from_numpy(np.ascontiguousarray(video.density(frame)))[None, None].double()
            small = interpolate(density, GRID, mode="area")[0, 0]
            if small.sum() > 0:
                own += small / small.sum()
                frames += 1
        if frames:
            mean += own / frames
            used += 1
    if not used:
        raise InputError(f"none of the {len(train)} training videos has a density map; take annotated training videos")
    return FixedMap(name=name, map=(mean / used).float(), metadata={"videos": used, "every": every})


@dataclass(frozen=True, slots=True, kw_only=True)
class OneVersusRest:
    """How well viewers predict one another, the yardstick for models; needs gaze per observer.

    For each frame one of the observers with gaze is drawn by (seed, video, frame). With `predict`

    * ``"one"``, the density of all other observers predicts where that one looked: the ceiling. Only the
      fixation metrics mean something, the density of a single gaze point is no ground truth for CC, SIM and KLD,
      so these are left undefined;
    * ``"rest"``, that one's gaze predicts the density and the fixations of all others: what a single viewer
      knows, on all metrics.

    In the mean over frames each observer is held out equally often, without the cost of scoring all of them on
    every frame. Frames with fewer than two observers give no score and are counted as unusable.

    Attributes:
        name: what tables call it.
        predict: who is predicted.
        seed: of the draw.
        sigma: standard deviation of one gaze point's blob as a share of the image's width.
    """

    name: str = "other observers"
    predict: Literal["one", "rest"] = "one"
    seed: int = 0
    sigma: float = GAZE_SIGMA
    _gaze: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def metadata(self) -> Mapping[str, object]:
        """How it was made."""
        return {"predict": self.predict, "seed": self.seed, "sigma": self.sigma}

    def maps(self, video: AnnotatedVideo, frames: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
        """Yield the density of those who predict."""
        for frame in frames:
            one, rest, _ = self._split(video, frame)
            density = self._density(rest if self.predict == "one" else one, video.size)
            yield frame, torch.from_numpy(density)

    def truth(self, video: AnnotatedVideo, frame: int) -> tuple[np.ndarray, np.ndarray, int]:
        """Density, fixations and points outside the image of those who are predicted."""
        one, rest, outside = self._split(video, frame)
        judged = one if self.predict == "one" else rest
        fixations = np.zeros(video.size, bool)
        column, row = np.floor(judged).astype(int).T
        fixations[row, column] = True
        density = np.zeros(video.size, np.float32) if self.predict == "one" else self._density(judged, video.size)
        return density, fixations, outside

    def _split(self, video: AnnotatedVideo, frame: int) -> tuple[np.ndarray, np.ndarray, int]:
        """Return the drawn observer's point (1, 2), the others' (n, 2), and how many lay outside the image."""
        gaze = self._gaze.get(video.id)
        if gaze is None:
            gaze = video.observers()
            if gaze is None:
                raise InputError(f"video {video.id} does not tell its observers apart; leave '{self.name}' out")
            self._gaze.clear()  # videos come one after the other: the last is enough
            self._gaze[video.id] = gaze
        points = gaze[:, frame]
        points = points[~np.isnan(points).any(axis=1)]
        height, width = video.size
        inside = (points >= 0).all(axis=1) & (points[:, 0] < width) & (points[:, 1] < height)
        outside = int((~inside).sum())
        points = points[inside]
        if len(points) < 2:
            return points[:0], points[:0], outside
        name = f"{self.seed}\0{video.id}\0{frame}".encode()
        drawn = int.from_bytes(hashlib.sha256(name).digest()[:8], "little") % len(points)
        return points[drawn : drawn + 1], np.delete(points, drawn, axis=0), outside

    def _density(self, points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Sum of a Gaussian around each (x, y), float32 (H, W); uniform without points."""
        if not len(points):
            return np.ones(size, np.float32)
        spread = 2 * (self.sigma * size[1]) ** 2
        along_x = np.exp(-((np.arange(size[1]) + 0.5 - points[:, :1]) ** 2) / spread).astype(np.float32)  # (n, W)
        along_y = np.exp(-((np.arange(size[0]) + 0.5 - points[:, 1:]) ** 2) / spread).astype(np.float32)  # (n, H)
        density = np.zeros(size, np.float32)
        for x, y in zip(along_x, along_y, strict=True):
            density += np.outer(y, x)
        return density


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """The mean of several predictors' maps (as ViNet-E), on the size of the largest of them.

    Attributes:
        name: what tables call it.
        members: the predictors.
        normalise: ``"none"`` averages the maps as they are; ``"sum"`` makes each sum to 1 first, so that a
            member with larger values does not outweigh the others.
    """

    name: str
    members: Sequence[MapSource]
    normalise: Literal["none", "sum"] = "none"

    @property
    def metadata(self) -> Mapping[str, object]:
        """Who the members are."""
        facts = {member.name: dict(getattr(member, "metadata", {})) for member in self.members}
        return {"members": facts, "normalise": self.normalise}

    def maps(self, video: AnnotatedVideo, frames: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
        """Yield the mean of the members' maps."""
        if not self.members:
            raise InputError(f"ensemble '{self.name}' has no members; name at least one")
        for together in zip(*(member.maps(video, frames) for member in self.members), strict=True):
            frame = together[0][0]
            if any(other != frame for other, _ in together):
                raise InputError(f"ensemble '{self.name}', video {video.id}: members disagree on frame {frame}")
            maps = [pred.float() for _, pred in together]
            size = max((tuple(pred.shape) for pred in maps), key=lambda shape: shape[0] * shape[1])
            total = torch.zeros(size)
            for pred in maps:
                pred = interpolate(pred[None, None], size, mode="bilinear", align_corners=False)[0, 0]
                total += pred / pred.sum().clamp_min(1e-12) if self.normalise == "sum" else pred
            yield frame, total / len(maps)


@dataclass(frozen=True, slots=True, kw_only=True)
class MapFolder:
    """Maps that some method wrote: `root/<video id>/` with one PNG or NPY a frame, `root/<video id>.npy` or `.mp4`.

    The files of a video, in the order of the last number in their names, are its frames; if some are missing, the
    number itself is the frame, counted from 0 where one is called 0 and from 1 otherwise. The single array has the
    shape (frames, h, w), the video one picture a frame, whose channels are averaged. Maps may have any size, one per
    video. The parts of a joined video (the shots of a clip) may have folders of their own instead.

    Attributes:
        name: what tables call it.
        root: the folder.
        only: id of the only video there is; its maps may lie in `root` itself.
    """

    name: str
    root: Path
    only: str | None = None

    @property
    def metadata(self) -> Mapping[str, object]:
        """Where the maps came from."""
        return {"maps": self.root.name}

    def maps(self, video: AnnotatedVideo, frames: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
        """Read the maps."""
        array = self.root / f"{video.id}.npy"
        if array.is_file():
            yield from self._from_array(array, video, frames)
            return
        film = self.root / f"{video.id}.mp4"
        if film.is_file():
            yield from _from_film(film, video, frames)
            return
        if isinstance(video, JoinedVideo) and not (self.root / video.id).is_dir():
            start = 0
            for part in video.parts:
                own = [frame - start for frame in frames if 0 <= frame - start < part.num_frames]
                for frame, pred in self.maps(part, own) if own else ():
                    yield start + frame, pred
                start += part.num_frames
            return
        files = self._files(video, frames)
        size: tuple[int, ...] | None = None
        for frame in frames:
            pred = read_map(files[frame])
            size = size or tuple(pred.shape)
            if tuple(pred.shape) != size:
                raise InputError(
                    f"{files[frame]} is {pred.shape[0]}x{pred.shape[1]}, the maps before it are {size[0]}x{size[1]}; "
                    "write all maps of a video in one size"
                )
            yield frame, pred

    def _from_array(self, path: Path, video: AnnotatedVideo, frames: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except Exception as error:  # whatever a decoder of damaged files stumbles over
            raise InputError(f"{path} is not a NumPy array ({error}); write it with numpy.save") from error
        if array.ndim != 3 or len(array) != video.num_frames or array.dtype.kind not in "fiub":
            raise InputError(
                f"{path} has shape {array.shape}, expected ({video.num_frames}, h, w): one map for each frame"
            )
        for frame in frames:
            yield frame, torch.from_numpy(np.array(array[frame]))

    def _files(self, video: AnnotatedVideo, frames: Sequence[int]) -> Mapping[int, Path]:
        """Frame -> its file."""
        folder = self.root / video.id
        if not folder.is_dir() and self.only == video.id:
            folder = self.root
        if not folder.is_dir():
            raise InputError(
                f"{folder} does not exist; expected the maps of video {video.id} there (or {video.id}.npy)"
            )
        found = [path for path in folder.iterdir() if path.suffix.lower() in MAP_FILES]
        kinds = {path.suffix.lower() for path in found}
        if not found:
            known = " or ".join(suffix[1:].upper() for suffix in MAP_FILES)
            raise InputError(f"{folder} has no {known} maps; expected one for each of {video.num_frames} frames")
        if len(kinds) > 1:
            both = " and ".join(suffix[1:].upper() for suffix in MAP_FILES if suffix in kinds)
            raise InputError(f"{folder} has both {both} maps; keep one kind")
        numbers = {path: _number(path) for path in found}
        unnumbered = [path for path, number in numbers.items() if number is None]
        if unnumbered and len(unnumbered) < len(found):
            raise InputError(f"{unnumbered[0]} has no number while other maps have; remove it or number it")
        found.sort(key=lambda path: (numbers[path] or 0, path.name))
        if len(found) == video.num_frames:
            _check_numbers(found)
            return dict(enumerate(found))
        if len(found) > video.num_frames:
            raise InputError(
                f"{folder} has {len(found)} maps but video {video.id} has {video.num_frames} frames; remove the rest"
            )
        first = 0 if 0 in numbers.values() else 1
        by_number: dict[int, Path] = {}
        for path in found:
            frame = (numbers[path] or 0) - first
            if unnumbered or frame >= video.num_frames:
                raise InputError(
                    f"{path} is none of the {video.num_frames} frames of video {video.id}; where some maps are "
                    "missing, the others are called by the number of their frame, from 0 or 1"
                )
            if frame in by_number:
                raise InputError(
                    f"{folder} has two maps of number {numbers[path]}: {by_number[frame].name}, {path.name}"
                )
            by_number[frame] = path
        missing = [frame for frame in frames if frame not in by_number]
        if missing:
            raise InputError(
                f"{folder} has {len(found)} maps for {video.num_frames} frames: none for frame {missing[0]} "
                f"({missing[0] + first:04d}{kinds.pop()}) and {len(missing) - 1} others; write one map for every frame"
            )
        return by_number


def _from_film(path: Path, video: AnnotatedVideo, frames: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
    with open_frames(path) as source:
        if len(source) != video.num_frames:
            raise InputError(
                f"{path} has {len(source)} frames but video {video.id} has {video.num_frames}; write it again"
            )
        if len(frames) < len(source):
            for frame in frames:
                yield frame, torch.from_numpy(source.read([frame])[0]).float().mean(-1)
            return
        for frame, picture in enumerate(source.iterate()):
            yield frame, torch.from_numpy(picture).float().mean(-1)


def read_map(path: Path) -> Tensor:
    """Read a predicted map, (h, w) float32: grey 8- or 16-bit image in its own units, or NPY of any real values.

    Raises:
        InputError: unreadable, not one map, or an image in colour.
    """
    values = read_values(path)
    if values.ndim == 3 and MAP_FILES[path.suffix.lower()].picture:
        if not (values == values[..., :1]).all():
            raise InputError(f"{path} is a colour image; a map has one channel, save it as grey")
        values = values[..., 0]  # grey, stored three times
    if values.ndim != 2 or not values.size or values.dtype.kind not in "fiub":
        raise InputError(f"{path} has shape {values.shape} of {values.dtype}; expected one (h, w) map of numbers")
    return torch.from_numpy(values.astype(np.float32))


def _check_numbers(files: Sequence[Path]) -> None:
    """Refuse numbers with a gap: the maps behind it would be taken for frames they do not belong to."""
    numbers = [_number(path) for path in files]
    for path, number, before in zip(files[1:], numbers[1:], numbers, strict=False):
        if number is not None and before is not None and number != before + 1:
            raise InputError(
                f"{path} comes after number {before}; number the maps of a video without gaps, one a frame"
            )


def _number(path: Path) -> int | None:
    """The last number in a file's name."""
    numbers = re.findall(r"\d+", path.stem)
    return int(numbers[-1]) if numbers else None
