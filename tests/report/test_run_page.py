"""The page and the curves of a finished run, from a log written by hand."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saliency.configs.mini_tmfi_vinet import config
from saliency.report.run_page import plots, read_history, write_run_pages


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = [
        {"stage": "scratch", "step": 10, "kind": "train", "loss/a": 3.0, "lr/a": 0.1, "grad_norm/a": 1.0},
        {"stage": "scratch", "step": 20, "kind": "train", "loss/a": 2.0, "lr/a": 0.1, "grad_norm/a": 0.5},
        {"stage": "scratch", "step": 20, "kind": "val", "val_loss/a": 2.5, "val_cc/a": 0.25},
        {"stage": "scratch", "step": 20, "kind": "skipped", "learner": "a", "ids": ["x"]},
        {"stage": "bi_kd", "step": 10, "kind": "train", "loss/a": float("nan"), "taught/a": 1.0, "transfer": 0.5},
        {"stage": "bi_kd", "step": 10, "kind": "val", "val_loss/a": 1.5, "val_cc/a": 0.5},
        {"stage": "bi_kd", "step": 20, "kind": "val", "val_loss/a": 1.75, "val_cc/a": 0.375},
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "examples").mkdir()
    Image.fromarray(np.zeros((4, 12, 3), np.uint8)).save(tmp_path / "examples" / "bi_kd-a.png")
    return tmp_path


def test_steps_go_on_from_stage_to_stage_and_the_best_scores_are_kept(folder):
    history = read_history(folder / "log.jsonl")
    assert history.begins == {"scratch": 0, "bi_kd": 20}
    assert history.values["val_cc/a"] == ([20, 30, 40], [0.25, 0.5, 0.375])
    assert history.values["loss/a"] == ([10, 20], [3.0, 2.0])
    assert history.best["bi_kd", "val_loss/a"] == 1.5 and history.best["bi_kd", "val_cc/a"] == 0.5


def test_a_plot_for_each_kind_of_value_that_is_there(folder):
    drawn = plots(read_history(folder / "log.jsonl"))
    titles = [
        "training loss",
        "validation loss",
        "learning rate",
        "norm of the gradient",
        "who taught",
        "validation CC",
    ]
    assert [next(title for title in titles if title in plot) for plot in drawn] == titles
    assert all("bi_kd" in plot for plot in drawn)


def test_page_and_curves_are_well_formed_and_whole(folder):
    (page,) = write_run_pages(config(), folder)
    text = page.read_text()
    assert "<td>bi_kd</td><td>a</td><td>1.5000</td><td>0.5000</td>" in text
    assert "data:image/png;base64," in text and "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "&quot;mini_tmfi_vinet&quot;" in text
    plots_in = ElementTree.parse(folder / "curves.svg").getroot()
    assert len(list(plots_in)) == 6
    marks = [element.text for element in plots_in.iter() if (element.text or "") in ("scratch", "bi_kd")]
    assert marks.count("bi_kd") == 6


def test_only_the_first_process_writes(folder, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert write_run_pages(config(), folder) == [] and not (folder / "run.html").exists()
