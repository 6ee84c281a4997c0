"""The figures and settings the model cards print are those of the models."""

import re
import runpy
from pathlib import Path

import pytest
import torch

from saliency.models.stsa_net import STSANet
from saliency.report.leaderboard import published_rows

ROOT = Path(__file__).parents[2]
CARDS = ROOT / "docs/models"
METRICS = ("cc", "nss", "auc_judd", "sim", "auc_shuffled")


@pytest.mark.parametrize("name", ["tmfi_net", "vinet_s", "vinet_a"])
def test_the_small_variant_is_the_one_of_the_config(name):
    card = (CARDS / f"{name}.md").read_text()
    block = re.findall(r"```python\n(.*?)```", card, re.DOTALL)[-1]
    names = {}
    exec(block, names)
    assert names["small"] == runpy.run_path(str(ROOT / "configs/mini_tmfi_vinet.py"))[name.upper()]
    printed = re.search(r"uses this one \(([\d,]+) parameters", card)
    assert sum(p.numel() for p in names["small"].build().parameters()) == int(printed[1].replace(",", ""))


@pytest.mark.parametrize(
    "card, names",
    [
        ("tmfi_net", {"TMFI-Net"}),
        ("vinet_s", {"ViNet", "ViNet-S"}),
        ("vinet_a", {"ViNet-A"}),
        ("stsa_net", {"STSA-Net"}),
    ],
)
def test_published_scores_are_those_of_the_leaderboard(card, names):
    wanted = {
        (row.dataset, *(row.metrics.get(metric) for metric in METRICS), row.source)
        for row in published_rows()
        if row.name in names
    }
    section = (CARDS / f"{card}.md").read_text().partition("## Published scores")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| ([^|]+) \|" + r" ([\d.–]+) \|" * len(METRICS) + r" (.+) \|$", section, re.MULTILINE)
    assert {(d, *(None if v == "–" else float(v) for v in values), s) for d, *values, s in lines} == wanted


def test_figures_of_stsa_net():
    card = (CARDS / "stsa_net.md").read_text()
    names = {}
    exec(re.findall(r"```python\n(.*?)```", card, re.DOTALL)[-1], names)
    with torch.device("meta"):
        count = sum(p.numel() for p in STSANet(names["small"]).parameters())
    assert f"{count:,} parameters, 0.39 GFLOP" in card


def test_links_lead_to_files():
    for page in [*CARDS.glob("*.md"), CARDS.parent / "add-a-model.md"]:
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert link.startswith("https://") or (page.parent / link).exists(), f"{page.name}: {link}"
