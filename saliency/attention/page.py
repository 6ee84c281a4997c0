"""The report of one film as a page that needs no network: text, charts, pictures and the film itself."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from saliency.attention.charts import COLOURS, Chart, Line, clock, draw
from saliency.attention.crop import CropPath
from saliency.attention.film import Film
from saliency.attention.notes import METHOD, ModelNotes
from saliency.attention.page_parts import (
    about_model,
    colour_of,
    count,
    document,
    length_of,
    percent,
    round_top,
    section,
    shown,
)
from saliency.attention.regions import RegionSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """A chosen frame.

    Attributes:
        frame: its number, from 0.
        file: name of the full picture beside the page.
        jpeg: a small picture of it.
    """

    frame: int
    file: str
    jpeg: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a page shows.

    Attributes:
        title: name of the film.
        film: what was measured.
        painted: the film (or picture) with the maps painted on it, beside the page.
        notes: what is said of the model.
        shape: of the crop, such as ``"9:16"``; empty: there is none.
        crop: the window's way; None: there is none.
        crop_file: name of the re-framed film beside the page.
        thumbnails: chosen frames, the best one first.
        problem: what was wrong with the file, in a sentence; None: nothing.
    """

    title: str
    film: Film
    painted: Path
    notes: ModelNotes
    shape: str = ""
    crop: CropPath | None = None
    crop_file: str = ""
    thumbnails: Sequence[Thumbnail] = ()
    problem: str | None = None


