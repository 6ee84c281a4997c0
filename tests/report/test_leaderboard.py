import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from saliency.errors import InputError
from saliency.evaluation.protocols import CANONICAL
from saliency.evaluation.result import FLAGS, FrameRow, Result
from saliency.report.leaderboard import published_rows, write_leaderboard
from saliency.report.tables import LeaderboardRow, VideoMean, average_runs, build_tables


def row(name: str, values: list[float], metric: str = "cc", frames: list[int] | None = None, **more) -> LeaderboardRow:
    """A row of one metric whose videos have these means."""
    frames = frames or [10] * len(values)
    videos = {f"{i:03d}": VideoMean(v, n) for i, (v, n) in enumerate(zip(values, frames, strict=True))}
    mean = float(np.average(values, weights=frames))
    return LeaderboardRow(
        name=name, metrics={metric: mean}, videos={metric: videos}, **{"dataset": "toy", "protocol": "canonical"} | more
    )


def spread(base: float, n: int = 12) -> list[float]:
    return (base + 0.02 * np.sin(np.arange(n))).tolist()


def test_rows_of_results_keep_means_and_videos():
    def frame(video: str, i: int, cc: float) -> FrameRow:
        scores = dict.fromkeys(CANONICAL.metrics, 0.5) | {"cc": cc}
        return FrameRow(video, i, scores, dict.fromkeys(FLAGS, 0), 0)

    rows = [frame("a", 0, 0.2), frame("a", 1, float("nan")), frame("b", 0, 0.4), frame("b", 1, 0.6)]
    made = LeaderboardRow.from_result(
        Result(name="m", dataset="toy", protocol=CANONICAL, rows=rows), stage="control", name="tmfi"
    )
    assert made.label == "tmfi · control"
    assert made.kind == "model"
    assert made.metrics["cc"] == pytest.approx(0.4)
    assert made.videos["cc"] == {"a": VideoMean(0.2, 1), "b": VideoMean(0.5, 2)}
    ceiling = Result(name="m", dataset="t", protocol=CANONICAL, rows=rows, metadata={"own_truth": True})
    assert LeaderboardRow.from_result(ceiling).kind == "ceiling"


def test_best_and_second_follow_the_metrics_direction_and_ties():
    def ranks(values: dict[str, float], metric: str, **kinds) -> dict[str, int]:
        rows = [row(name, spread(v), metric, kind=kinds.get(name, "model")) for name, v in values.items()]
        return {line.row.name: line.cells[metric].rank for line in build_tables(rows)[0].lines}

    assert ranks({"a": 0.5, "b": 0.7, "c": 0.6}, "cc") == {"a": 0, "b": 1, "c": 2}
    assert ranks({"a": 0.5, "b": 0.7, "c": 0.6}, "kld") == {"a": 1, "b": 0, "c": 2}
    assert ranks({"a": 0.7, "b": 0.7, "c": 0.6}, "cc") == {"a": 1, "b": 1, "c": 2}
    assert ranks({"a": 0.5, "b": 0.9}, "cc", b="ceiling") == {"a": 0, "b": 0}
    assert ranks({"a": 0.5, "b": 0.9}, "cc", b="baseline") == {"a": 0, "b": 0}
    assert ranks({"a": 0.5, "b": 0.9, "c": 0.6, "d": 0.1}, "cc", b="baseline") == {"a": 2, "b": 0, "c": 1, "d": 0}


def test_intervals_hold_the_mean_and_one_video_has_none():
    (table,) = build_tables([row("a", spread(0.5)), row("b", [0.4])])
    a, b = (line.cells["cc"] for line in table.lines)
    assert a.interval is not None and a.interval.low < a.value < a.interval.high
    assert b.interval is None


def test_paired_test_sees_a_small_steady_gain_that_intervals_hide():
    rng = np.random.default_rng(0)
    base = rng.uniform(0.2, 0.8, 12)
    rows = [row("base", base.tolist()), row("more", (base + 0.01).tolist()), row("same", base[::-1].tolist())]
    (table,) = build_tables(rows, baseline="base")
    cells = {line.row.name: line.cells["cc"] for line in table.lines}
    assert cells["base"].p is None
    assert cells["more"].p is not None and cells["more"].p == pytest.approx(2 * 2 / 2**12)  # Holm: times two
    assert cells["same"].p is not None and cells["same"].p > 0.5
    assert cells["more"].interval.low < cells["base"].value  # type: ignore[union-attr]


