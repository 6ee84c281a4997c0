"""One line of numbers for each of many films, to put them in an order."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from saliency.attention.focus import as_shares, measure
from saliency.attention.region_files import parse_regions
from saliency.attention.regions import RegionMeter, Share, summarise
from saliency.inference.render import Seen
from saliency.io.atomic import write_atomic
from saliency.io.frame_source import FrameSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """What is measured of every film; starts a meter for each.

    Attributes:
        regions: as of `saliency.attention.region_files.parse_region`.
    """

    regions: tuple[str, ...] = ()

    def __call__(self, source: FrameSource) -> "RankMeter":
        """Start measuring a film.

        Raises:
            InputError: a region cannot be read, or lies outside of the picture.
        """
        return RankMeter(source, self.regions)


class RankMeter:
    """Means over the frames of a film, in constant memory but for what its regions get."""

    def __init__(self, source: FrameSource, regions: Sequence[str]) -> None:
        """Start; see `Rank`."""
        self._size, self._fps = source.size, source.fps
        self._meter = RegionMeter(parse_regions(regions, source.size, source.fps), source.size)
        self._shares: list[list[Share | None]] = [[] for _ in regions]
        self._count, self._spread, self._away, self._peak = 0, 0.0, 0.0, 0.0

    def add(self, seen: Seen) -> None:
        """Measure the next frame."""
        shares = as_shares(seen.map)
        focus = measure(shares, self._size)
        for own, share in zip(self._shares, self._meter.shares(self._count, shares), strict=True):
            own.append(share)
        self._count += 1
        self._spread += focus.spread
        self._away += focus.centre_distance
        self._peak += focus.peak

    def result(self) -> Mapping[str, float | None]:
        """Return the numbers: column -> value, None for a region that is never in the picture."""
        found: dict[str, float | None] = {
            "frames": self._count,
            "seconds": self._count / self._fps,
            "spread": self._spread / self._count,
            "peak": self._peak / self._count,
            "centre_distance": self._away / self._count,
        }
        for region, shares in zip(self._meter.regions, self._shares, strict=True):
            summary = summarise(region.name, shares)
            head = re.sub(r"\s+", "_", region.name)
            found |= {
                f"{head}_attention": summary.attention,
                f"{head}_area": summary.area,
                f"{head}_lift": summary.lift,
            }
        return found


def write_ranking(path: Path, measured: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    """Write one line a film: those whose first region gets most first; without regions the most gathered ones.

    Columns: ``file``, ``frames``, ``seconds``, the means of ``spread``, ``peak`` and ``centre_distance`` of `Focus`
    over all frames, and for each region ``NAME_attention``, ``NAME_area`` and ``NAME_lift`` (attention over area).

    Args:
        path: file to write.
        measured: file -> numbers of `RankMeter.result`.

    Returns:
        The files in the order of the lines.
    """
    columns = list(dict.fromkeys(column for numbers in measured.values() for column in numbers))
    by_region = next((column for column in columns if column.endswith("_attention")), None)

    def place(file: str) -> tuple[bool, float, str]:
        value = measured[file].get(by_region or "spread")
        if value is None:
            return True, 0.0, file
        return False, -value if by_region else value, file

    order = sorted(measured, key=place)
    with write_atomic(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", *columns])
        for name in order:
            writer.writerow([name, *(_cell(measured[name].get(column)) for column in columns)])
    return order


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
