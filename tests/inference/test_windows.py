"""Overlapping clips computed together give the maps of the clips computed one by one."""

import numpy as np
import pytest
import torch
from torch import nn

from saliency.inference.backends.base import Compute
from saliency.inference.backends.pytorch import for_prediction
from saliency.inference.engine import Engine
from saliency.inference.predictor import Predictor
from saliency.io.arrays import ArrayFrames
from saliency.io.transforms import make_clip, resize_frames
from saliency.models.vinet_s import ViNetSConfig
from saliency.types import InputSpec

SIZE = (32, 48)


def model(length=32, target="last"):
    """A small ViNet-S whose norms do not leave zeros as zeros, so that every step of the padding is seen."""
    torch.manual_seed(0)
    network = ViNetSConfig(input=InputSpec(size=SIZE, length=length, target=target), width=0.125).build().eval()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm3d):
            for values, least, most in ((norm.weight, 0.5, 1.5), (norm.bias, -0.3, 0.3)):
                nn.init.uniform_(values, least, most)
            norm.running_mean = 0.1 * torch.randn(norm.num_features)
            norm.running_var = 0.5 + torch.rand(norm.num_features)
    return network


def one_by_one(network, run, length, shift):
    clips = [run[:, :, begin : begin + length] for begin in range(0, run.shape[2] - length + 1, shift)]
    return torch.cat([network(clip) for clip in clips])


@pytest.mark.parametrize(("length", "prepared"), [(24, False), (26, True), (32, True)])
@torch.no_grad()
def test_windows_any_number_of_frames_apart(length, prepared):
    network = model(length)
    if prepared:
        network, kind, close = for_prediction(network, torch.device("cpu")), torch.float32, 1e-6
    else:
        network, kind, close = network.double(), torch.float64, 1e-12
    for shift, count in ((1, 1), (1, 2), (1, 5), (2, 2), (2, 3), (3, 3), (4, 2), (5, 2), (6, 3)):
        run = torch.randn(1, 3, length + (count - 1) * shift, *SIZE, dtype=kind)
        wanted = one_by_one(network, run, length, shift)
        together = network.windowed(length, shift)
        torch.testing.assert_close(together(run), wanted, atol=close, rtol=0)
        assert wanted.std() > 0.01


@torch.no_grad()
def test_windows_too_small_for_the_network_are_padded_as_clips_are():
    network, run = model(24), torch.randn(1, 3, 26, 9, 40)
    torch.testing.assert_close(network.windowed(24, 1)(run), one_by_one(network, run, 24, 1), atol=1e-6, rtol=0)


def test_clips_with_too_little_in_common_are_not_taken_together():
    network = model()
    assert network.windowed(32, 8) is not None
    for length, shift in ((32, 9), (32, 0), (31, 1), (22, 1)):
        assert network.windowed(length, shift) is None


@pytest.mark.parametrize(("count", "every", "batch_size"), [(1, 1, 8), (2, 1, 8), (11, 1, 4), (12, 2, 3), (14, 3, 8)])
def test_a_video(count, every, batch_size):
    assert_right(model(24), InputSpec(size=SIZE, length=24), frames(count), batch_size, every=every)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["last", "middle"])
@pytest.mark.parametrize("every", [1, 2, 3, 10])
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_a_video_of_any_length(target, every, batch_size):
    network = model(24, target)
    spec = InputSpec(size=SIZE, length=24, target=target)
    for count in (1, 2, 9, 24, 37):
        assert_right(network, spec, frames(count), batch_size, every=every)


def test_after_seeks():
    targets = [3, 4, 5, 90, 91, 93, 95, 99]
    assert_right(model(24), InputSpec(size=SIZE, length=24), frames(100), 4, targets=targets)


def test_it_is_what_a_predictor_does(monkeypatch):
    taken = []
    network = model()
    plain = type(network).windowed
    monkeypatch.setattr(type(network), "windowed", lambda *a: taken.append(a[1:]) or plain(*a))
    predictor = Predictor(Engine(network, InputSpec(size=SIZE)), 4)
    assert predictor.batch_size == 8
    taken.clear()
    list(predictor.maps(ArrayFrames(frames(9)), every=2))
    assert taken.count((32, 2)) == 1  # made once


def test_frames_that_a_clip_leaves_out_are_not_shared():
    spec = InputSpec(size=SIZE, length=24, stride=2)
    assert_right(model(24), spec, frames(5), 4)


def test_auto_takes_pytorch_for_it(monkeypatch):
    monkeypatch.setattr("saliency.inference.backends.base._installed", lambda backend: True)
    spec = InputSpec()
    engine = Engine(model(), spec, Compute(backend="auto"))
    assert engine.settled((360, 640), None).compute.backend == "torch"
    other = Engine(nn.Identity(), spec, Compute(backend="auto"))
    assert other.settled((360, 640), None).compute.backend == "openvino"
    half = Engine(model(), spec, Compute(backend="auto", precision="bf16"))
    assert half.settled((360, 640), None).compute.backend == "openvino"


def frames(count):
    return np.random.default_rng(count).integers(0, 256, (count, 40, 60, 3), dtype=np.uint8)


@torch.no_grad()
def assert_right(network, spec, video, batch_size, targets=None, every=1):
    found = dict(Predictor(Engine(network, spec), batch_size).maps(ArrayFrames(video), targets, every))
    assert len(found) == (len(targets) if targets else len({*range(0, len(video), every), len(video) - 1}))
    for target, small in found.items():
        shown = torch.from_numpy(video[spec.frames(target, len(video))])
        wanted = network(make_clip(resize_frames(shown, spec.size), spec)[None])[0]
        torch.testing.assert_close(small, wanted, atol=2e-6, rtol=0)
