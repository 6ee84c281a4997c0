"""The page that shows two films side by side; it needs no network."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from saliency.attention.charts import COLOURS, Chart, Line, clock, draw
from saliency.attention.film import Film
from saliency.attention.notes import METHOD, ModelNotes
from saliency.attention.page_parts import about_model, count, document, length_of, percent, round_top, section, shown
from saliency.attention.regions import RegionSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One of the two films.

    Attributes:
        side: ``"a"`` or ``"b"``.
        title: name of the film.
        film: what was measured.
        painted: the film with the maps painted on it, beside the page.
        problem: what was wrong with the file, in a sentence; None: nothing.
    """

    side: str
    title: str
    film: Film
    painted: Path
    problem: str | None = None

    @property
    def label(self) -> str:
        """How it is called on the page."""
        return self.side.upper()

    def summary(self, name: str) -> RegionSummary | None:
        """Return what a region gets; None if the film has no such region."""
        return next((summary for summary in self.film.summaries() if summary.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairContents:
    """What the page shows.

    Attributes:
        cuts: the first and the second film.
        notes: what is said of the model.
    """

    cuts: tuple[Cut, Cut]
    notes: ModelNotes

    @property
    def regions(self) -> list[str]:
        """Their names, those of the first film first."""
        return list(dict.fromkeys(name for cut in self.cuts for name in cut.film.regions))

    @property
    def duration(self) -> float:
        """Seconds of the longer film: both are drawn over the same time."""
        return max(length_of(cut.film) for cut in self.cuts)


def pair_page(contents: PairContents) -> str:
    """Return the whole page as HTML."""
    first, second = contents.cuts
    title = f"Two cuts compared: {first.title} and {second.title}"
    lines = "".join(f"<li>{escape(line)}</li>" for line in in_short(contents))
    films = "".join(
        f'<div id="film-{cut.side}"><h3>{cut.label}: {escape(cut.title)}</h3>{shown(cut.painted)}</div>'
        for cut in contents.cuts
    )
    parts = [
        f'<h1>{escape(title)}</h1>\n<p class="facts">{escape(_facts(contents))}</p>\n',
        *_warnings(contents),
        section("In short", f"<ul>{lines}</ul>"),
        section("Both films with the prediction on them", f'<div class="pair">{films}</div>'),
        *_regions(contents),
        *_timeline(contents),
        section("How the numbers came about", _method()),
        section("The model, and what it cannot tell", about_model(contents.notes)),
    ]
    return document(title, "".join(parts), "compare.js")


def in_short(contents: PairContents) -> list[str]:
    """Return what matters most, a sentence each."""
    first, second = (cut.film for cut in contents.cuts)
    spread = [film.series("spread").mean() for film in (first, second)]
    tighter = "the same in both" if _same(*spread) else f"more gathered in {'A' if spread[0] < spread[1] else 'B'}"
    lines = [
        f"Attention is spread over {percent(spread[0])} of the picture in A and {percent(spread[1])} in B: {tighter}."
    ]
    return [*lines, *(_region_sentence(name, contents) for name in contents.regions)]


def _region_sentence(name: str, contents: PairContents) -> str:
    a, b = (cut.summary(name) for cut in contents.cuts)
    told = [_told(summary, cut) for summary, cut in zip((a, b), contents.cuts, strict=True)]
    text = f"{name}: {told[0]}; {told[1]}."
    if a is None or b is None or a.attention is None or b.attention is None:
        return text
    if _same(a.attention, b.attention):
        return f"{text} That is about the same."
    more, points = ("A" if a.attention > b.attention else "B"), 100 * abs(a.attention - b.attention)
    return f"{text} {more} gives it {points:.1f} percentage points more."


def _told(summary: RegionSummary | None, cut: Cut) -> str:
    if summary is None or summary.attention is None:
        return f"not in {cut.label}"
    peak = "never holds the peak"
    if summary.first_peak is not None:
        peak = f"first holds the peak at {clock(round(float(cut.film.times[summary.first_peak]), 1))}"
    area = percent(summary.area)
    return f"in {cut.label} it gets {percent(summary.attention)} of the attention on {area} of the picture and {peak}"


def _same(a: float, b: float) -> bool:
    """Whether two shares are less than one percentage point apart."""
    return abs(a - b) < 0.01


def _facts(contents: PairContents) -> str:
    told = [
        f"{cut.label}: {clock(round(length_of(cut.film), 1))}, {cut.film.size[1]}x{cut.film.size[0]} pixels, "
        f"{count(len(cut.film.cuts) + 1, 'scene')}"
        for cut in contents.cuts
    ]
    return "; ".join([*told, f"model {contents.notes.name}"])


def _warnings(contents: PairContents) -> list[str]:
    texts = []
    if contents.notes.demonstration:
        texts.append(
            "A demonstration: this model learned from simulated viewers only. The page shows what a comparison looks "
            "like; its numbers say nothing about people."
        )
    for cut in contents.cuts:
        if cut.film.doubt is not None and (note := cut.film.doubt.note()):
            texts.append(f"{cut.label}: {note}.")
        if cut.problem:
            texts.append(f"{cut.label} was not read to its end or is damaged: {cut.problem}.")
    return [f'<p class="warning">{escape(text)}</p>\n' for text in texts]


def _regions(contents: PairContents) -> list[str]:
    if not contents.regions:
        return []
    rows = []
    for name in contents.regions:
        for cut in contents.cuts:
            cells = [escape(name) if cut.side == "a" else "", cut.label, *_row(cut.summary(name), cut.film)]
            rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>\n")
    heads = ("region", "film", "attention", "area", "times its size", "in the picture", "holds the peak", "first")
    table = (
        '<div class="scroll"><table>\n<thead><tr>'
        + "".join(f'<th scope="col">{head}</th>' for head in heads)
        + f"</tr></thead>\n<tbody>\n{''.join(rows)}</tbody></table></div>\n"
        '<p class="note">Attention and area: mean share while the region is in the picture. A region of average '
        "interest gets 1.0 times its size. First: when the strongest place of the picture first lies in it. "
        'All numbers and their differences: <a href="compare.csv">compare.csv</a>.</p>'
    )
    charts = "".join(_region_charts(name, contents) for name in contents.regions)
    return [section("Regions", table + charts)]


def _row(summary: RegionSummary | None, film: Film) -> list[str]:
    if summary is None or summary.attention is None:
        return ["–"] * 4 + ["never"] * 2
    first = "never" if summary.first_peak is None else clock(round(float(film.times[summary.first_peak]), 1))
    lift = "–" if summary.lift is None else f"{summary.lift:.1f}"
    shares = [percent(number / len(film)) for number in (summary.frames, summary.peak_frames)]
    return [percent(summary.attention), percent(summary.area), lift, *shares, first]


def _region_charts(name: str, contents: PairContents) -> str:
    """The share of a region in both films, one above the other, to the same scale."""
    lines = []
    for k, cut in enumerate(contents.cuts):
        shares = cut.film.regions.get(name, [None] * len(cut.film))
        attention = np.array([np.nan if share is None else share.attention for share in shares])
        area = np.array([np.nan if share is None else share.area for share in shares])
        lines.append(
            [
                Line(name="its share of the attention", values=attention, colour=COLOURS[k]),
                Line(name="its share of the picture", values=area, colour="#8d877b", dashed=True),
            ]
        )
    return _charts(name, contents, lines, most=1.0)


def _timeline(contents: PairContents) -> list[str]:
    moves = [cut for cut in contents.cuts if len(cut.film) > 1]
    if not moves:
        return []
    charts = "".join(
        _charts(
            title,
            contents,
            [[Line(name="", values=cut.film.series(of), colour=COLOURS[k])] for k, cut in enumerate(contents.cuts)],
            most=1.0,
        )
        for title, of in (("Spread", "spread"), ("Distance from the middle", "centre_distance"))
    )
    hint = (
        '<p class="note">Spread: share of the picture over which attention is spread; low where everybody looks at the '
        "same place. Distance: 0 % in the middle, 100 % in the corners. Dashed upright lines are cuts. Click into a "
        "chart to go there in its film. Every number is in "
        '<a href="frames_a.csv">frames_a.csv</a> and <a href="frames_b.csv">frames_b.csv</a>.</p>'
    )
    return [section("Focus over time", charts + hint)]


def _charts(title: str, contents: PairContents, lines: list[list[Line]], *, most: float) -> str:
    top = round_top(np.concatenate([line.values for own in lines for line in own]), most)
    drawn = ""
    for cut, own in zip(contents.cuts, lines, strict=True):
        chart = Chart(title=f"{title}, {cut.label}", about="", lines=own, top=top, unit="%")
        drawing = draw(chart, cut.film.times, cut.film.cuts, contents.duration)
        drawn += f'<div data-side="{cut.side}">{drawing}</div>'
    return drawn


def _method() -> str:
    texts = [
        *METHOD,
        "Both films were predicted by the same model in the same way. The page compares what is predicted of them; "
        "what differs between these two need not differ between others.",
    ]
    return "".join(f"<p>{escape(text)}</p>" for text in texts)
