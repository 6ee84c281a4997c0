"""Look at a result: an HTML page with the best, median and worst frames and the scores of each video over time."""

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from saliency.data.video import AnnotatedVideo
from saliency.errors import InputError
from saliency.evaluation.dataset_run import slug
from saliency.evaluation.map_source import MapSource, OwnTruth
from saliency.evaluation.result import FrameRow, Result
from saliency.inference.overlay import Overlay
from saliency.io.atomic import write_atomic
from saliency.io.transforms import resize_map
from saliency.metrics.frame import METRICS
from saliency.report.formats import heading, number
from saliency.report.table_page import STYLE

WIDTH = 320
"""Pictures are at most so many pixels wide."""

GALLERY_STYLE = """
.frames { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: .3rem; margin-top: .6rem; }
.frames img { width: 100%; display: block; border-radius: 3px; } figure { margin: 0; }
figcaption { color: var(--quiet); font-size: .75rem; }
.plot { width: 100%; height: auto; } .plot polyline { fill: none; stroke: var(--best); stroke-width: 1.2; }
.plot line { stroke: var(--line); } .plot text { fill: var(--quiet); font-size: 10px; }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Frames shown under one heading."""

    title: str
    rows: Sequence[FrameRow]


def choose(result: Result, n: int, metric: str) -> list[Choice]:
    """Return the `n` best, the `n` around the median and the `n` worst frames by a metric, without repeats."""
    scored = [row for row in result.rows if not np.isnan(row.scores[metric])]
    scored.sort(key=lambda row: row.scores[metric], reverse=METRICS[metric].higher_is_better)
    best, worst = scored[:n], scored[n:][-n:]
    between = scored[len(best) : len(scored) - len(worst)]
    start = max(0, (len(between) - n) // 2)
    name = METRICS[metric].title
    return [
        Choice(title=f"Best by {name}", rows=best),
        Choice(title=f"Around the median {name}", rows=between[start : start + n]),
        Choice(title=f"Worst by {name}", rows=worst[::-1]),
    ]


def write_galleries(
    results: Sequence[Result],
    sources: Sequence[MapSource],
    videos: Sequence[AnnotatedVideo],
    folder: Path,
    *,
    n: int,
    metric: str,
) -> Iterator[Path]:
    """Write `gallery.html` into the folder of each result of `evaluate_dataset` and yield its path.

    Frames are ordered by `metric`; by NSS where a result has no value of it (those scored on single observers have
    no density metrics).
    """
    for result, source in zip(results, sources, strict=True):
        means = result.means()
        own = "nss" if means.get(metric) is None and means.get("nss") is not None else metric
        yield write_gallery(result, source, videos, folder / slug(result.name) / "gallery.html", n=n, metric=own)


def write_gallery(
    result: Result,
    predictor: MapSource,
    videos: Sequence[AnnotatedVideo],
    path: str | Path,
    *,
    n: int = 6,
    metric: str = "cc",
) -> Path:
    """Write the page and return its path.

    Args:
        result: the evaluation to look at.
        predictor: the one that was evaluated; it predicts the chosen frames again.
        videos: those of the evaluation.
        path: the HTML file.
        n: frames under each of the three headings.
        metric: orders the frames.

    Raises:
        InputError: the result has no value of the metric.
    """
    path = Path(path)
    metrics = result.protocol.metrics
    if metric not in metrics or result.means()[metric] is None:
        raise InputError(f"{result.name} has no values of '{metric}' to choose frames by; take one of {metrics}")
    by_id = {video.id: video for video in videos}
    choices = choose(result, n, metric)
    pictures = _pictures([row for choice in choices for row in choice.rows], predictor, by_id)
    title = f"{result.name} on {result.dataset}" if result.dataset else result.name
    means = ", ".join(f"{heading(m)} {number(value)}" for m, value in result.means().items())
    parts = [f"<h1>{escape(title)}</h1><p>{escape(means)} (protocol {escape(result.protocol.name)})</p>"]
    for choice in choices:
        parts.append(f"<h2>{escape(choice.title)}</h2>")
        for row in choice.rows:
            scores = ", ".join(f"{METRICS[m].title} {number(_value(row.scores[m]))}" for m in metrics)
            images = "".join(
                f'<figure><img src="{source}" alt="{what}"><figcaption>{what}</figcaption></figure>'
                for what, source in pictures[row.video, row.frame].items()
            )
            parts.append(f"<h3>Video {escape(row.video)}, frame {row.frame}</h3><p>{scores}</p>")
            parts.append(f'<div class="frames">{images}</div>')
    parts.append(f"<h2>{escape(METRICS[metric].title)} over time</h2>")
    for video in dict.fromkeys(row.video for row in result.rows):
        rows = [row for row in result.rows if row.video == video]
        mean = number(_value(result.per_video(metric)[video]))
        parts.append(f"<h3>Video {escape(video)} <span class='kind'>mean {mean}</span></h3>{_plot(rows, metric)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_atomic(path) as file:
        file.write(
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(title)}</title><style>{STYLE}{GALLERY_STYLE}</style></head><body>\n"
            + "\n".join(parts)
            + "\n</body></html>\n"
        )
    return path


def _pictures(
    rows: Sequence[FrameRow], predictor: MapSource, videos: dict[str, AnnotatedVideo]
) -> dict[tuple[str, int], dict[str, str]]:
    """(video, frame) -> caption -> picture as a data address."""
    pictures = {}
    paint = Overlay()
    for name in dict.fromkeys(row.video for row in rows):
        video = videos[name]
        frames = sorted({row.frame for row in rows if row.video == name})
        with video.open() as source:
            images = source.read(frames)
        for image, (frame, pred) in zip(images, predictor.maps(video, frames), strict=True):
            if isinstance(predictor, OwnTruth):
                density, fixations, _ = predictor.truth(video, frame)
            else:
                density, fixations = video.density(frame), video.fixations(frame)
            shown = {"frame": image}
            if density.any():
                shown["ground truth"] = paint.paint(image, density)
            shown["fixations"] = _dots(image, fixations)
            shown["prediction"] = paint.paint(image, _positive(resize_map(pred.float(), video.size)))
            pictures[name, frame] = {what: _address(picture) for what, picture in shown.items()}
    return pictures


def _positive(pred: torch.Tensor) -> np.ndarray:
    """Stretch a map of any range to [0, 1] for showing."""
    low, high = pred.aminmax()
    return ((pred - low) / (high - low).clamp_min(1e-12)).numpy()


def _dots(image: np.ndarray, fixations: np.ndarray) -> np.ndarray:
    """Mark fixations by small squares with a dark rim."""
    marked = (image * 0.6).astype(np.uint8)
    r = max(1, image.shape[1] // 160)
    for colour, radius in (((0, 0, 0), r + 1), ((255, 220, 60), r)):
        for row, column in np.argwhere(fixations):
            marked[max(0, row - radius) : row + radius + 1, max(0, column - radius) : column + radius + 1] = colour
    return marked


def _address(picture: np.ndarray) -> str:
    image = Image.fromarray(picture)
    if image.width > WIDTH:
        image = image.resize((WIDTH, max(1, round(image.height * WIDTH / image.width))), Image.Resampling.BILINEAR)
    data = io.BytesIO()
    image.save(data, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()


def _plot(rows: Sequence[FrameRow], metric: str) -> str:
    """A line over the frames as SVG; gaps where there is no value."""
    width, height, left = 900.0, 110.0, 44.0
    values = np.array([row.scores[metric] for row in rows])
    frames = np.array([row.frame for row in rows])
    if np.isnan(values).all():
        return "<p>no values</p>"
    low, high = min(0.0, float(np.nanmin(values))), float(np.nanmax(values))
    span, last = max(high - low, 1e-9), max(int(frames[-1]), 1)
    x = left + (width - left - 4) * frames / last
    y = 6 + (height - 24) * (1 - (values - low) / span)
    lines, run = [], []
    for place in [*zip(x, y, strict=True), (0.0, float("nan"))]:
        if np.isnan(place[1]):
            lines += [run] if run else []
            run = []
        else:
            run.append(f"{place[0]:.1f},{place[1]:.1f}")
    drawn = "".join(f'<polyline points="{" ".join([*run, run[0]] if len(run) == 1 else run)}"/>' for run in lines)
    levels = "".join(
        f'<line x1="{left}" x2="{width}" y1="{at:.1f}" y2="{at:.1f}"/>'
        f'<text x="{left - 6}" y="{at + 3:.1f}" text-anchor="end">{value:.2f}</text>'
        for value, at in ((high, 6.0), (low, height - 18.0))
    )
    ends = (
        f'<text x="{left}" y="{height - 4}">frame {int(frames[0])}</text>'
        f'<text x="{width - 4}" y="{height - 4}" text-anchor="end">{int(frames[-1])}</text>'
    )
    return f'<svg class="plot" viewBox="0 0 {width:.0f} {height:.0f}" role="img">{levels}{drawn}{ends}</svg>'


def _value(value: float) -> float | None:
    return None if np.isnan(value) else value
