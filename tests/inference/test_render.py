"""Rendering keeps what was written when it is interrupted, and no more frames than it needs."""

import numpy as np
import pytest
import torch
from torch import nn

from saliency.inference.engine import Engine
from saliency.inference.outputs import outputs_in
from saliency.inference.predictor import Predictor
from saliency.inference.render import _Tap, render
from saliency.io.frames import FrameSource, open_frames
from saliency.io.stamped import read_stamp, scene
from saliency.types import InputSpec

SIZE = (36, 64)


class Brightness(nn.Module):
    def forward(self, clip):  # (B, 3, T, h, w)
        return clip.mean(dim=(1, 2)).sigmoid()


class Scenes(FrameSource):
    """Frames made as they are asked for."""

    def __init__(self, path, count):
        self.path, self.count, self.fps, self.size = path, count, 25.0, SIZE

    def __len__(self):
        return self.count

    def read(self, indices):
        return np.stack([scene(i, SIZE) for i in indices])

    def iterate(self, start=0, stop=None):
        for i in range(start, self.count if stop is None else stop):
            yield scene(i, SIZE)

    def close(self):
        pass


def out(tmp_path, **kwargs):
    return outputs_in(tmp_path / "out", Scenes(tmp_path, 1), **kwargs)


def predictor():
    return Predictor(Engine(Brightness(), InputSpec(length=4, size=(9, 16), target="middle")), batch_size=3)


def test_interrupted_rendering_leaves_a_playable_beginning(tmp_path):
    done = []

    def interrupt(seen):
        done.append(1)
        if len(done) == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(Scenes(tmp_path, 200), predictor(), out(tmp_path), on_frame=interrupt)
    (video,) = (tmp_path / "out").iterdir()
    assert video.name.endswith("_saliency.partial.mp4")
    with open_frames(video, expected=20) as source:
        assert [read_stamp(f) for f in source.iterate()] == list(range(20))


def test_frames_are_not_kept(tmp_path, monkeypatch):
    kept = []
    take = _Tap.take
    monkeypatch.setattr(_Tap, "take", lambda self, i: (kept.append(len(self._kept)), take(self, i))[1])
    result = render(Scenes(tmp_path, 150), predictor(), out(tmp_path))
    assert (result.frames, result.problem) == (150, None)
    assert max(kept) < 50


def test_fixed_peak_scales_maps_and_colours(tmp_path):
    torch.manual_seed(0)
    result = render(Scenes(tmp_path, 3), predictor(), out(tmp_path, maps="png", peak=4.0))
    assert result.maps is not None and result.picture is not None
    from saliency.io.maps import read_density

    assert 0 < read_density(result.maps / "0001.png").max() <= 0.25
