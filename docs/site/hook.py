"""What `mkdocs` builds the site from: the project's pages where they stand, and pages made from the code.

The site has the folders of the repository, so that the links between pages work there, here and on a code host. Other
files that a page links to go along as they are.
"""

import base64
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from saliency.commands.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(Path(__file__).parent))
from layers import drawn  # noqa: E402  # beside this file

PAGES = (
    "*.md",
    "docs/**/*.md",
    "docs/images/*",
    "docs/site/*.css",
    "benchmarks/results/*.md",
    "datasets/README.md",
    "examples/README.md",
    "notebooks/*",
    "saliency/assets/weights/*.md",
)
"""What is part of the site whether somebody links to it or not."""

ROOMS = {
    "models": ("saliency.models", ("tmfi_net", "vinet_s", "vinet_a", "stsa_net", "appearance_net", "foundation")),
    "data sets": (
        "saliency.datasets",
        ("folder", "stills", "shards", "mini", "dhf1k", "hollywood2", "ucf_sports", "crowdsal"),
    ),
    "metrics": ("saliency.metrics", ("frame", "cc", "nss", "sim", "kld", "auc", "information_gain")),
    "ways of teaching": ("saliency.distillation", ("base", "bi_kd", "kd", "dml", "kl_dp", "ensemble", "control")),
    "tasks": ("saliency.tasks", ("base", "saliency", "classification", "segmentation")),
    "runs": ("saliency", ("config.run", "config.load", "recipes.own_data", "training.trainer", "types")),
    "adapters": ("saliency.adapters", ("torchmetrics", "pysaliency")),
}
"""Page of the reference -> package and modules whose docstrings it shows."""

LINKED = ("saliency.models", "saliency.datasets", "saliency.metrics")
"""Packages that are folders at the top of the repository."""

INTERVAL = re.compile(r"(\[[-+−]?[\d.]+, [-+−]?[\d.]+\])")
LINK = re.compile(r"\]\(([^)\s#:]+)(#[^)\s]*)?\)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Take the pages of the whole project in place of one folder's, and add those that are made."""
    paths = {path for pattern in PAGES for path in ROOT.glob(pattern) if path.is_file()}
    made: dict[str, str | bytes] = {"docs/reference/commands.md": _commands(), "docs/reference/api.md": _api()}
    made |= {f"docs/reference/{title.replace(' ', '-')}.md": _room(title) for title in ROOMS}
    for page in sorted(path for path in paths if path.suffix == ".md"):
        for target, _ in LINK.findall(page.read_text(encoding="utf-8")):
            linked = (page.parent / target).resolve()
            if linked.is_file() and linked.is_relative_to(ROOT):
                paths.add(linked)
    found = [file for file in files if file.src_dir != config.docs_dir]  # what belongs to the theme
    for path in sorted(paths):
        found.append(File(str(path.relative_to(ROOT)), str(ROOT), config.site_dir, config.use_directory_urls))
    for notebook in sorted(ROOT.glob("notebooks/*.ipynb")):
        made |= _notebook(notebook)
    found += [File.generated(config, name, content=content) for name, content in made.items()]
    return Files(found)


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let lists begin where a code host lets them, and links to folders show the folder's page or its name alone."""
    here = (ROOT / page.file.src_uri).parent

    def settle(match: re.Match[str]) -> str:
        target = (here / match[1]).resolve()
        if target.is_dir():
            index = target / "README.md"
            return f"]({match[1].rstrip('/')}/README.md)" if index.is_file() else "](#)"
        if target.suffix == ".ipynb" and target.stem != Path(page.file.src_uri).stem:
            return f"]({match[1].removesuffix('.ipynb')}.md)"
        return match[0]

    return _spaced(drawn(LINK.sub(settle, markdown)))


def _spaced(markdown: str) -> str:
    """Put an empty line before a list that follows a paragraph without one; keep intervals in tables in one piece."""
    lines, fenced, before = [], False, ""
    for line in markdown.split("\n"):
        fenced ^= line.lstrip().startswith("```")
        starts = re.match(r"([-*]|\d+\.) ", line) is not None
        if starts and not fenced and before.strip() and not re.match(r"\s|[-*] |\d+\. |[|#>]", before):
            lines.append("")
        if line.startswith("|") and not fenced:
            line = INTERVAL.sub(r'<span class="interval">\1</span>', line)
        lines.append(line)
        before = line
    return "\n".join(lines)


def _notebook(path: Path) -> dict[str, str | bytes]:
    """Pages and pictures of a notebook that was run: name in the site -> content."""
    name = path.stem
    made: dict[str, str | bytes] = {}
    parts = []
    for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        language = "bash" if source.startswith("%%bash") else "python"
        parts.append(f"```{language}\n{source.removeprefix('%%bash').strip()}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/jpeg" in data:
                picture = f"{name}_{number}.jpg"
                made[f"notebooks/{picture}"] = base64.b64decode("".join(data["image/jpeg"]))
                parts.append(f"![What the cell shows]({picture})")
            else:
                text = "".join(output.get("text") or data["text/plain"]).rstrip()
                parts.append(f'```text {{ .output title="" }}\n{text}\n```')
    both = f"*This page is a notebook: [{name}.ipynb]({name}.ipynb), made from [{name}.py]({name}.py).*"
    made[f"notebooks/{name}.md"] = "\n\n".join([parts[0], both, *parts[1:]])
    return made


def _commands() -> str:
    parts = ["# Commands", "Made from the commands themselves: `saliency COMMAND --help-all`."]
    for name, what in COMMANDS.items():
        command = [sys.executable, "-m", "saliency", name, "--help-all"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        parts += [f"## saliency {name}", what[0].upper() + what[1:] + ".", f"```text\n{done.stdout.strip()}\n```"]
    return "\n\n".join(parts)


def _api() -> str:
    return "# import saliency\n\nThe names of the package, from their docstrings.\n\n::: saliency.api\n"


def _room(title: str) -> str:
    package, modules = ROOMS[title]
    parts = [f"# {title[0].upper()}{title[1:]}"]
    for module in modules:
        name = f"{package}.{module}"
        importlib.import_module(name)  # a module that was renamed is noticed here
        # the folders at the top are read where they stand: the reader of docstrings wants an __init__.py behind links
        parts.append(f"## {name}\n\n::: {name.removeprefix('saliency.') if package in LINKED else name}")
    return "\n\n".join(parts)
