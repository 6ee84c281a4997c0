"""Two cuts of one film side by side: where the attention went in each, one page and tables."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saliency.attention.film import Film, FilmMeter
from saliency.attention.notes import ModelNotes
from saliency.attention.pair_page import Cut, PairContents, pair_page
from saliency.attention.region_files import parse_regions
from saliency.attention.regions import Region, RegionSummary
from saliency.attention.table import write_table
from saliency.errors import InputError
from saliency.inference.outputs import Outputs
from saliency.inference.painters import Painter
from saliency.inference.render import MapMaker, Seen, render
from saliency.io.atomic import write_atomic
from saliency.io.frame_source import FrameSource

SIDES = ("a", "b")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRegions:
    """The regions of both films, as written on a command line (`saliency.attention.region_files.parse_region`).

    Attributes:
        both: in both films at the same place.
        second: in the second film only: where those of `both` with the same name are there, or others.
    """

    both: Sequence[str] = ()
    second: Sequence[str] = ()

    def read(self, sources: Sequence[FrameSource]) -> list[list[Region]]:
        """Return the regions of the first and of the second film.

        Raises:
            InputError: one cannot be read or lies outside, or the films have different sizes and the second one's
                place of a region is not given.
        """
        first, second = sources
        own = parse_regions(self.second, second.size, second.fps)
        names = {region.name for region in own}
        shared = [text for text in self.both if text.partition("=")[0].strip() not in names]
        if shared and first.size != second.size:
            sizes = [f"{source.path.name} {source.size[1]}x{source.size[0]}" for source in sources]
            raise InputError(
                f"--roi {shared[0]}: the films have different sizes ({', '.join(sizes)}); say where it is in the "
                "second one with --roi-b"
            )
        return [
            parse_regions(self.both, first.size, first.fps),
            [*parse_regions(shared, second.size, second.fps), *own],
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What `write_comparison` wrote.

    Attributes:
        page: the page.
        films: what was measured of the first and the second film.
        problems: what is wrong with the sources, in one line each; empty if both were read to their ends.
    """

    page: Path
    films: tuple[Film, Film]
    problems: Sequence[str]


def write_comparison(
    sources: Sequence[FrameSource],
    predictor: MapMaker,
    folder: Path,
    regions: PairRegions,
    *,
    notes: ModelNotes,
    painter: Painter | None = None,
    on_frame: Callable[[Seen], None] = lambda seen: None,
) -> Compared:
    """Write ``compare.html``, ``compare.csv``, and ``frames_a.csv`` and ``overlay_a.mp4`` of each film.

    Args:
        sources: the first and the second film.
        predictor: makes the maps.
        folder: made if missing; files of an earlier comparison are replaced.
        regions: what to measure in them.
        notes: what is said of the model.
        painter: how maps are shown.
        on_frame: called after each frame.

    Raises:
        InputError: a region cannot be read (before anything is written), no frame of a film can be decoded, or nothing
            can be written there.
    """
    measured = regions.read(sources)
    cuts = []
    for side, source, own in zip(SIDES, sources, measured, strict=True):
        meter = FilmMeter(source.size, source.fps, own, notes.judge)

        def measure(seen: Seen, meter: FilmMeter = meter) -> None:
            meter.add(seen.frame, seen.map)
            on_frame(seen)

        ending = ".png" if source.still else ".mp4"
        outputs = Outputs(picture=folder / f"overlay_{side}{ending}")
        written = render(source, predictor, outputs, painter=painter, on_frame=measure)
        if not written.frames or written.picture is None:
            raise InputError(written.problem or f"{source.path}: no frame could be decoded")
        film = meter.finish(source.timestamps)
        write_table(folder / f"frames_{side}.csv", film)
        title = source.path.resolve().name
        cuts.append(Cut(side=side, title=title, film=film, painted=written.picture, problem=written.problem))
    first, second = cuts
    with write_atomic(folder / "compare.csv") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["region", "measure", "a", "b", "b_minus_a"])
        writer.writerows(table(first.film, second.film))
    with write_atomic(folder / "compare.html") as file:
        file.write(pair_page(PairContents(cuts=(first, second), notes=notes)))
    return Compared(
        page=folder / "compare.html",
        films=(first.film, second.film),
        problems=[cut.problem for cut in cuts if cut.problem],
    )


def table(first: Film, second: Film) -> list[list[str]]:
    """Return the lines of ``compare.csv``: region (empty: the whole film), measure, both values and their difference.

    A cell is empty where there is no value: of a region that a film lacks, never shows, or that never holds the peak.
    """
    lines = [["", name, *_cells(a, b)] for name, a, b in zip(_WHOLE, _whole(first), _whole(second), strict=True)]
    summaries = [{summary.name: summary for summary in film.summaries()} for film in (first, second)]
    for name in dict.fromkeys([*first.regions, *second.regions]):
        of_a, of_b = _region(summaries[0].get(name), first), _region(summaries[1].get(name), second)
        lines += [[name, measure, *_cells(a, b)] for measure, a, b in zip(_REGION, of_a, of_b, strict=True)]
    return lines


_WHOLE = ("seconds", "scenes", "spread", "centre_distance", "peak")
_REGION = ("attention", "area", "times_its_size", "in_picture", "holds_peak", "first_peak_seconds")


def _whole(film: Film) -> list[float | None]:
    means = [float(film.series(name).mean()) for name in ("spread", "centre_distance", "peak")]
    return [float(film.times[-1]) + 1 / film.fps, len(film.cuts) + 1, *means]


def _region(summary: RegionSummary | None, film: Film) -> list[float | None]:
    if summary is None:
        return [None] * len(_REGION)
    first = None if summary.first_peak is None else float(film.times[summary.first_peak])
    shares = [summary.frames / len(film), summary.peak_frames / len(film)]
    return [summary.attention, summary.area, summary.lift, *shares, first]


def _cells(a: float | None, b: float | None) -> list[str]:
    difference = None if a is None or b is None else round(b - a, 9)
    return ["" if value is None or np.isnan(value) else f"{value:.6g}" for value in (a, b, difference)]
