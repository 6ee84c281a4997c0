"""Rendering keeps what was written when it is interrupted, and no more frames than it needs."""

import av
import cv2
import numpy as np
import pytest
import torch
from torch import nn

from saliency.inference.engine import Engine
from saliency.inference.outputs import outputs_in
from saliency.inference.overlay import Overlay
from saliency.inference.predictor import Predictor
from saliency.inference.render import _Tap, render
from saliency.inference.shared import SharedFrames, SharedSource
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


class Blob:
    """A map that moves."""

    def maps(self, source):
        for number, _ in enumerate(source.iterate()):
            rows, columns = np.mgrid[:18, :32]
            yield number, torch.from_numpy(np.exp(-((rows - 8) ** 2 + (columns - 6 - number) ** 2) / 20.0)).float()


class InRgb:
    """Paints what `Overlay` paints, on RGB only."""

    size, paint = Overlay().size, Overlay().paint


@pytest.mark.parametrize("tag", [1, 2])
def test_a_film_that_keeps_its_planes_looks_as_if_painted_in_rgb(tmp_path, tag):
    clip = tmp_path / "clip.mp4"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "4"})
        stream.height, stream.width, stream.pix_fmt = 144, 256, "yuv420p"
        stream.codec_context.colorspace = tag
        for i in range(8):
            frame = cv2.resize(np.random.default_rng(i // 4).integers(0, 256, (9, 16, 3), dtype=np.uint8), (256, 144))
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p")
            picture.pts = i
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    films = []
    for name, painter in (("planes", Overlay()), ("rgb", InRgb())):
        with open_frames(clip) as source:
            render(source, Blob(), outputs_in(tmp_path / name, source), painter=painter)
        with open_frames(tmp_path / name / "clip_saliency.mp4", expected=8) as film:
            films.append(np.stack(list(film.iterate())).astype(int))
    apart = films[0] - films[1]
    assert np.abs(apart.mean(axis=(0, 1, 2))).max() < 1
    assert np.abs(apart).mean() < 3  # most of it is x264's
    with open_frames(clip) as source:
        shared = SharedFrames(source, 1)
        render(SharedSource(source, shared, 0), Blob(), outputs_in(tmp_path / "shared", source))
    again = tmp_path / "shared" / "clip_saliency.mp4"
    assert again.read_bytes() == (tmp_path / "planes" / "clip_saliency.mp4").read_bytes()
