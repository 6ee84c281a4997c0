from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from saliency.data.map_files import JoinedVideo
from saliency.errors import InputError
from saliency.evaluation.baselines import (
    Ensemble,
    FixedMap,
    MapFolder,
    ModelPredictor,
    OneVersusRest,
    centre_prior,
    chance,
    mean_train_map,
    read_map,
)
from saliency.evaluation.settings import EvaluationSettings
from saliency.evaluation.video_run import evaluate, evaluate_many, oddities
from saliency.inference.engine import Engine
from saliency.inference.predictor import Predictor
from saliency.types import InputSpec

SPEC = InputSpec(length=2, size=(18, 32))


class Brightness(nn.Module):
    """The last frame's red channel: (B, 3, T, H, W) -> (B, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.9)

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        return self.drop(clip[:, 0, -1].sigmoid())


def test_model_predictor_gives_the_models_maps(gaze_video):
    video = gaze_video(pictures=True)
    model = Brightness().train()
    got = dict(ModelPredictor(name="m", engine=Engine(model, SPEC), batch_size=2).maps(video, [0, 2, 5]))
    with video.open() as source:
        expected = dict(Predictor(Engine(model, SPEC)).maps(source, [0, 2, 5]))
    assert list(got) == [0, 2, 5]
    assert all(torch.equal(got[i], expected[i]) and got[i].shape == (18, 32) for i in got)


def test_chance_scores_chance(gaze_video):
    means = evaluate(chance(), [gaze_video("001"), gaze_video("002")]).means()
    assert (means["cc"], means["nss"], means["auc_shuffled"]) == (0.0, 0.0, 0.5)
    assert means["auc_judd"] == pytest.approx(0.5 + 0.5 / 6)  # five fixations a frame: 1 / (2 (5 + 1))


def test_centre_prior_recovers_the_gaussian_of_the_fixations(gaze_video):
    train = [gaze_video(f"{i:03d}", frames=10) for i in range(1, 4)]
    prior = centre_prior(train, every=1)
    fixated = [(np.argwhere(v.fixations(f)) + 0.5) / v.size for v in train for f in range(10)]
    mean = np.mean([np.concatenate(fixated[i : i + 10]).mean(0) for i in (0, 10, 20)], axis=0)
    assert prior.metadata["mean_xy"] == pytest.approx(mean[::-1].tolist())
    peak = np.unravel_index(int(prior.map.argmax()), prior.map.shape)
    assert (np.array(peak) + 0.5) / prior.map.shape == pytest.approx(mean, abs=0.01)
    assert evaluate(prior, train).means()["nss"] > 0.5


def test_mean_train_map_weighs_videos_alike(gaze_video):
    short, long = gaze_video("001", frames=2), gaze_video("002", frames=20)
    mean = mean_train_map([short, long], every=1).map
    alone = [mean_train_map([video], every=1).map for video in (short, long)]
    assert torch.allclose(mean, (alone[0] + alone[1]) / 2, atol=1e-7)
    assert float(mean.sum()) == pytest.approx(1, abs=1e-4)


def test_priors_need_ground_truth(gaze_video):
    empty = [gaze_video(blank=tuple(range(6)))]
    with pytest.raises(InputError, match="has a fixation"):
        centre_prior(empty, every=1)
    with pytest.raises(InputError, match="has a density map"):
        mean_train_map(empty, every=1)


def test_others_predict_the_observer_who_is_held_out(gaze_video):
    videos = [gaze_video("001", observers=8), gaze_video("002", observers=8)]
    result = evaluate(OneVersusRest(sigma=0.05), videos)
    means = result.means()
    assert result.metadata["own_truth"] is True
    assert means["nss"] > 1
    assert means["cc"] is None and means["sim"] is None and means["kld"] is None
    video, observers = videos[0], OneVersusRest()
    _, fixations, _ = observers.truth(video, 3)
    assert fixations.sum() == 1
    looked = {(int(y), int(x)) for x, y in video.gaze[:, 3]}
    assert set(map(tuple, np.argwhere(fixations).tolist())) <= looked


def test_one_predicts_the_others(gaze_video):
    videos = [gaze_video("001", observers=8), gaze_video("002", observers=8)]
    ceiling, floor = evaluate_many(
        [OneVersusRest(), OneVersusRest(name="one observer", predict="rest")], videos, EvaluationSettings(seed=0)
    )
    assert all(value is not None for value in floor.means().values())
    assert 0 < floor.means()["nss"] < ceiling.means()["nss"] * 1.5
    _, fixations, _ = OneVersusRest(predict="rest").truth(videos[0], 0)
    assert 1 <= fixations.sum() <= 7


def test_every_observer_is_held_out_in_turn(gaze_video):
    video = gaze_video(frames=200, observers=4)
    observers = OneVersusRest()
    held_out = [tuple(np.argwhere(observers.truth(video, f)[1])[0]) for f in range(200)]
    counts = [0] * 4
    for frame, where in enumerate(held_out):
        for k, (x, y) in enumerate(video.gaze[:, frame]):
            counts[k] += (int(y), int(x)) == where
    assert min(counts) > 25


def test_observers_outside_the_image_and_missing_are_counted(gaze_video):
    video = gaze_video(frames=3, observers=3)
    video.gaze[0, 0] = (-5, 3)
    video.gaze[:2, 1] = np.nan
    result = evaluate(OneVersusRest(), [video, gaze_video("002")])
    assert result.flag_counts()["outside_points"] == 1
    assert result.summary()["nss"].n_unusable == 1  # frame 1 has a single observer


def test_observers_must_be_known(gaze_video):
    class Anonymous:
        def __init__(self) -> None:
            self.inner = gaze_video()

        def __getattr__(self, name: str) -> object:
            return getattr(self.inner, name)

        def observers(self) -> None:
            return None

    with pytest.raises(InputError, match="does not tell its observers apart"):
        evaluate(OneVersusRest(), [Anonymous()])  # type: ignore[list-item]


def test_ensemble_averages_on_the_largest_grid(gaze_video):
    small = FixedMap(name="s", map=torch.ones(9, 16))
    large = FixedMap(name="l", map=torch.arange(36 * 64, dtype=torch.float32).view(36, 64))
    (_, mean), *_ = Ensemble(name="e", members=[small, large]).maps(gaze_video(), [0, 1])
    assert torch.allclose(mean, (large.map + 1) / 2)
    (_, mean), *_ = Ensemble(name="e", members=[small, large], normalise="sum").maps(gaze_video(), [0])
    assert float(mean.sum()) == pytest.approx(1, abs=1e-4)
    with pytest.raises(InputError, match="has no members"):
        list(Ensemble(name="e", members=[]).maps(gaze_video(), [0]))


def write_maps(folder: Path, frames: int, kind: str = "png", first: int = 1) -> list[np.ndarray]:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    maps = [rng.integers(0, 255, (18, 32), dtype=np.uint8) for _ in range(frames)]
    for i, values in enumerate(maps):
        path = folder / f"clip_{i + first:04d}.{kind}"
        if kind == "png":
            Image.fromarray(values).save(path)
        else:
            np.save(path, values.astype(np.float64))
    return maps


@pytest.mark.parametrize(("kind", "first"), [("png", 1), ("npy", 1), ("png", 17)])
def test_map_folder_reads_one_file_a_frame(gaze_video, tmp_path, kind, first):
    maps = write_maps(tmp_path / "maps" / "001", 6, kind, first)
    got = dict(MapFolder(name="x", root=tmp_path / "maps").maps(gaze_video(), [1, 4]))
    assert list(got) == [1, 4]
    assert np.array_equal(got[1].numpy(), maps[1]) and np.array_equal(got[4].numpy(), maps[4])


def test_map_folder_reads_one_array_a_video(gaze_video, tmp_path):
    maps = np.random.default_rng(0).random((6, 18, 32))
    np.save(tmp_path / "001.npy", maps)
    got = dict(MapFolder(name="x", root=tmp_path).maps(gaze_video(), [0, 5]))
    assert np.array_equal(got[5].numpy(), maps[5])


def test_map_folder_with_gaps_serves_the_frames_it_has(gaze_video, tmp_path):
    maps = write_maps(tmp_path / "001", 6)
    (tmp_path / "001" / "clip_0002.png").unlink()
    folder = MapFolder(name="x", root=tmp_path)
    got = dict(folder.maps(gaze_video(), [0, 2, 4]))
    assert np.array_equal(got[2].numpy(), maps[2])
    with pytest.raises(InputError, match=r"none for frame 1 \(0002.png\) and 0 others"):
        list(folder.maps(gaze_video(), range(6)))


def test_map_folder_refuses_a_gap_that_another_file_hides(gaze_video, tmp_path):
    write_maps(tmp_path / "001", 7)
    (tmp_path / "001" / "clip_0003.png").unlink()
    with pytest.raises(
        InputError, match=r"clip_0004.png comes after number 2; number the maps of a video without gaps"
    ):
        list(MapFolder(name="x", root=tmp_path).maps(gaze_video(), range(6)))


def test_maps_of_another_size_are_resized_and_told(gaze_video, tmp_path):
    write_maps(tmp_path / "001", 6)
    write_maps(tmp_path / "002", 6)
    result = evaluate(MapFolder(name="x", root=tmp_path), [gaze_video("001"), gaze_video("002")])
    assert oddities(result) == "12 maps of another size than the video, resized to it"


def test_map_folder_takes_a_folder_for_each_part_of_a_joined_video(gaze_video, tmp_path):
    joined = JoinedVideo.of("9", [gaze_video("001", frames=3), gaze_video("002", frames=4)])
    write_maps(tmp_path / "001", 3)
    maps = write_maps(tmp_path / "002", 4, first=31)
    got = dict(MapFolder(name="x", root=tmp_path).maps(joined, [2, 3, 6]))
    assert list(got) == [2, 3, 6]
    assert np.array_equal(got[3].numpy(), maps[0]) and np.array_equal(got[6].numpy(), maps[3])
    assert len(evaluate(MapFolder(name="x", root=tmp_path), [joined]).rows) == 7


def test_map_folder_refuses_what_does_not_fit(gaze_video, tmp_path):
    folder, video = MapFolder(name="x", root=tmp_path), gaze_video()

    def refused(match: str) -> None:
        with pytest.raises(InputError, match=match) as error:
            list(folder.maps(video, range(6)))
        assert "\n" not in str(error.value)

    refused("does not exist; expected the maps of video 001")
    (tmp_path / "001").mkdir()
    refused("has no PNG or NPY maps")
    (tmp_path / "001").rmdir()
    write_maps(tmp_path / "001", 7)
    refused("has 7 maps but video 001 has 6 frames")
    (tmp_path / "001" / "clip_0007.png").unlink()
    Image.fromarray(np.zeros((9, 16), np.uint8)).save(tmp_path / "001" / "clip_0003.png")
    refused("is 9x16, the maps before it are 18x32")
    np.save(tmp_path / "001" / "x.npy", np.zeros((9, 16)))
    refused("has both PNG and NPY maps")
    np.save(tmp_path / "001.npy", np.zeros((5, 9, 16)))
    refused(r"has shape \(5, 9, 16\), expected \(6, h, w\)")
    (tmp_path / "001.npy").write_text("no array")
    refused("is not a NumPy array")


def test_read_map_takes_grey_only(tmp_path):
    grey = np.random.default_rng(0).integers(0, 255, (6, 8), dtype=np.uint8)
    Image.fromarray(np.stack([grey] * 3, -1)).save(tmp_path / "grey3.png")
    assert np.array_equal(read_map(tmp_path / "grey3.png").numpy(), grey)
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    assert np.array_equal(read_map(tmp_path / "deep.png").numpy(), grey.astype(np.float32) * 257)
    Image.fromarray(np.stack([grey, grey, 255 - grey], -1)).save(tmp_path / "colour.png")
    with pytest.raises(InputError, match="is a colour image; a map has one channel"):
        read_map(tmp_path / "colour.png")
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(InputError, match="is not an image"):
        read_map(tmp_path / "text.png")
    np.save(tmp_path / "names.npy", np.array([["a"]]))
    with pytest.raises(InputError, match="expected one"):
        read_map(tmp_path / "names.npy")


def test_all_zero_maps_are_scored_and_counted(gaze_video, tmp_path):
    for name in ("001", "002"):
        (tmp_path / name).mkdir()
        for i in range(6):
            Image.fromarray(np.zeros((9, 16), np.uint8)).save(tmp_path / name / f"{i + 1:04d}.png")
    result = evaluate(MapFolder(name="black", root=tmp_path), [gaze_video("001"), gaze_video("002")])
    assert result.flag_counts()["constant_pred"] == 12
    assert result.means()["auc_shuffled"] == 0.5
