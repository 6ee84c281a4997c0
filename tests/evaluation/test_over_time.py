"""How maps move, on sequences made by hand."""

import csv
import dataclasses

import numpy as np
import pytest
import torch

from saliency.evaluation.baselines import FixedMap
from saliency.evaluation.over_time import (
    GRID,
    WINDOW,
    Recorded,
    flicker,
    lags,
    notices,
    over_time,
    pooled,
    recorded,
    write_table,
)
from saliency.evaluation.video_run import evaluate_many

H, W = GRID


def spot(column: float, row: float = 9.0) -> np.ndarray:
    """A density whose mass lies around one cell."""
    rows, columns = np.indices(GRID)
    density = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 2)
    return (density / density.sum()).astype(np.float32)


def there(*columns: float) -> np.ndarray:
    return np.stack([spot(column) for column in columns])


def test_flicker_counts_change_but_not_cuts():
    assert flicker(there(5, 5, 5)) == 0
    assert flicker(there(5, 25, 5)) == pytest.approx(1, abs=1e-6)  # no overlap at all
    assert flicker(there(5, 5, 25, 25), cuts=[2]) == 0
    assert flicker(there(5, 5, 25, 25)) == pytest.approx(1 / 3, abs=1e-6)
    half = np.stack([spot(5), (spot(5) + spot(25)) / 2])
    assert flicker(half) == pytest.approx(0.5, abs=1e-6)
    assert np.isnan(flicker(there(5)))


def test_a_map_that_follows_a_cut_late_by_seven_frames():
    cut = 20
    truth = there(*[5] * cut, *[25] * 40)
    assert lags(truth, truth, [cut]) == [0]
    late = there(*[5] * (cut + 7), *[25] * 33)
    assert lags(late, truth, [cut]) == [7]
    assert lags(there(*[5] * 60), truth, [cut]) == [WINDOW]  # never
    touch = there(*[5] * (cut + 3), 25, *[5] * 8, *[25] * 28)  # one frame is no following
    assert lags(touch, truth, [cut]) == [12]


def test_cuts_without_anything_to_follow_do_not_count():
    still = there(*[5] * 60)
    assert lags(still, still, [20]) == []  # viewers look at the same place
    truth = there(*[5] * 20, *[25] * 10)
    assert lags(truth, truth, [20]) == []  # a scene of ten frames
    assert lags(truth, truth, []) == []


@pytest.mark.parametrize("late", [-4, 0, 9])
def test_when_a_new_place_is_noticed(late):
    truth = there(*[5] * 40, *[25] * 40)
    maps = there(*[5] * (40 + late), *[25] * (40 - late))
    assert notices(maps, truth) == [late]


def test_a_place_that_is_missed_and_a_video_without_new_places():
    truth = there(*[5] * 40, *[25] * 40)
    assert np.isnan(notices(there(*[5] * 80), truth)).tolist() == [True]
    assert notices(truth, there(*[5] * 80)) == []


def test_maps_are_remembered_as_they_pass(gaze_video, tmp_path):
    video = gaze_video("001", pictures=True)
    source = Recorded(FixedMap(name="m", map=torch.rand(90, 160), metadata={"k": 1}))
    frames = range(video.num_frames)
    assert [frame for frame, _ in source.maps(video, frames)] == list(frames)
    assert (source.name, source.metadata) == ("m", {"k": 1})
    scores = over_time([source], [video])["m"]
    assert scores["001"].flicker == 0 and scores["001"].viewers_flicker > 0
    write_table(tmp_path / "over_time.csv", scores)
    with (tmp_path / "over_time.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["video"], float(row["flicker"]), row["lag"], row["cuts"]) == ("001", 0, "", "0")
    list(source.maps(video, [0, 2]))  # not all frames: nothing can be said
    assert over_time([source], [video]) == {}


def test_densities_that_were_seen_are_not_read_again(gaze_video):
    video = gaze_video("001", pictures=True)
    sources = recorded([FixedMap(name=name, map=torch.rand(90, 160)) for name in "ab"])
    evaluate_many(sources, [video], threads=2)
    nobody = dataclasses.replace(video, gaze=np.full_like(video.gaze, np.nan))
    remembered = over_time(sources, [nobody])
    assert remembered.keys() == {"a", "b"}
    for source in sources:
        assert isinstance(source, Recorded)
        source.viewers.seen.clear()
    assert over_time(sources, [video]) == remembered
    for source in sources:
        source.forget(video)
    assert over_time(sources, [video]) == {}


def test_what_a_model_learned_from_is_known_of_its_recorded_maps_too():
    class Knows(FixedMap):
        trained_on = frozenset({"0" * 64})

    (source,) = recorded([Knows(name="m", map=torch.rand(9, 16))])
    assert isinstance(source, Recorded) and source.trained_on == {"0" * 64}
    (plain,) = recorded([FixedMap(name="m", map=torch.rand(9, 16))])
    assert plain.trained_on == frozenset()


def test_pooling_keeps_the_share():
    density = torch.zeros(36, 64)
    density[0, 0] = density[35, 63] = 2
    small = pooled(density)
    assert small[0, 0] == small[-1, -1] == 0.5 and small.sum() == 1
    assert pooled(torch.zeros(36, 64)).sum() == pytest.approx(1)
