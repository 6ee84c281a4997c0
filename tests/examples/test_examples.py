"""Every example runs as its first line says, on tiny media that are made here, and says what it promises."""

import csv
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

import saliency

EXAMPLES = Path(__file__).parents[2] / "examples"

QUICK = ("stages.control.epochs=1", "stages.bi_kd.epochs=1", "train.device=cpu")
FEW_CLIPS = ("data.clips_per_video=2", "train.batch_size=2")
FEW_IMAGES = ("data.train_images=4", "data.val_images=2", "train.batch_size=4", "stages.before.epochs=1")
SMALL = [
    f"learners.{name}.model.input.{what}" for name in ("vinet_s", "vinet_a") for what in ("length=8", "size=64,96")
]
ARGUMENTS = {
    "numpy_loop": ("cat.avi",),
    "webcam": ("cat.avi",),
    "region_report": ("cat.avi", "out", "logo=0,0,32,24"),
    "batch": ("study/videos", "table.csv"),
    "custom_metric": ("study",),
    "fine_tune": ("study", "out", "stages.train.epochs=1", *FEW_CLIPS),
    "distil_two_models": ("study", "out", "stages.scratch.epochs=1", *QUICK, *FEW_CLIPS, *SMALL),
    "classification": ("out", "stages.before.epochs=2", "stages.bi_kd.epochs=1"),
    "segmentation": ("out", *QUICK, *FEW_IMAGES),
    "serve": ("cat.avi", "out"),
    "opencv": ("cat.avi", "painted.mp4"),
}
SAID = {
    "numpy_loop": r"(frame \d, 0\.\d\d s: x \d+, y \d+; \d+% in the middle\n){6}",
    "webcam": r"( +\d+\.\d\d s \|[ ▁-█]{24}\|\n){6}",
    "region_report": r"logo: [\d.]+% of the attention, [\d.]+ times its area\nout/report\.html\n",
    "batch": r"study/videos/broken\.mp4: .*\ncat\.avi: 2 frames\ndog\.avi: 2 frames\n",
    "custom_metric": r"(?s).*cat: hits [01]\.\d\d, CC -?0\.\d{3}, NSS -?\d\.\d{3} \(\d frames\)\n.*",
    "fine_tune": r"(?s).*real_gaze: the most looked at pixel gets .*adapted: the most looked at pixel gets .*",
    "distil_two_models": r"(?s).*out/bi_kd/vinet_a\.safetensors\nout/bi_kd/vinet_s\.safetensors\n.*",
    "classification": r"(?s).*before, mlp: [\d.]+%\n.*bi_kd, cnn: [\d.]+%\n",
    "segmentation": r"(?s).*([ o#^+]{32}\n){16}",
    "serve": r"left: [\d.]+% of the attention; the report is in out\n",
    "opencv": "",
}


@pytest.fixture
def study(tmp_path, make_video):
    """Two videos with the gaze of three people, a video apart, and a file that is none."""
    rng = np.random.default_rng(0)
    make_video(tmp_path / "cat.avi", 6)
    (tmp_path / "study" / "gaze").mkdir(parents=True)
    for name in ("cat", "dog"):
        make_video(tmp_path / "study" / "videos" / f"{name}.avi", 6)
        rows = [f"{who},{i},{x:.2f},{y:.2f}" for who in "abc" for i in range(6) for x, y in [rng.uniform(8, 40, 2)]]
        (tmp_path / "study" / "gaze" / f"{name}.csv").write_text("\n".join(["observer,frame,x,y", *rows]) + "\n")
    return tmp_path


@pytest.mark.parametrize("name", ARGUMENTS)
def test_an_example_runs_as_it_says(name, study, monkeypatch, capsys):
    if name == "batch":
        (study / "study" / "videos" / "broken.mp4").write_bytes(b"no video")
    file = EXAMPLES / f"{name}.py"
    monkeypatch.chdir(study)
    monkeypatch.setattr(sys, "argv", [str(file), *ARGUMENTS[name]])
    runpy.run_path(str(file), run_name="__main__")
    assert re.fullmatch(SAID[name], capsys.readouterr().out)
    if name == "batch":
        rows = list(csv.DictReader((study / "table.csv").open()))
        assert [row["video"] for row in rows] == ["cat.avi", "dog.avi"]
        assert all(0 < float(row["entropy_bits"]) < 17 for row in rows)
    if name in ("region_report", "serve"):
        assert (study / "out" / "report.html").stat().st_size > 10_000
    if name == "opencv":
        with saliency.open_video(study / "painted.mp4") as film:
            assert (len(film), film.size) == (6, (48, 64))


def test_there_are_no_others_and_none_is_long():
    files = sorted(EXAMPLES.glob("*.py"))
    assert {file.stem for file in files} == ARGUMENTS.keys() == SAID.keys()
    for file in files:
        lines = file.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 40, f"{file.name} has {len(lines)} lines"
        assert f"python examples/{file.name}" in lines[0], file.name
