import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from saliency.data.targets import Targets
from saliency.data.video import Drawing, VideoSamples, collate
from saliency.datasets.dhf1k import DHF1K
from saliency.errors import InputError
from saliency.io import frame_cache
from saliency.types import InputSpec

SMALL = InputSpec(length=4, stride=2, size=(24, 32))
MIDDLE = InputSpec(length=4, target="middle", shift=1, size=(24, 32))
LARGE = InputSpec(length=2, size=(32, 40), mean=(0.45, 0.45, 0.45), std=(0.225, 0.225, 0.225))
VIEWS = {"a": SMALL, "b": MIDDLE, "c": LARGE}
GRID = (24, 32)
SIZE = (48, 64)


def test_every_view_gets_its_own_frames_from_one_union(dot_videos, level):
    videos = dot_videos(12)
    samples = VideoSamples(videos, VIEWS, GRID, targets=[(0, t) for t in range(12)])
    for t in range(12):
        sample = samples[t]
        wanted = {name: spec.frames(t, 12) for name, spec in VIEWS.items()}
        (pixels,) = sample.frames.values()
        assert pixels.shape == (len({i for w in wanted.values() for i in w}), 48, 64, 3)
        assert pixels.dtype == torch.uint8
        for name, frames in wanted.items():
            got = pixels[sample.views[name]].float().mean(dim=(1, 2, 3))
            assert (got - torch.tensor([level(i) for i in frames])).abs().max() < 2
        assert sample.fixations.tolist() == [[t, t // 2]]
        assert sample.id == f"000:{t}"


def test_training_samples_are_a_pure_function_of_their_key(dot_videos):
    videos = dot_videos(9, 20)
    one = VideoSamples(videos, VIEWS, GRID, drawing=Drawing(clips_per_video=3))
    other = VideoSamples(videos, VIEWS, GRID, drawing=Drawing(clips_per_video=3))
    assert len(one) == 6
    keys = [(1, 4, i) for i in (3, 0, 5, 1, 4, 2)]
    assert [one[k].id for k in keys] == [other[k].id for k in reversed(keys)][::-1]
    assert [one[(1, 4, i)].id[:3] for i in range(6)] == ["000"] * 3 + ["001"] * 3


def test_the_target_is_uniform_over_the_rule(dot_videos):
    samples = VideoSamples(dot_videos(10), VIEWS, GRID, drawing=Drawing(rule=Targets(lead=2, tail=3)))
    drawn = [next(samples.candidates((0, epoch, 0)))[1] for epoch in range(2000)]
    counts = np.bincount(drawn, minlength=10)
    assert counts[2:7].min() > 340
    assert counts.sum() == counts[2:7].sum()


def test_a_flip_mirrors_all_views_and_the_target(dot_videos):
    plain = VideoSamples(dot_videos(12), VIEWS, GRID)
    mirrored = VideoSamples(dot_videos(12), VIEWS, GRID, drawing=Drawing(flip=True))
    flips = 0
    for epoch in range(12):
        a, b = plain[(0, epoch, 0)], mirrored[(0, epoch, 0)]
        assert a.id == b.id
        if next(mirrored.candidates((0, epoch, 0)))[2]:
            flips += 1
            assert torch.equal(b.frames[SIZE], a.frames[SIZE].flip(2))
            assert torch.equal(b.density, a.density.flip(1))
            assert b.fixations.tolist() == [[63 - x, y] for x, y in a.fixations.tolist()]
        else:
            assert torch.equal(b.frames[SIZE], a.frames[SIZE])
            assert torch.equal(b.fixations, a.fixations)
    assert 0 < flips < 12


def test_the_memory_cache_changes_nothing(dot_videos, monkeypatch):
    videos = dot_videos(12, 7)
    plain = VideoSamples(videos, VIEWS, GRID)
    cached = VideoSamples(videos, VIEWS, GRID, cache="memory")
    for epoch in range(4):
        for index in range(2):
            a, b = plain[(0, epoch, index)], cached[(0, epoch, index)]
            assert torch.equal(a.frames[SIZE], b.frames[SIZE])
            assert a.id == b.id
    with pytest.raises(InputError, match="GiB per worker"):
        monkeypatch.setattr("saliency.data.video.MEMORY_LIMIT", 1000)
        VideoSamples(videos, VIEWS, GRID, cache="memory")


@pytest.mark.parametrize("kind", ["raw", "jpeg"])
def test_a_frame_cache_gives_the_same_batch(dot_videos, tmp_path, kind):
    videos = dot_videos(12, 7)
    for size in {spec.size for spec in VIEWS.values()}:
        for video in videos:
            frame_cache.build(tmp_path / "cache", video.id, video.open, video.sources(), size, kind)
    targets = [(0, 11), (1, 0)]
    plain = VideoSamples(videos, VIEWS, GRID, targets=targets)
    cached = VideoSamples(videos, VIEWS, GRID, targets=targets, cache=tmp_path / "cache")
    sample = cached[0]
    assert {size: pixels.shape[0] for size, pixels in sample.frames.items()} == {(24, 32): 5, (32, 40): 2}
    a, b = (samples.prepare([samples[0], samples[1]], "cpu") for samples in (plain, cached))
    for name in VIEWS:
        assert (a.inputs[name] - b.inputs[name]).abs().max() < (1e-6 if kind == "raw" else 0.05)
    mirrored = [
        VideoSamples(videos, VIEWS, GRID, drawing=Drawing(flip=True), cache=c)[(0, 3, 0)]
        for c in ("none", tmp_path / "cache")
    ]
    assert mirrored[0].fixations.tolist() == mirrored[1].fixations.tolist()


def test_prepare_makes_the_batch(dot_videos):
    samples = VideoSamples(dot_videos(12, 12), VIEWS, GRID, targets=[(0, 11), (1, 5)])
    batch = samples.prepare([samples[0], samples[1]], "cpu")
    assert {name: tuple(x.shape) for name, x in batch.inputs.items()} == {
        "a": (2, 3, 4, 24, 32),
        "b": (2, 3, 4, 24, 32),
        "c": (2, 3, 2, 32, 40),
    }
    assert batch.inputs["c"].dtype == torch.float32
    assert batch.target.density.shape == (2, 24, 32)
    assert batch.target.fixations.dtype == torch.bool
    assert batch.target.fixations.nonzero().tolist() == [[0, 2, 5], [1, 1, 2]]
    assert batch.ids == ["000:11", "001:5"]


def test_fixations_land_in_the_cell_of_their_centre():
    samples = VideoSamples.__new__(VideoSamples)
    samples.grid = (3, 5)
    from saliency.data.video import ClipSample

    height, width = 48, 64
    ys, xs = np.mgrid[:height, :width]
    sample = ClipSample(
        frames={},
        views={},
        density=torch.zeros(height, width),
        fixations=torch.from_numpy(np.stack([xs.ravel(), ys.ravel()], 1)),
        id="x",
    )
    assert samples._on_grid(sample, "cpu").all()
    for x, y in [(0, 0), (63, 47), (12, 16), (13, 15)]:
        one = samples._on_grid(
            ClipSample(
                frames={},
                views={},
                density=sample.density,
                fixations=torch.tensor([[x, y]]),
                id="x",
            ),
            "cpu",
        )
        assert one.nonzero().tolist() == [[int((y + 0.5) * 3 / height), int((x + 0.5) * 5 / width)]]


def load(samples, epochs, workers, start):
    """All samples of some epochs, from one loader whose workers stay."""
    keys = [(0, epoch, i) for epoch in range(epochs) for i in range(len(samples))]
    loader = DataLoader(
        samples,
        batch_size=2,
        sampler=keys,
        num_workers=workers,
        collate_fn=collate,
        persistent_workers=workers > 0,
        multiprocessing_context=start if workers else None,
        timeout=120 if workers else 0,
    )
    return [sample for _ in range(2) for batch in loader for sample in batch]


def same(a, b):
    assert [s.id for s in a] == [s.id for s in b]
    for one, other in zip(a, b, strict=True):
        assert one.views == other.views
        assert all(torch.equal(pixels, other.frames[size]) for size, pixels in one.frames.items())
        assert torch.equal(one.density, other.density)
        assert torch.equal(one.fixations, other.fixations)


@pytest.mark.parametrize("cache", ["none", "memory"])
def test_any_number_of_workers_returns_the_same_samples(dhf1k_tree, cache):
    data = DHF1K(root=dhf1k_tree({1: 12, 2: 9}), splits={"train": "1-2"}, register=False, may_be_empty=True)
    samples = VideoSamples(data.videos("train"), VIEWS, GRID, cache=cache, drawing=Drawing(flip=True))
    alone = load(samples, 4, 0, None)  # the parent has used the decoder before it forks
    assert len(alone) == 16
    same(load(samples, 4, 1, "fork"), alone)
    same(load(samples, 4, 2, "fork"), alone)


@pytest.mark.slow
def test_spawned_workers_return_the_same_samples(dhf1k_tree, tmp_path):
    data = DHF1K(root=dhf1k_tree({1: 12, 2: 9}), splits={"train": "1-2"}, register=False, may_be_empty=True)
    videos = data.videos("train")
    for size in {spec.size for spec in VIEWS.values()}:
        for video in videos:
            frame_cache.build(tmp_path / "cache", video.id, video.open, video.sources(), size)
    for cache in ("none", tmp_path / "cache"):
        samples = VideoSamples(videos, VIEWS, GRID, cache=cache)
        same(load(samples, 3, 2, "spawn"), load(samples, 3, 0, None))


def test_samples_survive_pickling_without_their_frames(dot_videos):
    samples = VideoSamples(dot_videos(12), VIEWS, GRID, cache="memory")
    size = len(pickle.dumps(samples))
    samples[(0, 0, 0)]
    assert len(pickle.dumps(samples)) == size
    assert pickle.loads(pickle.dumps(samples))[(0, 0, 0)].id == samples[(0, 0, 0)].id


def test_a_broken_frame_is_replaced_in_training_and_fatal_in_evaluation(dot_videos):
    videos = dot_videos(8, 8, broken=frozenset({3}))
    with pytest.raises(InputError, match="map 3 of 000"):
        VideoSamples(videos, VIEWS, GRID, targets=[(0, 3)])[0]
    samples = VideoSamples(videos, VIEWS, GRID)
    made = [samples[(0, epoch, 0)] for epoch in range(40)]
    replaced = [s for s in made if s.problems]
    assert replaced
    assert all(not s.id.endswith(":3") for s in made)
    assert replaced[0].problems[0] == ("000", "map 3 of 000 cannot be read; replace it")
    samples.prepare(replaced, "cpu")
    assert list(samples.quarantine.reasons) == ["video 000"]


def test_too_many_unusable_videos_stop_the_training(dot_videos):
    videos = dot_videos(4, 4, 30, broken=frozenset(range(4)))
    samples = VideoSamples(videos, VIEWS, GRID, bad_limit=1)
    with pytest.raises(InputError, match="2 videos cannot be used, more than the limit of 1"):
        samples.prepare([samples[(0, 0, 0)], samples[(0, 0, 1)]], "cpu")
    hopeless = VideoSamples(videos[:2], VIEWS, GRID)
    with pytest.raises(InputError, match="in a row"):
        hopeless[(0, 0, 0)]


def test_frames_nobody_looked_at(dot_videos):
    strict = dot_videos(4, blank=frozenset({1}))
    with pytest.raises(InputError, match="frame 1: the density map is all zero"):
        VideoSamples(strict, VIEWS, GRID, targets=[(0, 1)])[0]
    videos = dot_videos(4, blank=frozenset({1}), may_be_empty=True)
    assert len(VideoSamples(videos, VIEWS, GRID, targets=[(0, 1)])[0].fixations) == 0
    samples = VideoSamples(videos, VIEWS, GRID)
    made = [samples[(0, epoch, 0)] for epoch in range(20)]
    samples.prepare(made, "cpu")
    assert samples.empty > 0
    assert not samples.quarantine.reasons
    assert all(not s.id.endswith(":1") for s in made)


def test_a_file_that_vanishes_or_lost_frames_is_named(dot_videos, make_video):
    videos = dot_videos(8, 8)
    make_video(videos[0].path, 7)
    with pytest.raises(InputError, match="7 frames can be decoded but video 000 has 8"):
        VideoSamples(videos, VIEWS, GRID, targets=[(0, 3)])[0]
    samples = VideoSamples(videos, VIEWS, GRID)
    videos[0].path.unlink()
    assert samples[(0, 0, 0)].problems[0][0] == "000"


def test_wrong_use_is_refused(dot_videos):
    videos = dot_videos(8)
    with pytest.raises(InputError, match="none of 1 videos"):
        VideoSamples(videos, VIEWS, GRID, drawing=Drawing(rule=Targets(lead=31)))
    with pytest.raises(TypeError, match="seed, epoch, index"):
        VideoSamples(videos, VIEWS, GRID)[0]
    with pytest.raises(TypeError, match="an int"):
        VideoSamples(videos, VIEWS, GRID, targets=[(0, 0)])[(0, 0, 0)]
    with pytest.raises(InputError, match="no ground truth"):
        VideoSamples(dot_videos(8, annotated=False), VIEWS, GRID)
