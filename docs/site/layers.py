"""The drawing of layers on the site: mermaid's text as an SVG, since the theme would load mermaid from elsewhere."""

import html
import re

BLOCK = re.compile(r"^```mermaid\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
LAYER = re.compile(r'subgraph \w+\["(.*?)"\]\n(.*?)\n\s*end', re.DOTALL)

WIDTH, HEIGHT, GAP = 660, 34, 18
"""Of a layer, and between two of them, in units of the drawing."""


def drawn(markdown: str) -> str:
    """Return a page with each mermaid drawing of layers as an SVG, in the colours of the page."""
    return BLOCK.sub(lambda match: f"{svg(match[1])}\n", markdown)


def svg(text: str) -> str:
    """Return the drawing of ``subgraph L1["1 nouns"] … end`` blocks: the first layer on top, an arrow to the next.

    Raises:
        ValueError: the text holds no such block.
    """
    layers = [(title, " ".join(rooms.split()).split(" & ")) for title, rooms in LAYER.findall(text)]
    if not layers:
        raise ValueError("the drawing holds no subgraph")
    parts = []
    for k, (title, rooms) in enumerate(layers):
        top = k * (HEIGHT + GAP) + 1
        middle = top + HEIGHT / 2 + 5
        parts.append(
            f'<rect x="1" y="{top}" width="{WIDTH - 2}" height="{HEIGHT}" rx="4" fill="none" stroke="currentColor"/>'
            f'<text x="12" y="{middle}" font-weight="bold">{html.escape(title)}</text>'
            f'<text x="190" y="{middle}">{html.escape(" · ".join(rooms))}</text>'
        )
        if k + 1 < len(layers):
            below = top + HEIGHT
            parts.append(
                f'<path d="M{WIDTH / 2} {below} v{GAP - 2} m-4 -5 l4 5 l4 -5" fill="none" stroke="currentColor"/>'
            )
    height = len(layers) * (HEIGHT + GAP) - GAP + 2
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Layers" style="max-width:{WIDTH}px;width:100%" '
        f'font-size="14" font-family="inherit" fill="currentColor">{"".join(parts)}</svg>'
    )
