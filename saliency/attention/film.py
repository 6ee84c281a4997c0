"""Everything that is measured of a film, gathered while its frames pass by once.

Of each frame some twenty numbers, the share of the attention in each column and row of its map, and two numbers of
its small picture are kept: about 3 kB a frame for maps of 224x384, 20 MB for five minutes. No frame and no map is.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saliency.attention.crop import CropPath, Window, find_path
from saliency.attention.doubt import Doubt, DoubtMeter, Judge
from saliency.attention.focus import Focus, as_shares, measure
from saliency.attention.regions import Region, RegionMeter, RegionSummary, Share, summarise
from saliency.attention.thumbnails import choose, look
from saliency.io.cuts import CutFinder


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """What was measured of a film of n frames.

    Attributes:
        size: (H, W) in pixels.
        fps: mean frames per second.
        times: seconds of each frame after the first, float64 (n,).
        focus: of each frame.
        regions: name -> what the region gets in each frame; None where it is not in the picture.
        cuts: frames that begin a new scene, growing.
        columns: share of the attention in each column of cells, float32 (n, w).
        rows: share of the attention in each row of cells, float32 (n, h).
        sharpness: of each frame where people look, (n,).
        brightness: mean grey level of each frame in [0, 1], (n,).
        doubt: how far the maps can be trusted; None if the model cannot say.
    """

    size: tuple[int, int]
    fps: float
    times: np.ndarray
    focus: Sequence[Focus]
    regions: dict[str, list[Share | None]]
    cuts: Sequence[int]
    columns: np.ndarray
    rows: np.ndarray
    sharpness: np.ndarray
    brightness: np.ndarray
    doubt: Doubt | None = None

    def __len__(self) -> int:
        return len(self.focus)

    def series(self, name: str) -> np.ndarray:
        """Return an attribute of `Focus` of every frame, float64 (n,)."""
        return np.array([getattr(focus, name) for focus in self.focus], dtype=np.float64)

    def summaries(self) -> list[RegionSummary]:
        """Return what each region gets in the whole film."""
        return [summarise(name, shares) for name, shares in self.regions.items()]

    def crop(self, window: Window) -> CropPath:
        """Return the way of a window through the film."""
        profiles = self.columns if window.axis == "x" else self.rows
        return find_path(profiles, window, self.size, self.fps, self.cuts)

    def thumbnails(self, count: int) -> list[int]:
        """Return up to `count` frames that say most, the best one first."""
        return choose(self.series("spread"), self.sharpness, self.brightness, self.cuts, self.fps, count)


class FilmMeter:
    """Measures the frames of a film in order."""

    def __init__(
        self, size: tuple[int, int], fps: float, regions: Sequence[Region] = (), judge: Judge | None = None
    ) -> None:
        """Start.

        Args:
            size: (H, W) of the frames in pixels.
            fps: mean frames per second.
            regions: what to measure, each with its own name.
            judge: says how far the maps can be trusted.
        """
        self._size, self._fps = size, fps
        self._regions = RegionMeter(regions, size)
        self._shares: list[list[Share | None]] = [[] for _ in regions]
        self._cuts = CutFinder()
        self._focus: list[Focus] = []
        self._columns: list[np.ndarray] = []
        self._rows: list[np.ndarray] = []
        self._sharpness, self._brightness = array("d"), array("d")
        self._doubt = None if judge is None else DoubtMeter(judge, fps)

    def add(self, frame: np.ndarray, density: np.ndarray) -> None:
        """Measure the next frame.

        Args:
            frame: uint8 (H, W, 3) RGB.
            density: its map (h, w) >= 0, of any size.
        """
        shares = as_shares(density)
        for own, share in zip(self._shares, self._regions.shares(len(self._focus), shares), strict=True):
            own.append(share)
        self._focus.append(measure(shares, self._size))
        self._columns.append(shares.sum(axis=0).astype(np.float32))
        self._rows.append(shares.sum(axis=1).astype(np.float32))
        self._cuts.add(frame)
        sharpness, brightness = look(frame, shares)
        self._sharpness.append(sharpness)
        self._brightness.append(brightness)
        if self._doubt is not None:
            self._doubt.add(frame, density)

    def finish(self, times: np.ndarray | None = None) -> Film:
        """Return what was measured.

        Args:
            times: seconds of each frame after the first; None: evenly spaced.

        Raises:
            ValueError: no frame was added.
        """
        if not self._focus:
            raise ValueError("no frame was measured")
        count = len(self._focus)
        names = [region.name for region in self._regions.regions]
        return Film(
            size=self._size,
            fps=self._fps,
            times=np.arange(count) / self._fps if times is None else np.asarray(times[:count], dtype=np.float64),
            focus=tuple(self._focus),
            regions=dict(zip(names, self._shares, strict=True)),
            cuts=tuple(self._cuts.cuts()),
            columns=np.stack(self._columns),
            rows=np.stack(self._rows),
            sharpness=np.asarray(self._sharpness),
            brightness=np.asarray(self._brightness),
            doubt=None if self._doubt is None else self._doubt.finish(),
        )
