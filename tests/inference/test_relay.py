import pytest
import torch

from saliency.errors import InputError
from saliency.inference.engine import Engine
from saliency.inference.predictor import Predictor
from saliency.inference.relay import READERS, Entry, Relay
from saliency.inference.shared import SharedFrames, SharedSource
from saliency.io.arrays import ArrayFrames
from saliency.types import InputSpec

SIZE = (8, 12)


class Recorder(torch.nn.Module):
    """Mean over time and colours; remembers how large each batch was."""

    def __init__(self):
        super().__init__()
        self.batches = []

    def __deepcopy__(self, memo):
        return self  # what predicts is a copy, whose batches are to be seen

    def forward(self, clips):
        self.batches.append(tuple(clips.shape))
        return clips.mean((1, 2))


def spec(length=3, **more):
    return InputSpec(length=length, size=SIZE, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), **more)


def video(count, seed, size=SIZE):
    random = torch.Generator().manual_seed(seed)
    return ArrayFrames(torch.randint(256, (count, *size, 3), generator=random, dtype=torch.uint8))


def relayed(predictor, sources, every=1):
    shared = [SharedFrames(source, READERS) for source in sources]
    waiting = [Entry(frames=each, every=every) for each in shared]
    relay = Relay(predictor, lambda: waiting.pop(0) if waiting else None)
    readers = [SharedSource(source, each, 1) for source, each in zip(sources, shared, strict=True)]
    return [list(relay.maps(reader, every=every)) for reader in readers]


def same(found, wanted):
    for one, other in zip(found, wanted, strict=True):
        assert [number for number, _ in one] == [number for number, _ in other]
        for (_, a), (_, b) in zip(one, other, strict=True):
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("counts", [(5, 5, 5), (1, 1, 1, 1, 1), (2, 17, 1, 8), (16,), (3, 0, 4)])
def test_each_gets_its_own_maps(counts, every):
    sources = [video(max(count, 1), seed) for seed, count in enumerate(counts)]
    alone = Predictor(Engine(Recorder(), spec()), batch_size=4)
    same(
        relayed(Predictor(Engine(Recorder(), spec()), batch_size=4), sources, every),
        [list(alone.maps(source, every=every)) for source in sources],
    )


def test_batches_go_on_from_one_to_the_next():
    model = Recorder()
    relayed(Predictor(Engine(model, spec()), batch_size=4), [video(count, count) for count in (5, 6, 3, 1)])
    assert [shape[0] for shape in model.batches] == [4, 4, 4, 3]


def test_clips_of_different_shapes_are_not_put_together():
    model = Recorder()
    plain = InputSpec(length=3, size=(64, 96), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), keep_shape=True)
    sources = [video(3, 0, (64, 96)), video(3, 1, (96, 64)), video(2, 2, (96, 64))]
    found = relayed(Predictor(Engine(model, plain), batch_size=4), sources)
    assert [(shape[0], *shape[-2:]) for shape in model.batches] == [(3, 64, 96), (4, 96, 64), (1, 96, 64)]
    same(found, [list(Predictor(Engine(Recorder(), plain), batch_size=4).maps(source)) for source in sources])


class Broken(ArrayFrames):
    def iterate(self, start=0, stop=None):
        yield from super().iterate(0, 3)
        raise InputError("broken at frame 3")


def test_damage_of_one_is_told_and_the_next_is_whole():
    frames = torch.zeros((9, *SIZE, 3), dtype=torch.uint8)
    broken, good = Broken(frames), video(4, 1)
    shared = [SharedFrames(source, READERS) for source in (broken, good)]
    waiting = [Entry(frames=each) for each in shared]
    relay = Relay(Predictor(Engine(Recorder(), spec()), batch_size=8), lambda: waiting.pop(0) if waiting else None)
    maps = relay.maps(SharedSource(broken, shared[0], 1))
    assert [next(maps)[0] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(InputError, match="broken at frame 3"):
        next(maps)
    assert [number for number, _ in relay.maps(SharedSource(good, shared[1], 1))] == [0, 1, 2, 3]
