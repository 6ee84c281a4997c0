"""Every backend gives PyTorch's maps; what cannot be done is said in one line; kept graphs are whole or made again."""

import copy
import pickle
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from saliency.errors import InputError
from saliency.inference import graphs
from saliency.inference.backends import base
from saliency.inference.backends.base import Compute, choose_compute
from saliency.inference.backends.pytorch import for_prediction
from saliency.inference.engine import Engine
from saliency.inference.export import scene
from saliency.io.transforms import make_clip
from saliency.models.appearance_net import AppearanceNetConfig
from saliency.models.stsa_net import STSANetConfig
from saliency.models.tmfi_net import TMFINetConfig
from saliency.models.vinet_a import ViNetAConfig
from saliency.models.vinet_s import ViNetSConfig
from saliency.types import InputSpec

CLIP = InputSpec(length=8, size=(64, 96))
SMALL = {
    "appearance": AppearanceNetConfig(
        input=InputSpec(length=2, size=(64, 96), keep_shape=True), channels=(8, 8, 16, 16), decoder_channels=8
    ),
    "vinet_s": ViNetSConfig(input=CLIP, width=0.125),
    "vinet_a": ViNetAConfig(input=CLIP, width=0.125),
    "tmfi": TMFINetConfig(input=CLIP, embed_dim=24, depths=(1, 1, 2, 1)),
    "stsa": STSANetConfig(input=CLIP, width=0.125),
}
EXACT = {"openvino": 1e-5, "onnx": 1e-5}
"""Largest difference from PyTorch as a share of the map's peak."""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SALIENCY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "graphs"


def built(name):
    torch.manual_seed(0)
    model = SMALL[name].build().eval()
    for module in model.modules():  # statistics as after training
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.8, 1.2)
    return model


def clips(spec, count):
    return torch.from_numpy(scene(spec, count)).permute(0, 1, 4, 2, 3)


def plain(model, spec, frames):
    """The model's maps in float64: some of these random networks amplify the rounding of float32 to 2 %."""
    with torch.no_grad():
        return copy.deepcopy(model).double()(make_clip(frames, spec).double())


def off(found, wanted):
    return float(((found - wanted).abs() / wanted.flatten(1).amax(1)[:, None, None]).max())


@pytest.mark.parametrize("name", list(SMALL))
def test_pytorchs_faster_way_gives_the_models_maps(name):
    model = built(name)
    spec = replace(SMALL[name].input, keep_shape=False)
    network = Engine(model, spec).network(spec.size)
    frames = clips(spec, 3)
    assert off(network(frames), plain(model, spec, frames)) < 1e-5
    assert not any(isinstance(m, torch.nn.MaxPool3d) for m in for_prediction(model, base.CPU).modules())


QUICK = [("appearance", "openvino"), ("vinet_s", "onnx")]
"""Tried every time; making a graph takes seconds."""


@pytest.mark.parametrize(
    ("name", "backend"),
    [*QUICK, *(pytest.param(n, b, marks=pytest.mark.slow) for n in SMALL for b in EXACT if (n, b) not in QUICK)],
)
def test_backends_give_the_models_maps(name, backend):
    pytest.importorskip(base.PACKAGES[backend][0])
    model = built(name)
    spec = replace(SMALL[name].input.fitted((36, 64)), keep_shape=False)
    network = Engine(model, spec, Compute(backend=backend)).network(spec.size, batch_size=2)
    frames = clips(spec, 3)
    found = network(frames)
    assert found.dtype == torch.float32
    assert off(found, plain(model, spec, frames)) < EXACT[backend]
    torch.testing.assert_close(network(frames[1:2]), found[1:2], rtol=1e-5, atol=1e-7)  # whatever the batch


@pytest.mark.parametrize("backend", ["torch", pytest.param("openvino", marks=pytest.mark.slow)])
def test_half_precision_where_the_processor_has_it(backend):
    if not base.cpu_computes_in("bf16"):
        pytest.skip("this processor does not compute in bf16")
    pytest.importorskip("openvino" if backend == "openvino" else "torch")
    model, spec = built("vinet_s"), CLIP
    frames = clips(spec, 1)
    found = Engine(model, spec, Compute(backend=backend, precision="bf16")).network(spec.size)(frames)
    wanted = plain(model, spec, frames)
    assert 0 < off(found, wanted) < 0.02
    assert np.corrcoef(found.flatten(), wanted.flatten())[0, 1] > 0.9


def test_what_auto_means(monkeypatch):
    video = InputSpec(length=32, size=(224, 384))
    auto = Compute(backend="auto")
    monkeypatch.setattr(base, "_installed", lambda backend: True)
    assert [auto.settled(video, maps).backend for maps in (1, 6, 7, None)] == ["torch", "torch", "openvino", "openvino"]
    assert Compute(backend="auto", device=torch.device("cuda")).settled(video, None).backend == "torch"
    monkeypatch.setattr(base, "_installed", lambda backend: False)
    assert auto.settled(video, None).backend == "torch"
    assert Compute(backend="onnx").settled(video, None).backend == "onnx"


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"backend": "tensorrt"}, "unknown backend 'tensorrt'; choose auto, torch, openvino or onnx"),
        ({"precision": "fp8"}, "unknown precision 'fp8'; choose auto, fp32, bf16, fp16"),
        ({"backend": "openvino"}, r"needs openvino, not installed: pip install 'video-saliency\[fast\]'"),
        ({"backend": "onnx"}, r"needs onnxruntime, not installed: pip install 'video-saliency\[export\]'"),
        ({"precision": "bf16"}, "this processor has no bf16 arithmetic"),
        ({"device": torch.device("cuda:0"), "backend": "onnx"}, "computes on the CPU; use --device cpu"),
    ],
)
def test_what_cannot_be_done_is_one_line(wish, said, monkeypatch):
    monkeypatch.setattr(base, "_installed", lambda backend: False)
    monkeypatch.setattr(base, "cpu_computes_in", lambda precision: precision == "fp32")
    with pytest.raises(InputError, match=said):
        choose_compute(**{"device": "cpu", **wish})
    assert choose_compute("cpu") == Compute(backend="auto")


