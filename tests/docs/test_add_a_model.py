"""The model of docs/add-a-model.md is trained, taught and used as the page prints it."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from saliency.errors import InputError
from saliency.io.weights import load_model
from saliency.training.run_folder import best_file
from saliency.training.trainer import train

PAGE = Path(__file__).parents[2] / "docs/add-a-model.md"
BLOCKS = {
    text.splitlines()[0].removeprefix("# "): text
    for text in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
}


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Imports one example of the page under the name its file would have; the model's comes first."""

    def run(file, name):
        path = tmp_path / "page" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(BLOCKS[file])
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    run("models/motion_net.py", "saliency.models.motion_net")
    return run


@pytest.fixture(autouse=True)
def one_thread():
    """Models this small lose time to threads; and every run starts from the same random numbers."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def weights(folder, stage, learner):
    return [tensor.tolist() for tensor in load_model(best_file(folder, stage, learner)).model.parameters()]


def test_the_model_is_short():
    lines = [line.strip() for line in BLOCKS["models/motion_net.py"].splitlines()]
    code = [line for line in lines if line and not line.startswith(("#", "from", "import"))]
    assert len(code) <= 40


def test_train_then_bi_kd_then_predict(load, tmp_path, monkeypatch):
    monkeypatch.setenv("SALIENCY_CACHE", str(tmp_path / "cache"))
    run = load("configs/motion_net.py", "page_config").config()
    folder = tmp_path / "run"
    train(run, folder)

    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    last = {line["stage"]: line for line in lines if line["kind"] == "train"}
    assert "transfer" not in last["scratch"]
    assert last["bi_kd"]["transfer"] > 0
    assert last["bi_kd"]["taught/motion_net"] + last["bi_kd"]["taught/vinet_s"] > 0
    assert any(weights(folder, "control", name) != weights(folder, "bi_kd", name) for name in run.learners)

    video = tmp_path / "frames"
    video.mkdir()
    frames = np.random.default_rng(0).integers(0, 256, (6, 40, 56, 3), dtype=np.uint8)
    for number, frame in enumerate(frames):
        cv2.imwrite(str(video / f"{number:04d}.png"), frame)
    maps = load("predict.py", "page_predict").predict(best_file(folder, "bi_kd", "motion_net"), video)
    assert maps.shape == (6, 40, 56)
    assert maps.min() > 0 and maps.max() < 1
    assert (maps[1:] != maps[:-1]).flatten(1).any(1).all()


def test_a_run_starts_from_its_weights_and_refuses_others(load, tmp_path):
    config = sys.modules["saliency.models.motion_net"].MotionNetConfig()
    saved = tmp_path / "motion_net.pt"
    first = config.build()
    torch.save(first.state_dict(), saved)
    again = config.build(str(saved))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    with pytest.raises(InputError, match="'kinetics' is no file; use 'scratch' or the path of a checkpoint"):
        config.build("kinetics")


def test_the_test_of_the_page_passes(load):
    module = load("tests/models/test_motion_net.py", "page_test")
    tests = [getattr(module, name) for name in vars(module) if name.startswith("test_")]
    assert len(tests) == 3
    for test in tests:
        test()
