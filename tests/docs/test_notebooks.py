"""Every notebook runs as it stands, in an empty folder, and says and shows what it promises."""

import importlib.util
import json
from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext")
pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

FOLDER = Path(__file__).parents[2] / "notebooks"
LARGEST = 60_000
"""Bytes of a notebook with what came out."""

spec = importlib.util.spec_from_file_location("notebooks_make", FOLDER / "make.py")
make = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make)
NAMES = sorted(make.sources())

SAID = {
    "quick_start": ["real_gaze (180, 320) float32 sums to 1.000", "1.33 s  right half", "45 frames of (180, 320)"],
    "evaluate_your_own_method": ["'auc_judd'", "unlike the rest   0.", "50 frames of 5 videos", "| centre prior |"],
    "train_on_your_own_videos": ["  mean      ", "page adapted/run.html", "page scratch/run.html", "'run.html'"],
    "add_a_model": ["3825 parameters", "bi_kd/motion_net.safetensors  best cc", "MotionNet InputSpec(length=4"],
    "gaze_study": ["6 viewers, 1,440 samples", "left: 6 of 6 viewers", "'viewer': 'v01'", "one observer      0."],
}
LEFT = {
    "quick_start": "look.mp4",
    "evaluate_your_own_method": "scores/unlike_the_rest/videos.csv",
    "train_on_your_own_videos": "adapted/adapted.safetensors",
    "add_a_model": "runs/motion_net/control/vinet_s.safetensors",
    "gaze_study": "scores/real_gaze/gallery.html",
}


def said(notebook):
    """All text that the cells print or return, and how many pictures they show."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    texts = ["".join(each.get("text") or each["data"].get("text/plain", "")) for each in outputs]
    return "\n".join(texts), sum("image/jpeg" in each.get("data", {}) for each in outputs)


@pytest.mark.tutorial
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs(name, tmp_path):
    text, pictures = said(make.run(FOLDER / f"{name}.py", tmp_path))
    for words in SAID[name]:
        assert words in text, text
    assert pictures >= 1
    assert (tmp_path / LEFT[name]).stat().st_size > 100
    assert "\x1b" not in text and str(tmp_path) not in text


@pytest.mark.parametrize("name", NAMES)
def test_what_is_shown_was_made_from_the_script_and_is_small(name):
    path = FOLDER / f"{name}.ipynb"
    shown = json.loads(path.read_text(encoding="utf-8"))
    source = jupytext.read(FOLDER / f"{name}.py")
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in shown["cells"]]
    assert cells == [(cell.cell_type, cell.source) for cell in source.cells], f"python notebooks/make.py {name}"
    assert path.stat().st_size < LARGEST
    text, pictures = said(shown)
    assert pictures >= 1 and all(words in text for words in SAID[name])


def test_every_notebook_is_known():
    assert NAMES == sorted(SAID) == sorted(LEFT)
    listed = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"({name}.ipynb)" in listed for name in NAMES)
