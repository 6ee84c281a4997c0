"""Names that are code elsewhere: Markdown, HTML, LaTeX, rich's console markup; and names that are no file names."""

from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from saliency.commands.evaluate import show
from saliency.errors import InputError
from saliency.evaluation.protocols import CANONICAL
from saliency.evaluation.result import FLAGS, FrameRow, Result
from saliency.report.formats import latex
from saliency.report.leaderboard import write_leaderboard
from saliency.report.table_page import html
from saliency.report.tables import LeaderboardRow, build_tables

pytestmark = pytest.mark.hostile("names")

NAMES = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a | b",
    "two\nlines",
    "two\r\n\r\n# lines",
    "[link](javascript:alert(1))",
    "![picture](http://example.org/x.png)",
    "<http://example.org>",
    "`code`",
    "**bold** _slanted_ ~~struck~~",
    "tm_fi_net",
    "back\\slash\\| at the end\\",
    "&lt;b&gt; &amp;",
    "$x^2$ #1 100%",
    "[/] [red]",
    "tab\tbell\a",
    "a \u202e b",
    "1. - + list",
    "{=html}",
]


class Seen(HTMLParser):
    """The elements of a page and the text of its cells and headings."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.cells: list[str] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag in ("td", "h1", "h2"):
            self.inside = True
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in ("td", "h1", "h2")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.cells[-1] += data


def shown(name: str) -> str:
    """What a reader should see of a name: itself, on one line."""
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())


def rows(name: str) -> list[LeaderboardRow]:
    def row(**more) -> LeaderboardRow:
        return LeaderboardRow(**{"dataset": name, "protocol": name, "metrics": {"cc": 0.5}} | more)

    return [
        row(name=name, stage="scratch"),
        row(name=name, stage="control", metrics={"cc": 0.7}),
        row(name="other"),
        row(name="theirs", kind="published", source=name),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_text_in_markdown(name, tmp_path):
    """Rendered by a Markdown library with HTML allowed, as on GitHub."""
    path = write_leaderboard(build_tables(rows(name), baseline=name, samples=20), tmp_path, title=name, formats=["md"])[
        "md"
    ]
    rendered = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(path.read_text())
    page = Seen(rendered)
    assert page.tags <= {"h1", "h2", "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "strong", "u"}
    assert page.cells[:3] == [shown(name), shown(name), f"{shown(name)} · scratch"]
    assert page.cells[-1] == shown(name) and page.cells[-3] == "theirs"  # the source of a published row


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_text_in_html_and_latex(name):
    tables = build_tables(rows(name), baseline=name, samples=20)
    page = Seen(html(tables, name))
    assert not page.tags & {"img", "b", "a"} and html(tables, name).count("<script>") == 1
    text = latex(tables, name)
    assert text.splitlines()[0].startswith("% ") and text.count("\\begin{") == text.count("\\end{")
    assert not any(line.startswith("#") for line in text.splitlines())


def result(name: str, dataset: str = "toy") -> Result:
    scores = dict.fromkeys(CANONICAL.metrics, 0.5)
    rows = [FrameRow(name, 0, scores, dict.fromkeys(FLAGS, 0), 1)]
    return Result(name=name, dataset=dataset, protocol=CANONICAL, rows=rows)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_text_on_the_console(name, capsys):
    show([result(name, name)])
    assert "0.500" in capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_a_name_survives_a_result(name, tmp_path):
    result(name).save(tmp_path)
    loaded = Result.load(tmp_path)
    assert loaded.name == name and loaded.rows[0].video == name


@pytest.mark.parametrize("stem", ["../x", "/tmp/x", "a/b", "", ".", "..", "x" * 300, "nul\0"])
def test_a_stem_is_a_name_not_a_path(stem, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="is no name of a file"):
        write_leaderboard(build_tables(rows("a")), tmp_path / "out", stem)
    assert [path.name for path in tmp_path.rglob("*")] == ["out"]