def test_gains_between_stages():
    rows = [row("m", spread(v), stage=s) for s, v in (("bi_kd", 0.56), ("scratch", 0.5), ("control", 0.55))]
    (table,) = build_tables([*rows, row("other", spread(0.4), stage="scratch")])
    gains = {(g.earlier, g.later): g.cells["cc"].value for g in table.gains}
    assert gains == {
        ("scratch", "control"): pytest.approx(0.05),
        ("scratch", "bi_kd"): pytest.approx(0.06),
        ("control", "bi_kd"): pytest.approx(0.01),
    }
    cell = table.gains[0].cells["cc"]
    assert cell.interval is not None and cell.interval.low == pytest.approx(0.05)
    assert cell.p == pytest.approx(2 / 2**12)


def test_gains_use_the_videos_both_stages_have():
    before, after = row("m", [0.1, 0.2], stage="scratch"), row("m", [0.3, 0.3, 0.9], stage="control")
    (table,) = build_tables([before, after])
    assert table.gains[0].cells["cc"].interval.high <= 0.2 + 1e-12  # type: ignore[union-attr]


def test_runs_are_averaged_with_their_spread():
    rows = [row("m", spread(v), stage="control") for v in (0.5, 0.6, 0.7)]
    (merged,) = average_runs(rows)
    assert merged.runs == 3
    assert merged.metrics["cc"] == pytest.approx(np.mean([r.metrics["cc"] for r in rows]))
    assert merged.spread["cc"] == pytest.approx(0.1)
    assert merged.videos["cc"]["004"].mean == pytest.approx(np.mean([r.videos["cc"]["004"].mean for r in rows]))
    (table,) = build_tables(rows)
    assert table.lines[0].cells["cc"].spread == pytest.approx(0.1)


def test_every_data_set_gets_its_table_and_protocols_do_not_mix():
    tables = build_tables([row("a", spread(0.5)), row("a", spread(0.4), dataset="real")])
    assert [table.dataset for table in tables] == ["toy", "real"]
    with pytest.raises(InputError, match=r"under different protocols \(canonical, dhf1k\)"):
        build_tables([row("a", spread(0.5)), row("b", spread(0.5), protocol="dhf1k")])


def test_unusable_input_is_refused(tmp_path):
    with pytest.raises(InputError, match="no rows"):
        build_tables([])
    with pytest.raises(InputError, match="no row 'centre' to compare with; did you mean 'center'"):
        build_tables([row("center", spread(0.1))], baseline="centre")
    with pytest.raises(InputError, match="no leaderboard format 'htm'; did you mean 'html'"):
        write_leaderboard(build_tables([row("a", spread(0.1))]), tmp_path, formats=["htm"])


@pytest.fixture
def written(tmp_path):
    rows = [row("tm_fi", spread(v), stage=s) for s, v in (("scratch", 0.5), ("control", 0.55), ("bi_kd", 0.56))]
    rows.append(row("<chance>", [0.0] * 12, kind="baseline"))
    rows.append(
        LeaderboardRow(
            name="observers", dataset="toy", metrics={"cc": None, "nss": 5.0}, kind="ceiling", protocol="canonical"
        )
    )
    rows.append(
        LeaderboardRow(name="ViNet", dataset="toy", metrics={"cc": 0.511}, kind="published", source="a paper, Table 1")
    )
    made = build_tables(rows, baseline="<chance>", samples=200)
    tables = [replace(table, reproduce="saliency leaderboard a_b") for table in made]
    return write_leaderboard(tables, tmp_path / "new", "table", title="Toy & co")


def test_all_formats_are_written(written, tmp_path):
    assert {k: p.name for k, p in written.items()} == {k: f"table.{k}" for k in ("md", "csv", "json", "tex", "html")}
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == sorted(f"table.{k}" for k in written)


def test_missing_values_are_dashes_never_zero(written):
    text = written["md"].read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("| observers")]
    assert line == "| observers † | – | 5.000 |"
    assert "**0.56" in text and "Published, not re-run" in text and "| ViNet | 0.511 | – | a paper, Table 1 |" in text
    assert "observers $\\dagger$ & -- & 5.000" in written["tex"].read_text()


def test_markdown_tables_are_rectangular(written):
    widths = []
    for line in written["md"].read_text().splitlines():
        if line.startswith("|"):
            widths.append(len(re.split(r"(?<!\\)\|", line)))
        elif widths:
            assert len(set(widths)) == 1
            widths = []


