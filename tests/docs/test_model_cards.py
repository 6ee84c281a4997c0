"""The figures and settings the model cards print are those of the models."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CARDS = ROOT / "docs/models"


@pytest.mark.parametrize("name", ["tmfi_net", "vinet_s", "vinet_a"])
def test_the_small_variant_is_the_one_of_the_config(name):
    card = (CARDS / f"{name}.md").read_text()
    block = re.findall(r"```python\n(.*?)```", card, re.DOTALL)[-1]
    names = {}
    exec(block, names)
    assert names["small"] == runpy.run_path(str(ROOT / "configs/mini_tmfi_vinet.py"))[name.upper()]
    printed = re.search(r"uses this one \(([\d,]+) parameters", card)
    assert sum(p.numel() for p in names["small"].build().parameters()) == int(printed[1].replace(",", ""))


def test_links_lead_to_files():
    for page in [*CARDS.glob("*.md"), CARDS.parent / "add-a-model.md"]:
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert link.startswith("https://") or (page.parent / link).exists(), f"{page.name}: {link}"
