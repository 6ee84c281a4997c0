"""A stream's maps are those of the video that ends where the stream stood."""

import numpy as np
import pytest
import torch

import saliency
from saliency.errors import InputError
from saliency.io.weights import save_model
from saliency.models.appearance_net import AppearanceNetConfig
from saliency.models.vinet_a import ViNetAConfig
from saliency.models.vinet_s import ViNetSConfig
from saliency.types import InputSpec

COUNT = 9
FRAMES = np.random.default_rng(0).integers(0, 256, (COUNT, 40, 52, 3), dtype=np.uint8)
CONFIGS = {
    "appearance": AppearanceNetConfig(
        input=InputSpec(length=2, stride=2, size=(32, 48), keep_shape=True), channels=(8, 8, 8, 8), decoder_channels=8
    ),
    "vinet_s": ViNetSConfig(input=InputSpec(length=8, size=(32, 64)), width=0.125),
    "vinet_a": ViNetAConfig(
        input=InputSpec(length=8, size=(32, 64), target="middle", shift=1),
        width=0.125,
        depths=(1, 1, 1, 1),
        groups=(1, 1, 1, 1, 1, 1),
    ),
}


@pytest.fixture(scope="module", params=CONFIGS)
def model(request, tmp_path_factory):
    torch.manual_seed(0)
    config = CONFIGS[request.param]
    path = tmp_path_factory.mktemp("weights") / f"{request.param}.safetensors"
    save_model(path, config.build(), config)
    return saliency.load_model(path, device="cpu", backend="torch")


def offline(model, count=COUNT):
    return [found.values for found in model.predict(FRAMES[:count], size="model", batch_size=1)]


def streamed(model, lookahead):
    live = model.live(lookahead=lookahead, size="model")
    found = [live.push(frame, time=5 + i / 10) for i, frame in enumerate(FRAMES)]
    assert [m is None for m in found] == [i < lookahead for i in range(COUNT)]
    return [*found[lookahead:], *live.finish()]


@pytest.mark.parametrize("lookahead", [0, 2])
def test_each_map_is_that_of_the_video_cut_behind_it(model, lookahead):
    maps = streamed(model, lookahead)
    assert [m.frame for m in maps] == list(range(COUNT))
    assert [m.time for m in maps] == pytest.approx([i / 10 for i in range(COUNT)])
    for t in (0, 4, COUNT - 1):
        cut = offline(model, min(t + lookahead + 1, COUNT))
        assert (maps[t].values == cut[t]).all()


def test_who_waits_long_enough_gets_the_map_of_the_whole_video(model):
    future = max(model.input.offsets[-1], 0)
    whole = offline(model)
    for found, expected in zip(streamed(model, future), whole, strict=True):
        assert (found.values == expected).all()
    if future:  # ... and one frame less is not enough
        assert any((a.values != b).any() for a, b in zip(streamed(model, future - 1), whole, strict=True))


def test_frames_are_counted_and_forgotten(model):
    live = model.live(lookahead=1)
    assert live.latency.frames == 1 and live.latency.seconds is None and live.latency.computing is None
    for i in range(25):
        found = live.push(FRAMES[i % COUNT], time=i / 25)
    assert found is not None and found.values.shape == (40, 52) and found.frame == 23
    assert found.values.sum() == pytest.approx(1, abs=1e-4)
    assert live.latency.seconds == pytest.approx(1 / 25) and live.latency.computing > 0
    span = (model.input.length - 1) * model.input.stride + 1
    assert len(live._held) <= span + 1


def test_a_frame_may_be_written_over(model):
    live, frame = model.live(lookahead=1, size="model"), FRAMES[0].copy()
    live.push(frame)
    frame[:] = 0
    found = live.push(FRAMES[1])
    assert (found.values == offline(model, 2)[0]).all() and found.time == 0


def test_what_is_no_stream_is_said():
    model = saliency.load_model(device="cpu", backend="torch")
    with pytest.raises(InputError, match="lookahead must be at least 0, got -1"):
        model.live(lookahead=-1)
    with pytest.raises(InputError, match="size must be 'source', 'model' or"):
        model.live(size="small")
    live = model.live()
    with pytest.raises(InputError, match=r"a frame must be uint8 \(height, width, 3\), got float32 \(40, 52, 3\)"):
        live.push(FRAMES[0].astype(np.float32))
    assert list(live.finish()) == []

    live = model.live(lookahead=1)
    live.push(FRAMES[0], time=1)
    with pytest.raises(InputError, match=r"frame 1 has the size \(20, 52\), those before \(40, 52\)"):
        live.push(FRAMES[1, :20], time=2)
    with pytest.raises(InputError, match="frame 1 has the time 1; times of frames must grow"):
        live.push(FRAMES[1], time=1)
    with pytest.raises(InputError, match="the time of every frame of a stream, or of none"):
        live.push(FRAMES[1])
    assert [m.frame for m in live.finish()] == [0], "a refused frame is no frame"
    with pytest.raises(InputError, match="the stream was finished"):
        live.push(FRAMES[1], time=3)
