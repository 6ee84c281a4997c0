"""Line and bar plots as SVG text: enough for a report, and no plotting library."""

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 720, 360, 60, 46, 40, 230  # the keys stand on the right
COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"),  # Okabe and Ito
    *("#999999", "#882255", "#ddcc77", "#332288", "#44aa99"),
)


def colour_of(k: int) -> str:
    """Return the colour of the k-th series, another one for each."""
    return COLOURS[k] if k < len(COLOURS) else f"hsl({47 * k % 360},70%,{30 + k % 4 * 10}%)"


def lines(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    title: str,
    x: str,
    y: str,
    marks: Mapping[str, float] | None = None,
) -> str:
    """Return an SVG of one line per series.

    Args:
        series: name -> (x values, y values).
        title: above the plot.
        x: name of the x axis.
        y: name of the y axis.
        marks: name -> x value from which on it holds, drawn as a line down the plot.
    """
    marks = marks or {}
    xs = [value for own, _ in series.values() for value in own] + list(marks.values()) or [0.0]
    ys = [value for _, own in series.values() for value in own] or [0.0]
    frame = _Frame(min(xs), max(xs), min(0.0, *ys), max(ys))
    parts = [_mark(frame, name, position) for name, position in marks.items()]
    for k, (name, (own_x, own_y)) in enumerate(series.items()):
        points = " ".join(f"{frame.x(a):.1f},{frame.y(b):.1f}" for a, b in zip(own_x, own_y, strict=True))
        colour = colour_of(k)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        parts.append(_key(k, name, colour))
    ticks = [(frame.x(v), f"{v:g}") for v in (min(xs), max(xs))]
    return _document(parts, frame, ticks, title, x, y)


def stacked(plots: Sequence[str]) -> str:
    """Return plots of this module one below the other, as one SVG."""
    inner = "".join(plot.replace("<svg ", f'<svg y="{k * HEIGHT}" ', 1) for k, plot in enumerate(plots))
    size = f'viewBox="0 0 {WIDTH} {HEIGHT * len(plots)}" width="{WIDTH}" height="{HEIGHT * len(plots)}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{inner}</svg>\n'


def bars(groups: Mapping[str, Mapping[str, float]], title: str, y: str) -> str:
    """Return an SVG of grouped bars from 0.

    Args:
        groups: group -> name of the bar -> height >= 0; bars of one name share a colour.
        title: above the plot.
        y: name of the y axis.
    """
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    highest = max((value for group in groups.values() for value in group.values()), default=1.0)
    frame = _Frame(0.0, float(len(groups)), 0.0, highest)
    parts = [_key(k, name, colour_of(k)) for k, name in enumerate(names)]
    ticks = []
    for position, (label, group) in enumerate(groups.items()):
        ticks.append((frame.x(position + 0.5), label))
        for slot, (name, value) in enumerate(group.items()):
            left = frame.x(position + 0.1 + 0.8 * slot / len(group))
            width = frame.x(position + 0.1 + 0.8 * (slot + 1) / len(group)) - left - 2
            top = frame.y(value)
            colour = colour_of(names.index(name))
            height = frame.y(0) - top
            parts.append(
                f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'
            )
            parts.append(f'<text x="{left + width / 2:.1f}" y="{top - 4:.1f}" text-anchor="middle">{value:.3f}</text>')
    return _document(parts, frame, ticks, title, "", y)


class _Frame:
    """From data to pixels."""

    def __init__(self, x0: float, x1: float, y0: float, y1: float) -> None:
        self.x0, self.x1 = x0, x1 if x1 > x0 else x0 + 1
        self.y0, self.y1 = y0, y1 if y1 > y0 else y0 + 1

    def x(self, value: float) -> float:
        return LEFT + (value - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.y0) / (self.y1 - self.y0) * (HEIGHT - BOTTOM - TOP)


def _mark(frame: _Frame, name: str, position: float) -> str:
    x = frame.x(position)
    line = f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#bbb" stroke-dasharray="3 3"/>'
    return f'{line}<text x="{x + 4:.1f}" y="{TOP + 10}" fill="#666">{escape(name)}</text>'


def _key(row: int, name: str, colour: str) -> str:
    x, y = WIDTH - RIGHT + 14, TOP + 10 + 18 * row
    box = f'<rect x="{x}" y="{y - 9}" width="12" height="10" fill="{colour}"/>'
    return f'{box}<text x="{x + 18}" y="{y}">{escape(name)}</text>'


def _document(parts: list[str], frame: _Frame, ticks: list[tuple[float, str]], title: str, x: str, y: str) -> str:
    base, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    axes = f'<path d="M{LEFT} {TOP}V{base}H{right}" fill="none" stroke="#444"/>'
    for value in (frame.y0, (frame.y0 + frame.y1) / 2, frame.y1):
        axes += f'<text x="{LEFT - 6}" y="{frame.y(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>'
    for position, text in ticks:
        axes += f'<text x="{position:.1f}" y="{base + 16}" text-anchor="middle">{escape(text)}</text>'
    middle = (LEFT + right) / 2
    axes += f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x)}</text>'
    axes += f'<text x="{LEFT - 44}" y="{TOP - 10}">{escape(y)}</text>'
    axes += f'<text x="{middle}" y="18" text-anchor="middle" font-size="14">{escape(title)}</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>{axes}{"".join(parts)}'
        "</svg>\n"
    )
