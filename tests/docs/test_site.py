"""The site's page of pages names files that are there; what is made from the code says what the code says."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def hook():
    pytest.importorskip("mkdocs")
    spec = importlib.util.spec_from_file_location("site_hook", ROOT / "docs/site/hook.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["site_hook"] = module
    spec.loader.exec_module(module)
    return module


def test_every_page_of_the_site_is_there_and_every_page_of_docs_is_on_it():
    named = set(re.findall(r"[\w./-]+\.md", (ROOT / "mkdocs.yml").read_text().split("\nnav:")[1]))
    made = ("docs/reference/", "notebooks/")
    assert not [page for page in named if not page.startswith(made) and not (ROOT / page).is_file()]
    pages = {str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md")}
    pages |= {f"notebooks/{path.stem}.md" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert not pages - named, "give these pages a place in mkdocs.yml"


def test_lists_begin_without_an_empty_line_as_on_a_code_host(hook):
    text = "Two things:\n- one\n- two\n\n```\na\n- b\n```\n\n- three\n  goes on\n- four\n"
    assert hook._spaced(text) == text.replace("things:\n- one", "things:\n\n- one")


def test_pages_of_the_reference_name_modules(hook):
    assert "::: saliency.adapters.torchmetrics" in hook._room("adapters")
    assert "## saliency.metrics.cc\n\n::: metrics.cc" in hook._room("metrics")


def test_the_drawing_of_layers_needs_no_script(hook):
    page = hook.drawn((ROOT / "docs/architecture.md").read_text())
    assert "```mermaid" not in page and page.count("<rect") == 13 and page.count("<path") == 12
    assert ">2 tools of the trade</text>" in page and ">runtime · io · gaze · metrics · distillation</text>" in page


def test_intervals_in_tables_are_not_broken(hook):
    text = "| a | 0.462\\* [0.410, -0.508] |\n\nOf [1, 2] in 0.3 [0.1, 0.5] text.\n"
    row, *rest = hook._spaced(text).split("\n")
    assert row == '| a | 0.462\\* <span class="interval">[0.410, -0.508]</span> |' and rest == text.split("\n")[1:]


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(hook, tmp_path):
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path), strict=True)
    config.plugins.on_startup(command="build", dirty=False)
    build(config)
    text = (tmp_path / "docs/reference/commands/index.html").read_text()
    assert "saliency infer" in text and "--skip-done" in text
    assert "Pearson" in (tmp_path / "docs/reference/metrics/index.html").read_text()
