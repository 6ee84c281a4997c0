import json

import numpy as np
import pytest

from saliency.errors import InputError
from saliency.report.published import (
    OwnResult,
    own_comparison,
    own_rows,
    published_tables,
    published_text,
)
from saliency.report.tables import LeaderboardRow


def rows(dataset: str, title: str) -> dict:
    (table,) = [table for table in published_tables(dataset) if table.title.startswith(title)]
    return {row.name: row for row in table.rows}


def test_the_papers_tables_are_complete():
    assert {dataset: len(rows(dataset, "Table 5")) for dataset in ("dhf1k", "hollywood2")} == {
        "dhf1k": 9,
        "hollywood2": 9,
    }
    assert len(rows("imagenet", "Table 1")) == 13
    pairs = rows("imagenet", "Tables 2 and 3")
    assert len(pairs) == 22 and len({row.run for row in pairs.values()}) == 11
    assert len(rows("imagenet", "Table 6a")) == 2 + 3 + 4
    assert len(rows("dhf1k", "Table 6b")) == 2 + 3
    assert len(rows("ade20k", "Table 4")) == 4
    for table in published_tables():
        assert len(table.source) > 20 and len({row.name for row in table.rows}) == len(table.rows)
        for row in table.rows:
            assert row.metrics and row.metrics.keys() <= table.columns.keys() >= row.deviation.keys()
            assert all(np.isfinite(value) for value in row.metrics.values())


def test_values_read_again_from_the_paper():
    assert rows("hollywood2", "Table 5")["TMFI-Net, Bi-KD with ViNet-A"].metrics == {"cc": 0.75, "nss": 4.148}
    assert rows("dhf1k", "Table 6b")["ViNet-S, Bi-KD with TMFI-Net and ViNet-A"].metrics == {"cc": 0.533, "nss": 3.038}
    assert rows("ade20k", "Table 4")["Mask2Former Swin-S, with Swin-T"].deviation["after_macc"] == 0.14
    assert rows("imagenet", "Tables 2 and 3")["MambaVision-T2, with DINOv2"].metrics["kl_dp"] == -0.242


def test_the_pairs_agree_with_equation_14_and_with_table_1():
    """Recovered share = (after - before) / (ensemble - before): a slip in copying would break it."""
    models = {name.partition(" (")[0]: row.metrics["top1"] for name, row in rows("imagenet", "Table 1").items()}
    for name, row in rows("imagenet", "Tables 2 and 3").items():
        m = row.metrics
        assert m["before"] == models[name.partition(",")[0]]
        share = 100 * (m["after"] - m["before"]) / (m["ensemble"] - m["before"])
        printed_otherwise = name == "DINOv2, with SWSL-ResNext101"  # the paper prints 40.1 for 40.99
        assert abs(share - m["recovered"]) < (0.9 if printed_otherwise else 0.51), name


def test_an_own_result_stands_under_its_row_with_the_difference():
    def row(name: str, stage: str, cc: float) -> LeaderboardRow:
        return LeaderboardRow(name=name, dataset="DHF1K val", stage=stage, metrics={"cc": cc, "nss": 3.0})

    scored = [row(name, stage, cc) for name, cc in (("tmfi_net", 0.55), ("vinet_a", 0.53)) for stage in ("bi_kd",)]
    scored += [row("tmfi_net", "scratch", 0.5), row("mine", "", 0.1)]
    scored += [LeaderboardRow(name="tmfi_net", dataset="mini test", metrics={"cc": 0.9})]
    own = own_rows(scored, "dhf1k")
    text = published_text(published_tables("dhf1k"), own)
    lines = text.splitlines()
    at = lines.index("| TMFI-Net, Bi-KD with ViNet-A | 0.558 | 3.216 |")
    assert lines[at + 1] == "| → here: tmfi_net · bi_kd, DHF1K val | 0.550 (-0.008) | 3.000 (-0.216) |"
    at = lines.index("| TMFI-Net (Zhou et al. 2023) | 0.552 | 3.188 |")
    assert lines[at + 1].startswith("| → here: tmfi_net · scratch, DHF1K val | 0.500 (-0.052) |")
    at = lines.index("| TMFI-Net, Bi-KD with ViNet-A and ViNet-S | 0.561 | 3.224 |")
    assert not lines[at + 1].startswith("| →")  # that row is of three models
    assert "No published row for: mine, DHF1K val." in lines
    assert "mini test" not in text


def test_a_transfer_run_stands_beside_the_pair_it_repeats(tmp_path):
    def line(stage: str, learner: str, mean: float, change: float) -> dict:
        return {"stage": stage, "learner": learner, "mean": mean, "change": change}

    content = [line("before", "coat", 78.9, 0.0), line("control", "coat", 79.0, 0.1), line("bi_kd", "coat", 79.4, 0.5)]
    (tmp_path / "comparison.json").write_text(json.dumps({"metric": "top1", "seeds": 1, "rows": content}))
    with pytest.raises(InputError, match="no finished transfer run"):
        own_comparison(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"name": "imagenet_coat_pit_xs"}))
    (own,) = own_comparison(tmp_path)
    assert own == OwnResult(
        label="imagenet_coat_pit_xs: coat",
        metrics={"before": 78.9, "control": 0.1, "bi_kd": 0.5, "after": 79.4},
        learner="coat",
        run="imagenet_coat_pit_xs",
    )
    lines = published_text(published_tables("imagenet"), [own]).splitlines()
    found = [at for at, text in enumerate(lines) if text.startswith("| → here")]
    assert [lines[at - 1].partition(" |")[0] for at in found] == ["| CoaT-lite-mini, with PiT-XS"] * 2
    assert lines[found[0]].endswith("| – | 0.500 (+0.075) | 78.900 (+0.042) | 79.400 (+0.162) | – | – |")


def test_unknown_data_set():
    with pytest.raises(InputError, match="did you mean 'imagenet'"):
        published_tables("imagnet")
