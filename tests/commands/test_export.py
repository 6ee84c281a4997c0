"""`tools/export.py` as a user runs it: the file alone gives the model's maps; bad input is one line."""

import json

import numpy as np
import pytest
import torch

from saliency.commands.main import main
from saliency.inference import export as engine
from saliency.io.transforms import make_clip
from saliency.io.weights import load_model, save_model
from saliency.models.vinet_s import ViNetSConfig
from saliency.types import InputSpec

SPEC = InputSpec(length=8, stride=2, size=(32, 64), target="middle", mean=(0.1, 0.2, 0.3))


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    config = ViNetSConfig(input=SPEC, width=0.125)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_model(path, config.build(), config, {"run": "a run"})
    return path


@pytest.fixture
def export(weights, capsys):
    """Run the tool in this process; returns exit status, standard output and error."""

    def call(*arguments):
        with pytest.raises(SystemExit) as done:
            main(["export", "--weights", str(weights), *map(str, arguments)])
        out, err = capsys.readouterr()
        return done.value.code, out, err

    return call


def clips(batch):
    return np.random.default_rng(1).integers(0, 256, (batch, SPEC.length, *SPEC.size, 3), dtype=np.uint8)


def wanted(weights, frames):
    planes = torch.from_numpy(frames).permute(0, 1, 4, 2, 3)
    with torch.no_grad():
        return load_model(weights).model(make_clip(planes, SPEC)).numpy()


def check_facts(text, weights):
    facts = json.loads(text)
    assert facts["offsets"] == [-8, -6, -4, -2, 0, 2, 4, 6]
    assert facts["input"]["mean"] == [0.1, 0.2, 0.3]
    assert facts["sha256"] == load_model(weights).sha256
    assert facts["run"] == "a run"


def test_onnx(export, weights, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    path = tmp_path / "new" / "model.onnx"
    status, out, err = export("--out", path)
    assert status == 0, err
    assert "frames: uint8 (B, 8, 32, 64, 3)" in out and "largest difference" in out
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        frames = clips(batch)
        (maps,) = session.run(["maps"], {"frames": frames})
        np.testing.assert_allclose(maps, wanted(weights, frames), atol=1e-5)
    check_facts(session.get_modelmeta().custom_metadata_map["saliency"], weights)
    assert [file.name for file in path.parent.iterdir()] == ["model.onnx"]


def test_openvino(export, weights, tmp_path):
    openvino = pytest.importorskip("openvino")
    path = tmp_path / "model.xml"
    assert export("--out", path)[0] == 0
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for batch in (1, 3):
        frames = clips(batch)
        maps = compiled({"frames": frames})["maps"]
        np.testing.assert_allclose(maps, wanted(weights, frames), atol=1e-5)
    check_facts(openvino.Core().read_model(path).get_rt_info(["saliency"]).astype(str), weights)
    assert {file.name for file in tmp_path.iterdir()} == {"model.xml", "model.bin"}


def test_torch_export(export, weights, tmp_path):
    path = tmp_path / "model.pt2"
    assert export("--out", path)[0] == 0
    facts = {"saliency": ""}
    program = torch.export.load(path, extra_files=facts)
    frames = clips(3)
    np.testing.assert_allclose(program.module()(torch.from_numpy(frames)), wanted(weights, frames), atol=1e-5)
    check_facts(facts["saliency"], weights)


def refused(result, *words):
    status, _, err = result
    assert status == 2, result
    assert err.startswith("error: ") and err.count("\n") == 1, err
    for word in words:
        assert word in err


def test_bad_input_is_one_line(export, tmp_path):
    refused(export("--out", tmp_path / "model.trt"), "unknown format '.trt'; choose .onnx, .xml, .pt2")
    assert not list(tmp_path.iterdir())


def test_a_file_that_gives_other_numbers_is_not_written(export, tmp_path, monkeypatch):
    (tmp_path / "model.pt2").write_text("old")
    write, _ = engine.FORMATS[".pt2"]
    monkeypatch.setitem(engine.FORMATS, ".pt2", (write, lambda path, frames: torch.zeros(2, *SPEC.size)))
    refused(export("--out", tmp_path / "model.pt2"), "differ from the model's")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("model.pt2", "old")]


def test_missing_packages(export, weights, tmp_path, monkeypatch):
    monkeypatch.setattr(engine.importlib.util, "find_spec", lambda name: None)
    refused(export("--out", tmp_path / "model.onnx"), "pip install 'video-saliency[export]'")
    assert not list(tmp_path.iterdir())