def test_onnx_has_one_precision(monkeypatch):
    monkeypatch.setattr(base, "_installed", lambda backend: True)
    with pytest.raises(InputError, match="onnx computes in fp32"):
        choose_compute("cpu", "onnx", "bf16")


def test_an_engine_goes_to_other_processes_and_forgets():
    model, spec = built("appearance"), SMALL["appearance"].input
    engine = Engine(model, spec)
    first = engine.network((64, 112))
    assert engine.network((64, 112)) is first  # made once
    assert engine.network((112, 64)) is not first
    sent = pickle.loads(pickle.dumps(engine)).network((64, 112))
    frames = clips(first.spec, 2)
    torch.testing.assert_close(sent(frames), first(frames), rtol=0, atol=0)
    engine.forget()
    assert engine.network((64, 112)) is not first


def test_what_auto_means_is_chosen_by_the_first_long_video_of_a_size(monkeypatch):
    monkeypatch.setattr(base, "_installed", lambda backend: True)
    made = []
    engine = Engine(built("appearance"), SMALL["appearance"].input, Compute(backend="auto"))
    monkeypatch.setattr(engine, "_make", lambda backend, spec, batch_size: made.append(backend) or object())
    for size, maps in (((64, 96), 5), ((64, 96), 10**6), ((64, 96), 5), ((96, 64), None)):
        engine.expect(size, maps)
        engine.network(size)
    assert made == ["torch", "openvino", "openvino"]


def small_graph(seed=0):
    torch.manual_seed(seed)
    config = SMALL["appearance"]
    return config.build().eval(), replace(config.input, keep_shape=False)


def test_a_graph_is_made_once_for_weights_and_size(cache, monkeypatch):
    made = []
    monkeypatch.setattr(graphs, "write_graph", lambda model, spec, path: (made.append(spec.size), path.write_text("g")))
    model, spec = small_graph()
    for weights, size in (("a", (64, 96)), ("a", (64, 96)), ("b", (64, 96)), ("a", (96, 64))):
        with graphs.graph_file(model, replace(spec, size=size), ".onnx", weights) as path:
            assert path.read_text() == "g"
    assert made == [(64, 96), (64, 96), (96, 64)]
    with graphs.graph_file(model, spec, ".onnx") as path:  # no weights file: not kept
        assert cache not in path.parents
    assert len([place for place in cache.iterdir() if place.is_dir()]) == 3 and not path.exists()


@pytest.mark.parametrize("damage", ["truncated", "missing", "flipped", "no checksums"])
def test_a_damaged_graph_is_made_again(cache, monkeypatch, damage, caplog):
    monkeypatch.setattr(graphs, "write_graph", lambda model, spec, path: path.write_bytes(b"whole graph"))
    model, spec = small_graph()
    with graphs.graph_file(model, spec, ".onnx", "a") as path:
        first = path
    if damage == "truncated":
        first.write_bytes(b"whole")
    elif damage == "missing":
        first.unlink()
    elif damage == "flipped":
        first.write_bytes(b"whole grapi")
    else:
        (first.parent / graphs.CHECKSUMS).write_text("{")
    with graphs.graph_file(model, spec, ".onnx", "a") as path:
        assert path == first and path.read_bytes() == b"whole graph"
    assert "is damaged and made again" in caplog.text


def test_where_nothing_can_be_kept_it_still_works(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SALIENCY_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(graphs, "write_graph", lambda model, spec, path: path.write_text("g"))
    model, spec = small_graph()
    with graphs.graph_file(model, spec, ".onnx", "a") as path:
        assert path.read_text() == "g"
    assert not path.exists() and "set SALIENCY_CACHE" in caplog.text


def test_a_graph_that_failed_leaves_nothing(cache, monkeypatch):
    def fail(model, spec, path):
        path.write_text("half")
        raise InputError("no")

    monkeypatch.setattr(graphs, "write_graph", fail)
    model, spec = small_graph()
    with pytest.raises(InputError, match="no"), graphs.graph_file(model, spec, ".onnx", "a"):
        pass
    assert not [place for place in cache.iterdir() if place.is_dir()]


def test_who_comes_second_waits_and_finds_it(cache, monkeypatch):
    """Threads stand for processes: each opens the lock anew, as a process does."""
    working, go, made = threading.Event(), threading.Event(), []

    def slowly(model, spec, path):
        made.append(path)
        working.set()
        assert go.wait(20)
        path.write_text("g")

    monkeypatch.setattr(graphs, "write_graph", slowly)
    model, spec = small_graph()
    found = []

    def want():
        with graphs.graph_file(model, spec, ".onnx", "a") as path:
            found.append(path.read_text())

    threads = [threading.Thread(target=want) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert working.wait(20)
    go.set()
    for thread in threads:
        thread.join(20)
    assert found == ["g", "g"] and len(made) == 1


def test_predicting_does_not_load_the_compiler():
    """Nor any runtime that was not asked for."""
    code = (
        "import sys, numpy as np, saliency\n"
        "model = saliency.load_model(device='cpu')\n"
        "next(model.predict(np.zeros((36, 64, 3), np.uint8)))\n"
        "print([name for name in ('torch._dynamo', 'torchvision', 'openvino', 'onnx') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"
