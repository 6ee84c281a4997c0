"""Run the notebooks and write what came out: `python notebooks/make.py [NAME …]` (`make notebooks`).

Each `NAME.py` is the notebook (jupytext's percent format); `NAME.ipynb` is made from it, with its outputs, and is what
a code host and the site show. Edit the first, never the second. Needs the extra `notebooks`.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
SECONDS = 120
"""That a cell may take."""


def sources() -> dict[str, Path]:
    """Return the notebooks by name."""
    return {path.stem: path for path in sorted(HERE.glob("*.py")) if path.name != Path(__file__).name}


def run(source: Path, folder: Path) -> nbformat.NotebookNode:
    """Run a notebook in a folder.

    Args:
        source: the notebook as a script.
        folder: where it runs; it is left with what the notebook writes, and with ``bin``, where `saliency` is.

    Returns:
        The notebook with its outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    tools = folder / "bin"
    tools.mkdir()
    script = f'#!/bin/sh\nunset FORCE_COLOR CLICOLOR_FORCE\nexec "{sys.executable}" -m saliency "$@"\n'
    (tools / "saliency").write_text(script, encoding="utf-8")  # plain text, no bars that move
    (tools / "saliency").chmod(0o755)
    env = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "SALIENCY_CACHE": str(folder / "cache")}
    env |= {"COLUMNS": "96"}
    notebook = jupytext.read(source)
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    client = NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": str(folder)}})
    client.execute(env=env)
    return _settled(notebook, folder)


KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def _settled(notebook: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """Without what only this run has: ids, times of cells, the folder's name, pictures in two formats."""
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{number}", nbformat.from_dict({})
        if cell.cell_type != "code":
            continue
        outputs = []
        for output in cell.outputs:
            data = output.get("data", {})
            if "image/jpeg" in data:
                output.data = nbformat.from_dict({"image/jpeg": data["image/jpeg"]})
            text = output.get("text") or (data.get("text/plain", "") if output.output_type == "display_data" else "")
            if text and "image/jpeg" not in data:  # standard output and error in one, as a terminal shows them
                if outputs and outputs[-1].output_type == "stream":
                    outputs[-1].text += text
                    continue
                output = nbformat.v4.new_output("stream", text=text)
            outputs.append(output)
        for output in outputs:
            if output.output_type == "stream":  # comes in pieces, so that it is tidied when it is whole
                lines = output.text.replace(str(folder), "…").split("\n")
                output.text = "\n".join(line.rstrip() for line in lines)
        cell.outputs = outputs
    return notebook


def main(names: list[str]) -> None:
    """Run the named notebooks, or all of them, and write them."""
    known = sources()
    for name in names or known:
        with tempfile.TemporaryDirectory() as folder:
            done = run(known[name], Path(folder))
        out = HERE / f"{name}.ipynb"
        out.write_text(json.dumps(done, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"{out}: {out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