def test_csv_has_one_line_a_row_with_full_precision(written):
    with written["csv"].open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["kind"] for line in lines] == ["model"] * 3 + ["baseline", "ceiling", "published"] + ["gain"] * 3
    assert float(lines[0]["cc"]) == np.mean(spread(0.5))
    assert float(lines[0]["cc_low"]) < float(lines[0]["cc"]) < float(lines[0]["cc_high"])
    assert lines[4]["cc"] == "" and lines[5]["cc_low"] == ""


def test_json_holds_everything(written):
    (table,) = json.loads(written["json"].read_text())["tables"]
    assert table["baseline"] == "<chance>"
    assert table["rows"][0]["videos"]["cc"]["003"]["frames"] == 10
    assert table["gains"][1]["later"] == "bi_kd"
    assert table["published"][0]["source"] == "a paper, Table 1"


class Page(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.cells = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.cells += tag == "td"
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "br", "img", "line", "polyline"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_page_is_well_formed_and_self_contained(written):
    text = written["html"].read_text()
    page = Page()
    page.feed(text)
    assert page.open == [] and page.links == [] and page.cells > 20
    assert "Toy &amp; co" in text and "&lt;chance&gt;" in text and "<chance>" not in text


def test_latex_escapes_and_balances(written):
    text = written["tex"].read_text()
    assert r"tm\_fi" in text
    assert text.count(r"\begin{") == text.count(r"\end{") == 2
    assert r"\toprule" in text and r"\bottomrule" in text
    assert text.count("{") == text.count("}") and text.count("$") % 2 == 0


def test_latex_keeps_intervals_marks_protocol_and_sources(written):
    text = written["tex"].read_text()
    (best,) = re.findall(r"tm\\_fi \$\\cdot\$ bi\\_kd & (.+?) & ", text)
    assert re.fullmatch(
        r"\\shortstack\{\\textbf\{0\.56\d\}\$\^\*\$\\\\\{\\scriptsize \[0\.5\d\d, 0\.5\d\d\]\}\}", best
    ), best
    assert r"\caption{toy: protocol canonical, 12 videos" in text
    assert r"differs from '$<$chance$>$', paired sign-flip test" in text and r"{*}: differs" in text
    assert re.search(r"tm\\_fi: control \$\\rightarrow\$ bi\\_kd & \\shortstack\{\$\+0\.010\$\$\^\*\$", text)
    assert "ViNet$^{1}$ & 0.511 & --" in text and "$^{1}$ a paper, Table 1." in text


def test_every_format_says_how_it_was_made(written):
    for name, wanted in {
        "md": "Reproduce: `saliency leaderboard a_b`",
        "html": "<p>Reproduce: <code>saliency leaderboard a_b</code></p>",
        "tex": r"Reproduce: \texttt{saliency leaderboard a\_b}",
        "csv": ",saliency leaderboard a_b",
        "json": '"reproduce": "saliency leaderboard a_b"',
    }.items():
        assert wanted in written[name].read_text(), name


def test_published_numbers_name_their_source_and_are_plausible():
    rows = published_rows()
    wanted = {"ViNet", "TSFP-Net", "STSA-Net", "TMFI-Net", "THTD-Net", "ViNet-S", "ViNet-A"}
    for dataset in ("DHF1K", "Hollywood-2"):
        assert wanted <= {r.name for r in rows if r.dataset == dataset}
    assert {r.dataset for r in rows} == {"DHF1K", "Hollywood-2", "UCF Sports"}
    for published in rows:
        assert published.kind == "published" and len(published.source) > 20
        for metric, value in published.metrics.items():
            assert value is not None and (2 < value < 4.3 if metric == "nss" else 0.2 < value < 1)
    assert published_rows("nowhere") == []
    tables = build_tables(rows)
    assert sum(len(table.published) for table in tables) == len(rows) and not any(table.lines for table in tables)


def test_sources_that_differ_are_not_averaged():
    (table,) = build_tables([r for r in published_rows("DHF1K") if r.name == "ViNet"])
    assert [line.cells["cc"].value for line in table.published] == [0.521, 0.511]


@pytest.mark.parametrize("ours", ["ucf_sports test", "UCF Sports"])
def test_published_rows_stand_beside_ours(ours):
    tables = build_tables([row("a", spread(0.5), dataset=ours), *published_rows()])
    beside = tables[0]
    assert beside.dataset == ours and len(beside.lines) == 1
    assert beside.published and all(line.row.dataset == "UCF Sports" for line in beside.published)
    assert [table.dataset for table in tables[1:]] == ["DHF1K", "Hollywood-2"]
    (alone, *_) = build_tables([row("a", spread(0.5), dataset="ucf_sports_small test"), *published_rows()])
    assert not alone.published
