"""The streaming predictor equals the plain per-frame computation, whatever the clip rule and batch size."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from saliency.errors import InputError
from saliency.inference.backends.base import Compute
from saliency.inference.engine import Engine
from saliency.inference.predictor import Predictor
from saliency.io.transforms import make_clip, resize_frames
from saliency.types import InputSpec

SIZE = (6, 8)


class ClipCode(nn.Module):
    """A map that tells apart every frame of the clip, its place and its pixels."""

    def forward(self, clip):  # (B, 3, T, h, w)
        weight = torch.linspace(1, 2, clip.shape[2]).sqrt().view(1, 1, -1, 1, 1)
        colour = torch.tensor([0.2, 0.5, 0.3]).view(1, 3, 1, 1, 1)
        return torch.sigmoid((clip * weight * colour).mean(dim=(1, 2)))  # (B, h, w)


class Video:
    """Random frames which count how often each is asked for."""

    def __init__(self, count, size=(9, 14), fail_at=None):
        rng = np.random.default_rng(count)
        self.frames = rng.integers(0, 256, (count, *size, 3), dtype=np.uint8)
        self.fail_at = fail_at
        self.asked = np.zeros(count, dtype=int)
        self.ahead = 0

    def __len__(self):
        return len(self.frames)

    def iterate(self, start=0, stop=None):
        for i in range(start, len(self.frames) if stop is None else stop):
            if i == self.fail_at:
                raise InputError("frame is damaged")
            self.asked[i] += 1
            yield self.frames[i]


def naive(video, spec, target):
    frames = torch.from_numpy(video.frames[spec.frames(target, len(video))])
    clip = make_clip(resize_frames(frames, spec.size), spec)
    return ClipCode()(clip[None])[0]


def assert_exact(video, spec, batch_size, targets=None):
    wanted = list(range(len(video))) if targets is None else list(targets)
    got = list(Predictor(Engine(ClipCode(), spec), batch_size=batch_size).maps(video, targets))
    assert [t for t, _ in got] == wanted
    for t, found in got:
        assert found.dtype == torch.float32 and found.shape == spec.size
        torch.testing.assert_close(found, naive(video, spec, t), atol=1e-6, rtol=0)


@pytest.mark.parametrize("target", ["last", "middle"])
@pytest.mark.parametrize("count", [1, 2, 7, 31, 32, 33, 100])
def test_equals_per_frame_computation(count, target):
    video = Video(count)
    assert_exact(video, InputSpec(length=32, target=target, size=SIZE), batch_size=4)
    assert (video.asked == 1).all()  # every frame is decoded once


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 40),
    length=st.integers(1, 9),
    stride=st.integers(1, 4),
    shift=st.integers(-12, 12),
    target=st.sampled_from(["last", "middle"]),
    batch_size=st.integers(1, 11),
)
def test_equals_per_frame_computation_for_any_rule(count, length, stride, shift, target, batch_size):
    spec = InputSpec(length=length, stride=stride, shift=shift, target=target, size=SIZE)
    assert_exact(Video(count), spec, batch_size)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), stride=st.integers(1, 3), shift=st.integers(-5, 5), batch_size=st.integers(1, 5))
def test_chosen_targets(data, stride, shift, batch_size):
    count = data.draw(st.integers(1, 200))
    targets = sorted(data.draw(st.sets(st.integers(0, count - 1), max_size=12)))
    spec = InputSpec(length=5, stride=stride, shift=shift, target="middle", size=SIZE)
    video = Video(count)
    assert_exact(video, spec, batch_size, targets)
    assert (video.asked <= 1).all()


def test_far_targets_do_not_read_what_lies_between():
    video = Video(200)
    assert_exact(video, InputSpec(length=4, size=SIZE), batch_size=8, targets=[0, 1, 100, 199])
    assert video.asked.sum() == 2 + 4 + 4


def test_no_targets_give_no_maps():
    assert list(Predictor(Engine(ClipCode(), InputSpec(size=SIZE))).maps(Video(3), [])) == []


def test_video_of_the_models_size_is_not_resized():
    video = Video(5, size=SIZE)
    assert_exact(video, InputSpec(length=3, size=SIZE), batch_size=2)


def test_memory_does_not_grow_with_the_video(monkeypatch):
    sizes = []
    empty = torch.empty

    def counted(*args, **kwargs):
        tensor = empty(*args, **kwargs)
        if tensor.dtype == torch.uint8:
            sizes.append(tensor.numel())
        return tensor

    monkeypatch.setattr(torch, "empty", counted)
    for count in (50, 500):
        for _ in Predictor(Engine(ClipCode(), InputSpec(length=8, size=SIZE)), batch_size=4).maps(Video(count)):
            pass
    assert sizes[0] == sizes[1]


def test_maps_come_before_the_video_is_read_to_its_end():
    video = Video(500)
    spec = InputSpec(length=8, target="middle", size=SIZE)
    maps = Predictor(Engine(ClipCode(), spec), batch_size=4).maps(video)
    assert [t for t, _ in itertools.islice(maps, 3)] == [0, 1, 2]
    maps.close()
    assert video.asked.sum() < 60


def test_neighbouring_clips_share_memory(monkeypatch):
    seen = []
    predictor = Predictor(Engine(ClipCode(), InputSpec(length=8, stride=2, size=SIZE)), batch_size=4)
    predict = predictor.compute
    monkeypatch.setattr(predictor, "compute", lambda clips, shift: (seen.append(clips), predict(clips, shift))[1])
    list(predictor.maps(Video(12)))
    first = seen[0]  # (B, T, 3, h, w)
    assert first.shape == (4, 8, 3, *SIZE)
    assert first[1].data_ptr() - first[0].data_ptr() == 3 * SIZE[0] * SIZE[1]


def test_damage_is_raised_after_the_batches_before_it():
    got = []
    with pytest.raises(InputError, match="damaged"):
        predictor = Predictor(Engine(ClipCode(), InputSpec(length=4, size=SIZE)), batch_size=4)
        for t, _ in predictor.maps(Video(40, fail_at=21)):
            got.append(t)
    assert got == list(range(16))


def test_wrong_targets_are_refused():
    predictor = Predictor(Engine(ClipCode(), InputSpec(size=SIZE)))
    with pytest.raises(ValueError, match="increase"):
        next(predictor.maps(Video(5), [2, 2]))
    with pytest.raises(IndexError, match="5 frames"):
        next(predictor.maps(Video(5), [2, 5]))


def test_wrong_model_output_is_named():
    class Wrong(nn.Module):
        def forward(self, clip):
            return clip.mean(dim=2)

    with pytest.raises(ValueError, match=r"\(2, 3, 6, 8\)"):
        next(Predictor(Engine(Wrong(), InputSpec(size=SIZE)), batch_size=2).maps(Video(5)))


def test_autocast_and_eval_mode():
    class Mode(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 1)

        def forward(self, clip):
            assert not self.training
            out = self.layer(clip.mean(dim=2).permute(0, 2, 3, 1))[..., 0]
            kinds.append(out.dtype)
            return out

    kinds: list[torch.dtype] = []
    model = Mode().train()
    engine = Engine(model, InputSpec(size=SIZE), Compute(precision="bf16"))
    maps = list(Predictor(engine).maps(Video(2)))
    assert kinds == [torch.bfloat16] and maps[0][1].dtype == torch.float32
    assert model.training  # the caller's own stays as it is
    assert not maps[0][1].requires_grad
