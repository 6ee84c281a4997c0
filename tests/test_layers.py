"""docs/architecture.md says in which layer each room stands; the imports of all modules are held to it."""

import ast
import re
from collections import defaultdict
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
PAGE = REPO / "docs" / "architecture.md"
LINKED = ("models", "datasets", "metrics", "configs")
"""Folders at the top whose modules are imported as ``saliency.NAME.…``."""

SAME_SUBJECT = {
    "base": "the protocol of a room of methods",
    "classification": "a task and its recipes",
    "segmentation": "a task, its scores and its recipes",
    "saliency": "a task and its recipes",
    "teaching": "a study and its recipes",
    "digits": "small images and the models of them",
    "ensemble": "the mean of several models, as a teacher and as a model",
    "export": "the work and its command",
    "folder": "videos of one's own and the run that learns from them",
    "leaderboard": "the work and its command",
    "report": "the work and its command",
}
"""Names that several rooms may give to a module, because it is the same thing seen from each."""


def modules() -> dict[str, Path]:
    """Import name -> file of every module; a package has the name of its folder."""
    files = [file for file in (REPO / "saliency").rglob("*.py") if file.relative_to(REPO).parts[1] not in LINKED]
    files += [file for folder in LINKED for file in (REPO / folder).rglob("*.py")]
    found = {}
    for file in files:
        parts = file.relative_to(REPO).with_suffix("").parts
        parts = parts if parts[0] == "saliency" else ("saliency", *parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found | {f"tools.{file.stem}": file for file in (REPO / "tools").glob("*.py")}


MODULES = modules()


def imports(file: Path) -> set[str]:
    """The modules of the project that a file imports anywhere in it: at once, late, or for its types only."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in MODULES else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & MODULES.keys()


ARROWS = {name: imports(file) - {name} for name, file in MODULES.items()}


def room(module: str) -> str:
    """The row of the page that a module belongs to."""
    first, *rest = module.split(".")
    if first == "tools":
        return "tools/"
    if not rest:
        return "saliency/__init__.py"
    if rest[0] in LINKED:
        return f"{rest[0]}/"
    return f"saliency/{rest[0]}/" if (REPO / "saliency" / rest[0]).is_dir() else f"saliency/{rest[0]}.py"


def layers() -> dict[str, int]:
    rows = re.findall(r"^\| (\d+) \| `([^`]+)` \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(rows) > 20, "the table of rooms in docs/architecture.md was not found"
    return {name: int(layer) for layer, name in rows}


def test_the_page_names_every_room_and_no_other():
    assert set(layers()) == {room(name) for name in MODULES}
    picture = PAGE.read_text(encoding="utf-8").split("```mermaid")[1].split("```")[0]
    drawn = set(re.findall(r"^ {8}(\w.*)$", picture, flags=re.MULTILINE))
    named = {Path(name).stem for name in layers()} - {"__init__", "__main__", "testing"}
    assert {word for line in drawn for word in line.split(" & ")} == named


def test_the_picture_and_the_table_have_the_same_layers():
    picture = PAGE.read_text(encoding="utf-8").split("```mermaid")[1].split("```")[0]
    table = {Path(name).stem: layer for name, layer in layers().items()}
    for layer, rooms in re.findall(r"subgraph L(\d+)\[.*\]\n {8}(.*)\n", picture):
        assert {table[name] for name in rooms.split(" & ")} == {int(layer)}, rooms


def test_a_room_imports_only_what_stands_before_it():
    layer = layers()
    up = [
        f"{name} (layer {layer[room(name)]}) imports {other} (layer {layer[room(other)]})"
        for name, others in ARROWS.items()
        for other in others
        if room(name) != room(other) and layer[room(name)] <= layer[room(other)]
        if (name, other) != ("saliency", "saliency.api")  # the names of the API, loaded when they are first used
    ]
    assert not up, "\n".join(up)


def test_no_circles_between_modules():
    """Take away modules that import nothing that is left; what cannot be taken away runs in a circle."""
    left = {name: set(others) for name, others in ARROWS.items()}
    left["saliency"].discard("saliency.api")
    while free := [name for name, others in left.items() if not others & left.keys()]:
        for name in free:
            del left[name]
    assert not left, f"a circle among {sorted(left)}"


def test_a_name_of_a_module_means_one_thing():
    rooms = defaultdict(list)
    for name in MODULES:
        if name.count(".") > 1:
            rooms[name.rpartition(".")[2]].append(name)
    twice = {name: found for name, found in rooms.items() if len(found) > 1 and name not in SAME_SUBJECT}
    assert not twice, f"call one of each otherwise: {twice}"
    assert {name for name, found in rooms.items() if len(found) > 1} == set(SAME_SUBJECT)


def test_files_that_the_page_names_are_there():
    text = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:saliency|configs|models|tools|tests)/[\w/]+\.py", text)) - {"configs/NAME.py"}
    links = {str(Path("docs") / target) for target in re.findall(r"\]\(([\w-]+\.md)\)", text)}
    assert not [name for name in named | links if not (REPO / name).exists()]
