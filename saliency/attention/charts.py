"""Charts over time for a page: lines as SVG that stretches with the page, words around them as HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

COLOURS = ("#b3401f", "#0b6e99", "#4d7c2a", "#7b4fa3", "#a8780c", "#0f7f74", "#a33b6b", "#5b6470")
"""Colours of lines, told apart on white; after the last one they begin again."""
_POINTS = 1000
_HEIGHT = 100
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a chart.

    Attributes:
        name: in the key; empty: none.
        values: (n,) a value a frame; NaN leaves a gap.
        colour: as CSS writes it.
        dashed: drawn in dashes.
    """

    name: str
    values: np.ndarray
    colour: str
    dashed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart over the time of a film.

    Attributes:
        title: what is shown.
        about: what high and low mean, in a sentence.
        lines: what is drawn.
        top: value at the upper edge; the lower edge is 0.
        unit: ``"%"`` shows values times 100; otherwise it stands behind them.
    """

    title: str
    about: str
    lines: Sequence[Line]
    top: float
    unit: str = ""


def draw(chart: Chart, times: np.ndarray, cuts: Sequence[int], duration: float) -> str:
    """Return a chart as HTML.

    Args:
        chart: what to draw.
        times: seconds of each frame, (n,).
        cuts: frames that begin a new scene.
        duration: of the film in seconds, > 0.
    """
    marks = "".join(_upright(times[cut] / duration * _POINTS) for cut in cuts)
    lines = "".join(_line(line, times / duration * _POINTS, chart.top) for line in chart.lines)
    keys = "".join(
        f'<span class="key"><i style="border-top:3px {"dashed" if line.dashed else "solid"} {line.colour}"></i>'
        f"{escape(line.name)}</span>"
        for line in chart.lines
        if line.name
    )
    label = escape(f"{chart.title}. {chart.about}", quote=True)
    return (
        f'<figure class="chart"><figcaption><b>{escape(chart.title)}</b> {escape(chart.about)} {keys}</figcaption>\n'
        f'<div class="plot" data-duration="{duration:.3f}"><span class="high">{_value(chart.top, chart.unit)}</span>'
        f'<span class="low">{_value(0, chart.unit)}</span>'
        f'<svg role="img" aria-label="{label}" viewBox="0 0 {_POINTS} {_HEIGHT}" preserveAspectRatio="none">'
        f'{marks}{lines}</svg><i class="head"></i></div>\n{_axis(duration)}</figure>\n'
    )


def thinned(times: np.ndarray, values: np.ndarray, points: int = _POINTS) -> tuple[np.ndarray, np.ndarray]:
    """Return at most `points` times and values: means over equally many frames, NaN where all of them are."""
    each = -(-len(values) // points)
    if each <= 1:
        return times, values
    starts = np.arange(0, len(values), each)
    known = np.isfinite(values)
    sums = np.add.reduceat(np.where(known, values, 0), starts)
    counts = np.add.reduceat(known.astype(np.int64), starts)
    means = np.divide(sums, counts, out=np.full(len(starts), np.nan), where=counts > 0)
    return np.add.reduceat(times, starts) / np.add.reduceat(np.ones(len(times)), starts), means


def ticks(duration: float, most: int = 8) -> list[float]:
    """Return the seconds that an axis names: round ones, at most `most` and one more."""
    step = next((step for step in _STEPS if duration / step <= most), _STEPS[-1])
    return [i * step for i in range(int(duration / step + 1e-9) + 1)]


def clock(seconds: float) -> str:
    """Return a time as ``3.4 s``, ``1:05`` or ``1:00:05``."""
    if seconds < 60:
        return f"{seconds:g} s" if float(seconds).is_integer() else f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def _line(line: Line, x: np.ndarray, top: float) -> str:
    x, values = thinned(x, line.values)
    y = _HEIGHT - np.clip(values / top, 0, 1) * (_HEIGHT - 2) - 1
    dashes = ' stroke-dasharray="5 4"' if line.dashed else ""
    style = f'fill="none" stroke="{line.colour}" stroke-width="1.8" vector-effect="non-scaling-stroke"{dashes}'
    parts, begin = [], 0
    gaps = [*np.flatnonzero(~np.isfinite(y)).tolist(), len(y)]
    for gap in gaps:
        if gap - begin == 1:  # a single point is drawn as a short stroke
            parts.append(f'<path d="M{x[begin]:.1f} {y[begin]:.1f}h1.5" {style}/>')
        elif gap > begin:
            points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x[begin:gap], y[begin:gap], strict=True))
            parts.append(f'<polyline points="{points}" {style}/>')
        begin = gap + 1
    return "".join(parts)


def _upright(x: float) -> str:
    return f'<path class="cut" d="M{x:.1f} 0V{_HEIGHT}" vector-effect="non-scaling-stroke"/>'


def _axis(duration: float) -> str:
    marks = []
    for tick in ticks(duration):
        place = 100 * tick / duration
        side = " last" if place > 94 else ""
        marks.append(f'<span class="tick{side}" style="left:{place:.2f}%">{clock(tick)}</span>')
    return f'<div class="axis">{"".join(marks)}</div>\n'


def _value(value: float, unit: str) -> str:
    if unit == "%":
        return f"{100 * value:.3g} %"
    return f"{value:.3g}{unit}"
