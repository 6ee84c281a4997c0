"""What per-frame scores cannot see: how a map moves. Flicker, lag after cuts, and when a new place is noticed.

All are computed on densities pooled to a coarse grid, frame by frame as the maps pass by, so memory grows by 2 kB a
frame and map. Defined in docs/metrics.md; this project's own, no paper.
"""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from saliency.data.video import AnnotatedVideo
from saliency.errors import InputError
from saliency.evaluation.map_source import MapSource, OwnTruth
from saliency.io.atomic import write_atomic
from saliency.io.cuts import CutFinder

GRID = (18, 32)
"""(rows, columns) of the coarse densities."""
WINDOW = 30
"""Frames after a cut within which a map must follow."""
HOLDS = 3
"""Frames for which a map must have followed to count."""
ALIKE = 0.7
"""Correlation of what viewers look at before and half a window after a cut above which there is nothing to follow."""
RADIUS = 3.0
"""Radius of a place, in cells of the grid."""
NEW, OLD = 0.5, 0.2
"""A place is new when so much of the viewers' attention is on it and, `BEFORE` frames ago, less than so much was."""
BEFORE = 10
EARLY, LATE = 15, 30
"""Frames before and after the viewers within which a map's notice of a place is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverTime:
    """How the maps of one video move.

    Attributes:
        flicker: mean change from frame to frame, 0 (still) to 1, see `flicker`.
        viewers_flicker: that of the viewers' density.
        lags: frames until the map follows each cut, see `lags`.
        notices: frames by which each new place is noticed late, NaN where it is missed, see `notices`.
    """

    flicker: float
    viewers_flicker: float
    lags: tuple[float, ...]
    notices: tuple[float, ...]


def pooled(maps: Tensor) -> np.ndarray:
    """Bring a map (h, w) >= 0 to a density of `GRID`, float32, sum 1; a map of zeros becomes an even one."""
    small = adaptive_avg_pool2d(maps.float()[None, None].clamp(min=0), GRID)[0, 0].numpy()
    total = small.sum()
    return small / total if total > 0 else np.full(GRID, 1 / small.size, np.float32)


def flicker(maps: np.ndarray, cuts: Sequence[int] = ()) -> float:
    """Mean total variation distance of neighbouring densities, pairs across a cut left out.

        flicker = mean over t of 1/2 sum |p_t - p_(t-1)|

    Args:
        maps: (T, h, w) densities.
        cuts: frames that begin a new scene.

    Returns:
        0 (nothing moves) to 1 (no two maps overlap); NaN with fewer than two frames.
    """
    steps = np.abs(np.diff(maps, axis=0)).sum((1, 2)) / 2
    keep = np.ones(len(steps), bool)
    keep[[cut - 1 for cut in cuts if 0 < cut <= len(steps)]] = False
    return float(steps[keep].mean()) if keep.any() else float("nan")


def lags(maps: np.ndarray, truth: np.ndarray, cuts: Sequence[int]) -> list[float]:
    """Frames from each cut until the map follows.

    A map has followed k frames after a cut when, from then on for `HOLDS` frames, it correlates more with what viewers
    look at now than with what they looked at in the last frame before the cut. Cuts after which viewers look at the
    same place as before (`ALIKE`) are left out, as are scenes shorter than half a window.

    Args:
        maps: (T, h, w) predicted densities.
        truth: (T, h, w) of the viewers.
        cuts: frames that begin a new scene, growing.

    Returns:
        One number a cut that counts: 0 to `WINDOW`, the latter where the map never follows within the window.
    """
    found = []
    for cut, end in pairwise([*cuts, len(maps)]):
        last = min(cut + WINDOW, end)
        middle = cut + WINDOW // 2
        if cut < 1 or middle >= last or _cc(truth[cut - 1], truth[middle]) > ALIKE:
            continue
        ahead = [_cc(maps[t], truth[t]) > _cc(maps[t], truth[cut - 1]) for t in range(cut, last)]
        followed = (k for k in range(len(ahead)) if all(ahead[k : k + HOLDS]))
        found.append(float(next(followed, WINDOW)))
    return found


def notices(maps: np.ndarray, truth: np.ndarray) -> list[float]:
    """Frames by which a map notices each new place later than the viewers do.

    A place is new in frame t when `NEW` of the viewers' density lies within `RADIUS` cells of its peak and less than
    `OLD` did `BEFORE` frames ago; viewers notice it in the first frame in which half-way between the two does. The map
    notices it in the first frame, from `EARLY` frames before to `LATE` after the viewers, in which at least `OLD`
    of it and at least half of the most it ever has there in that time lies on the place.

    Args:
        maps: (T, h, w) predicted densities.
        truth: (T, h, w) of the viewers.

    Returns:
        One number a new place, negative where the map was early, NaN where it missed the place.
    """
    found: list[float] = []
    t = BEFORE
    while t < len(truth):
        place = _place(truth[t])
        on_it = truth[t - BEFORE : t + 1][:, place].sum(1)
        if on_it[-1] < NEW or on_it[0] >= OLD:
            t += 1
            continue
        seen = t - BEFORE + int(np.argmax(on_it >= (NEW + OLD) / 2))
        first = max(0, seen - EARLY)
        shares = maps[first : seen + LATE + 1][:, place].sum(1)
        noticed = np.flatnonzero(shares >= max(OLD, shares.max() / 2))
        found.append(float(first + noticed[0] - seen) if len(noticed) else float("nan"))
        t += BEFORE
    return found


@dataclass(frozen=True, slots=True)
class Viewers:
    """What viewers looked at, remembered, coarse, as it is read: video -> frame -> density of `GRID`."""

    seen: dict[str, dict[int, np.ndarray]] = field(default_factory=dict)

    def see(self, video: AnnotatedVideo, frame: int, density: np.ndarray) -> None:
        """Remember a density (H, W); several threads may call it."""
        self.seen.setdefault(video.id, {})[frame] = pooled(
            torch.from_numpy(np.require(density, requirements=["C", "W"]))
        )

    def densities(self, video: AnnotatedVideo) -> np.ndarray:
        """(T, h, w) of all frames of a video; those that were not seen are read."""
        for frame in set(range(video.num_frames)) - self.seen.get(video.id, {}).keys():
            self.see(video, frame, video.density(frame))
        return np.array([self.seen[video.id][frame] for frame in range(video.num_frames)])


@dataclass(frozen=True, slots=True)
class Recorded:
    """A source of maps whose maps are remembered, coarse, as they pass by.

    Attributes:
        source: the source.
        viewers: of the videos; those that are scored together share them.
        seen: video -> densities of `GRID`.
    """

    source: MapSource
    viewers: Viewers = field(default_factory=Viewers)
    seen: dict[str, list[np.ndarray]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What tables call it."""
        return self.source.name

    @property
    def metadata(self) -> Mapping[str, object]:
        """That of the source."""
        return getattr(self.source, "metadata", {})

    @property
    def trained_on(self) -> frozenset[str]:
        """Checksums of the videos that the source learned from."""
        return getattr(self.source, "trained_on", frozenset())

    def maps(self, video: AnnotatedVideo, frames: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
        """Yield the source's maps."""
        self.forget(video)  # another of that name
        kept = self.seen[video.id] = []
        for frame, pred in self.source.maps(video, frames):
            kept.append(pooled(pred))
            yield frame, pred

    def forget(self, video: AnnotatedVideo) -> None:
        """Forget a video."""
        self.seen.pop(video.id, None)
        self.viewers.seen.pop(video.id, None)


def over_time(sources: Sequence[MapSource], videos: Sequence[AnnotatedVideo]) -> dict[str, dict[str, OverTime]]:
    """Name of each `Recorded` source -> video -> how its maps moved, of videos whose every frame passed by."""
    found: dict[str, dict[str, OverTime]] = {source.name: {} for source in sources if isinstance(source, Recorded)}
    for video in videos:
        whole = [s for s in sources if isinstance(s, Recorded) and len(s.seen.get(video.id, ())) == video.num_frames]
        if not whole or video.num_frames < 2:
            continue
        cuts, truth = _cuts(video), whole[0].viewers.densities(video)
        for source in whole:
            maps = np.array(source.seen[video.id])
            found[source.name][video.id] = OverTime(
                flicker=flicker(maps, cuts),
                viewers_flicker=flicker(truth, cuts),
                lags=tuple(lags(maps, truth, cuts)),
                notices=tuple(notices(maps, truth)),
            )
    return {name: scores for name, scores in found.items() if scores}


def recorded(sources: Sequence[MapSource]) -> list[MapSource]:
    """The same sources, their maps remembered; those that hold viewers out of the ground truth stay as they are."""
    viewers = Viewers()
    return [source if isinstance(source, OwnTruth) else Recorded(source, viewers) for source in sources]


def save(path: Path, score: OverTime | None) -> None:
    """Keep how the maps of one video moved, or that nothing can be said of it."""
    with write_atomic(path) as file:
        json.dump(None if score is None else asdict(score), file)


def load(path: Path) -> OverTime | None:
    """Read what `save` wrote.

    Raises:
        InputError: the file holds anything else.
    """
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept is None:
            return None
        lags, notices = (tuple(map(float, kept[name])) for name in ("lags", "notices"))
        flickers = {name: float(kept[name]) for name in ("flicker", "viewers_flicker")}
        return OverTime(**flickers, lags=lags, notices=notices)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(f"{path} cannot be read; start again with --restart") from error


def write_table(path: Path, scores: Mapping[str, OverTime]) -> None:
    """Write one line a video: its flicker, the viewers', mean lag, mean notice, and how many of each there were."""
    with write_atomic(path) as file:
        table = csv.writer(file)
        table.writerow(["video", "flicker", "viewers_flicker", "lag", "cuts", "notice", "places", "missed"])
        for video, score in scores.items():
            moved = _numbers(score.flicker, score.viewers_flicker, mean(score.lags))
            missed = sum(np.isnan(score.notices))
            notice = _numbers(mean(score.notices))
            table.writerow([video, *moved, len(score.lags), *notice, len(score.notices), missed])


def mean(values: Sequence[float]) -> float:
    """The mean of those that are numbers; NaN if there are none."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _numbers(*values: float) -> list[str]:
    return ["" if np.isnan(value) else f"{value:.6g}" for value in values]


def _cuts(video: AnnotatedVideo) -> list[int]:
    """The frames of a video that begin a new scene."""
    finder = CutFinder()
    with video.open() as source:
        for frame in source.iterate():
            finder.add(frame)
    return finder.cuts()


def _cc(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation; 0 where a map is even."""
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / scale) if scale > 0 else 0.0


def _place(density: np.ndarray) -> np.ndarray:
    """(h, w) bool, the cells within `RADIUS` of the peak."""
    row, column = np.unravel_index(int(density.argmax()), density.shape)
    rows, columns = np.indices(density.shape)
    return np.asarray((rows - row) ** 2 + (columns - column) ** 2 <= RADIUS**2)