def page(contents: Contents) -> str:
    """Return the whole page as HTML."""
    title = f"Where people look: {contents.title}"
    parts = [
        f'<h1>{escape(title)}</h1>\n<p class="facts">{escape(_facts(contents))}</p>\n',
        *_warnings(contents),
        section("In short", "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in in_short(contents)) + "</ul>"),
        section(
            "The film with the prediction on it" if _moves(contents) else "The prediction", shown(contents.painted)
        ),
        *_timeline(contents),
        *_regions(contents),
        *_crop(contents),
        *_thumbnails(contents),
        section("How the numbers came about", _method(contents)),
        section("The model, and what it cannot tell", about_model(contents.notes)),
    ]
    return document(title, "".join(parts), "report.js")


def in_short(contents: Contents) -> list[str]:
    """Return what matters most, a sentence each."""
    film = contents.film
    spread, away = film.series("spread"), film.series("centre_distance")
    lines = []
    if _moves(contents):
        lines.append(f"{count(len(film.cuts) + 1, 'scene')}, {count(len(film.cuts), 'hard cut')}.")
        tightest = int(spread.argmin())
        lines.append(
            f"Attention is spread over as much as {percent(spread.mean())} of the picture on average; it is most "
            f"gathered at {clock(round(float(film.times[tightest]), 1))} ({percent(spread[tightest])})."
        )
    else:
        lines.append(f"Attention is spread over as much as {percent(spread[0])} of the picture.")
    lines.append(
        f"On average it lies {percent(away.mean())} of the way from the middle of the picture to a corner "
        "(evenly spread attention would lie about half way)."
    )
    if film.doubt is not None:
        lines.append(
            f"The model expects its {'maps' if _moves(contents) else 'map'} to be worth "
            f"{film.doubt.confidence.mean():.1f} bits per look more than always pointing at the middle (0: no better)."
        )
    lines += [_region_sentence(summary, film) for summary in film.summaries()]
    if contents.crop is not None:
        kept, fixed = contents.crop.share.mean(), contents.crop.fixed_share.mean()
        lines.append(
            f"A {contents.shape} window that follows the attention keeps {percent(kept)} of it; one that stays in the "
            f"middle keeps {percent(fixed)}."
        )
    return lines


def _region_sentence(summary: RegionSummary, film: Film) -> str:
    if summary.attention is None or summary.area is None or summary.lift is None:
        return f"{summary.name} is never in the picture."
    text = (
        f"{summary.name} gets {percent(summary.attention)} of the attention on {percent(summary.area)} of the "
        f"picture, {summary.lift:.1f} times what its size alone would get"
    )
    if len(film) == 1:
        return text + (", and it holds the peak." if summary.peak_frames else ".")
    if summary.first_peak is None:
        return f"{text}; it never holds the peak."
    when = clock(round(float(film.times[summary.first_peak]), 1))
    return f"{text}; it first holds the peak at {when} (frame {summary.first_peak})."


def _facts(contents: Contents) -> str:
    film = contents.film
    facts = [f"{film.size[1]}x{film.size[0]} pixels"]
    if _moves(contents):
        facts = [clock(round(length_of(film), 1)), *facts, f"{film.fps:.4g} frames a second", f"{len(film)} frames"]
    return ", ".join([*facts, f"model {contents.notes.name}"])


def _warnings(contents: Contents) -> list[str]:
    texts = []
    if contents.notes.demonstration:
        texts.append(
            "A demonstration: this model learned from simulated viewers only. The page shows what a report looks like; "
            "its numbers say nothing about people."
        )
    if contents.film.doubt is not None and (note := contents.film.doubt.note()):
        texts.append(f"{note}.")
    if contents.problem:
        texts.append(f"The file was not read to its end or is damaged: {contents.problem}.")
    return [f'<p class="warning">{escape(text)}</p>\n' for text in texts]


def _timeline(contents: Contents) -> list[str]:
    film = contents.film
    if not _moves(contents):
        return []
    peak = film.series("peak")
    charts = [
        Chart(
            title="Spread",
            about="Share of the picture over which attention is spread. Low: everybody looks at the same place.",
            lines=[Line(name="", values=film.series("spread"), colour=COLOURS[0])],
            top=round_top(film.series("spread"), 1.0),
            unit="%",
        ),
        Chart(
            title="Peak",
            about="How many times more attention the strongest place gets than an average one.",
            lines=[Line(name="", values=peak, colour=COLOURS[1])],
            top=round_top(peak),
            unit="×",
        ),
        Chart(
            title="Distance from the middle",
            about="0 %: all attention in the middle of the picture; 100 %: in the corners.",
            lines=[Line(name="", values=film.series("centre_distance"), colour=COLOURS[2])],
            top=round_top(film.series("centre_distance"), 1.0),
            unit="%",
        ),
    ]
    if film.doubt is not None:
        charts.append(
            Chart(
                title="Confidence",
                about="Bits per look by which the map is expected to beat a map that always points at the middle.",
                lines=[Line(name="", values=film.doubt.confidence, colour=COLOURS[3])],
                top=round_top(film.doubt.confidence),
                unit=" bits",
            )
        )
    hint = (
        '<p class="note">Dashed upright lines are cuts. Click into a chart to go there in the film. Every number is in '
        '<a href="frames.csv">frames.csv</a>.</p>'
    )
    return [section("Focus over time", "".join(_drawn(chart, film) for chart in charts) + hint)]


def _regions(contents: Contents) -> list[str]:
    film = contents.film
    if not film.regions:
        return []
    rows = []
    for k, summary in enumerate(film.summaries()):
        swatch = f'<i class="swatch" style="background:{colour_of(k)}"></i>'
        cells = [
            f"{swatch}{escape(summary.name)}",
            percent(summary.attention),
            percent(summary.area),
            "–" if summary.lift is None else f"{summary.lift:.1f}",
            percent(summary.frames / len(film)),
            percent(summary.peak_frames / len(film)),
            "never" if summary.first_peak is None else clock(round(float(film.times[summary.first_peak]), 1)),
        ]
        rows.append("".join(f"<td>{cell}</td>" for cell in cells))
    heads = ("region", "attention", "area", "times its size", "in the picture", "holds the peak", "first")
    table = (
        '<div class="scroll"><table>\n<thead><tr>'
        + "".join(f'<th scope="col">{head}</th>' for head in heads)
        + "</tr></thead>\n<tbody>\n"
        + "".join(f"<tr>{row}</tr>\n" for row in rows)
        + "</tbody></table></div>\n"
    )
    legend = (
        '<p class="note">Attention and area: mean share while the region is in the picture. A region of average '
        "interest gets 1.0 times its size. First: when the strongest place of the picture first lies in it.</p>"
    )
    charts = "".join(_drawn(_region_chart(name, k, film), film) for k, name in enumerate(film.regions))
    return [section("Regions", table + legend + (charts if _moves(contents) else ""))]


def _region_chart(name: str, k: int, film: Film) -> Chart:
    shares = film.regions[name]
    attention = np.array([np.nan if share is None else share.attention for share in shares])
    area = np.array([np.nan if share is None else share.area for share in shares])
    return Chart(
        title=name,
        about="",
        lines=[
            Line(name="its share of the attention", values=attention, colour=colour_of(k)),
            Line(name="its share of the picture", values=area, colour="#8d877b", dashed=True),
        ],
        top=round_top(np.concatenate([attention, area]), 1.0),
        unit="%",
    )


def _crop(contents: Contents) -> list[str]:
    crop, film = contents.crop, contents.film
    if crop is None:
        return []
    text = (
        f"<p>The window of {crop.window.width}x{crop.window.height} pixels follows the attention with bounded speed "
        f"and acceleration and jumps at cuts only. It keeps <b>{percent(crop.share.mean())}</b> of the attention; a "
        f"window that stays in the middle keeps {percent(crop.fixed_share.mean())}. "
        f'The film: <a href="{escape(contents.crop_file)}">{escape(contents.crop_file)}</a>.</p>'
    )
    chart = Chart(
        title="Attention kept",
        about="",
        lines=[
            Line(name="following window", values=crop.share, colour=COLOURS[3]),
            Line(name="fixed in the middle", values=crop.fixed_share, colour="#8d877b", dashed=True),
        ],
        top=1.0,
        unit="%",
    )
    return [section(f"Re-framed to {contents.shape}", text + (_drawn(chart, film) if _moves(contents) else ""))]


def _thumbnails(contents: Contents) -> list[str]:
    if not contents.thumbnails:
        return []
    figures = []
    for place, thumbnail in enumerate(contents.thumbnails, 1):
        when = clock(round(float(contents.film.times[thumbnail.frame]), 1))
        picture = base64.b64encode(thumbnail.jpeg).decode()
        figures.append(
            f'<figure><a href="{escape(thumbnail.file)}"><img alt="Frame at {when}" '
            f'src="data:image/jpeg;base64,{picture}"></a>'
            f"<figcaption>{place}. {when} (frame {thumbnail.frame})</figcaption></figure>\n"
        )
    note = (
        '<p class="note">Frames in which attention is gathered and which are sharp where people look, from different '
        "parts of the film; the best one first.</p>"
    )
    return [section("Thumbnails", f'<div class="thumbs">{"".join(figures)}</div>{note}')]


def _method(contents: Contents) -> str:
    texts = "".join(f"<p>{escape(text)}</p>" for text in METHOD)
    terms = (
        "<ul><li><b>Attention of a region</b>: the sum of the map inside it. <b>Area</b>: its share of the picture."
        "</li><li><b>Spread</b>: 2 to the power of the map's entropy, as a share of the picture: evenly filling that "
        "much of it would be as uncertain as this map.</li><li><b>Peak</b>: the highest value of the map divided by "
        "its mean; a region <b>holds the peak</b> when most of that place lies in it.</li><li><b>Distance from the "
        "middle</b>: mean distance of the attention from the middle, as a share of a corner's.</li>"
    )
    if contents.film.doubt is not None:
        terms += (
            "<li><b>Confidence</b>: how far the map is from a map of the middle, read as bits of information on a "
            "curve that was measured on photographs with recorded gaze.</li>"
        )
    if contents.crop is not None:
        terms += "<li><b>Attention kept</b>: the sum of the map inside the window.</li>"
    return f"{texts}{terms}</ul>"


def _drawn(chart: Chart, film: Film) -> str:
    return draw(chart, film.times, film.cuts, length_of(film))


def _moves(contents: Contents) -> bool:
    return len(contents.film) > 1
