"""Pieces that pages of the project share: the frame of a page, films, charts' colours, numbers in words."""

import base64
from html import escape
from pathlib import Path

import numpy as np

import saliency
from saliency.attention.charts import COLOURS
from saliency.attention.film import Film
from saliency.attention.notes import LIMITS, ModelNotes

ASSETS = Path(saliency.__file__).parent / "assets" / "report"
EMBEDDED = 20_000_000
"""A film of at most so many bytes is put into the page; a larger one is linked."""


def document(title: str, body: str, script: str) -> str:
    """Return a whole page that loads nothing from anywhere.

    Args:
        title: as text.
        body: as HTML.
        script: name of the file of its script.
    """
    style = (ASSETS / "report.css").read_text(encoding="utf-8")
    code = (ASSETS / script).read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n{body}</main>\n"
        f"<script>\n{code}</script>\n</body>\n</html>\n"
    )


def section(heading: str, body: str) -> str:
    """Return a part of a page under its heading."""
    return f"<section>\n<h2>{escape(heading)}</h2>\n{body}\n</section>\n"


def shown(path: Path) -> str:
    """Return a painted film or picture, inside the page if it is small enough, with a link to its file."""
    small = path.stat().st_size <= EMBEDDED
    kind = "video/mp4" if path.suffix == ".mp4" else "image/png"
    address = f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}" if small else escape(path.name)
    element = (
        f'<video controls playsinline preload="metadata" src="{address}"></video>'
        if kind == "video/mp4"
        else f'<img class="still" alt="The picture with the prediction on it" src="{address}">'
    )
    where = "" if small else " It is too large to be part of this page: keep the files of this folder together."
    return (
        f'{element}<p class="note">The warmer the colour, the more people are expected to look there. '
        f'The same as a file: <a href="{escape(path.name)}">{escape(path.name)}</a>.{where}</p>'
    )


def about_model(notes: ModelNotes) -> str:
    """Return what the model is, and what it cannot tell."""
    facts = [f"<b>{escape(notes.name)}</b>{': ' + escape(notes.about) if notes.about else ''}."]
    if notes.licence:
        facts.append(f"Licence of its weights: {escape(notes.licence)}.")
    if notes.sha256:
        facts.append(f"SHA-256 of its weights: <code>{escape(notes.sha256)}</code>.")
    if notes.computed:
        facts.append(f"Computed on {escape(notes.computed)}.")
    limits = "".join(f"<li>{escape(limit)}</li>" for limit in (*notes.limits, *LIMITS))
    return (
        f"<p>{' '.join(facts)}</p><ul>{limits}</ul>"
        f'<p class="note">Made by video-saliency {escape(saliency.__version__)}. '
        "This page loads nothing from anywhere.</p>"
    )


def length_of(film: Film) -> float:
    """Return the seconds of a film, those of its last frame among them."""
    return float(film.times[-1]) + 1 / film.fps


def colour_of(k: int) -> str:
    """Return the colour of the k-th line."""
    return COLOURS[k % len(COLOURS)]


def round_top(values: np.ndarray, most: float = np.inf) -> float:
    """Return a round number a little above all values, for the upper edge of a chart."""
    highest = float(np.nanmax(values)) if np.isfinite(values).any() else 0.0
    if highest <= 0:
        return 1.0 if np.isinf(most) else most
    scale = 10.0 ** np.floor(np.log10(highest))
    rounded = next(step * scale for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * scale >= highest - 1e-12)
    return float(min(rounded, most))


def percent(share: float | np.floating | None) -> str:
    """Return a share in percent, a dash for None."""
    if share is None:
        return "–"
    value = 100 * float(share)
    return f"{value:.0f} %" if value >= 9.95 else f"{value:.1f} %"


def count(number: int, what: str) -> str:
    """Return a number with what it counts."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
