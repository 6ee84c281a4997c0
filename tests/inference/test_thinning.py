import pytest
import torch

from saliency.inference.engine import Engine
from saliency.inference.ensemble import Ensemble
from saliency.inference.predictor import Predictor
from saliency.inference.thinning import Thinned, step_for
from saliency.io.arrays import ArrayFrames
from saliency.types import InputSpec

SIZE = (8, 12)


class Mean(torch.nn.Module):
    """The map of a clip is its mean over time and colours."""

    def forward(self, clips):
        return clips.mean((1, 2))


def predictor(length=1, batch_size=4, **spec):
    plain = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    return Predictor(Engine(Mean(), InputSpec(length=length, size=SIZE, **plain, **spec)), batch_size=batch_size)


def video(levels):
    return ArrayFrames(torch.tensor(levels, dtype=torch.uint8)[:, None, None, None].expand(-1, *SIZE, 3))


@pytest.mark.parametrize("batch_size", [1, 3, 8])
@pytest.mark.parametrize("every", [1, 2, 4, 7, 32])
@pytest.mark.parametrize("count", [1, 2, 9, 16, 40])
def test_a_steady_change_is_drawn_exactly(count, every, batch_size):
    levels = [5 * i for i in range(count)]
    found = list(Thinned(predictor(batch_size=batch_size), every).maps(video(levels)))
    assert [number for number, _ in found] == list(range(count))
    for (_, map_), level in zip(found, levels, strict=True):
        torch.testing.assert_close(map_, torch.full(SIZE, level / 255))


def test_between_two_predicted_frames_by_hand():
    found = [float(map_[0, 0] * 255) for _, map_ in Thinned(predictor(), 3).maps(video([0, 99, 99, 30, 99, 90]))]
    assert found == pytest.approx([0, 10, 20, 30, 60, 90])  # frames 0, 3 and the last one, 5, are predicted


def test_predicted_frames_have_the_maps_of_all_frames():
    levels = [(37 * i) % 256 for i in range(23)]
    for options in ({"length": 5}, {"length": 4, "stride": 2, "target": "middle"}):
        every = dict(predictor(**options).maps(video(levels)))
        some = dict(predictor(**options).maps(video(levels), every=5))
        assert list(some) == [0, 5, 10, 15, 20, 22]
        for number, map_ in some.items():
            torch.testing.assert_close(map_, every[number])


def test_an_ensemble_predicts_the_same_frames():
    both = Ensemble([predictor(), predictor(length=3)])
    assert [number for number, _ in both.maps(video(list(range(12))), every=4)] == [0, 4, 8, 11]


@pytest.mark.parametrize("fps, step", [(24, 1), (30, 1), (44, 1), (50, 2), (59.94, 2), (120, 4), (5000, 32)])
def test_faster_videos_are_predicted_at_about_thirty_frames(fps, step):
    assert step_for(fps) == step
