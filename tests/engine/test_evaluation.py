import dataclasses
import json
import threading
import time

import pytest
import torch

from saliency.engine.baselines import FixedMap, OneVersusRest, chance
from saliency.engine.evaluation import Shard, evaluate_dataset, slug
from saliency.engine.evaluator import evaluate
from saliency.engine.protocols import CANONICAL, DHF1K
from saliency.engine.result import Result
from saliency.errors import InputError

MAP = torch.arange(9 * 16, dtype=torch.float32).view(9, 16)


@dataclasses.dataclass
class Counting:
    """Counts the frames it is asked for and can break on one video."""

    name: str = "model/scratch"
    breaks_on: str = ""
    asked: int = 0
    metadata: dict[str, str] = dataclasses.field(default_factory=lambda: {"sha256": "abc"})

    def maps(self, video, frames):
        if video.id == self.breaks_on:
            raise KeyboardInterrupt
        for frame in frames:
            self.asked += 1
            yield frame, MAP + frame


def test_results_are_saved_and_equal_a_plain_evaluation(gaze_video, tmp_path):
    videos = [gaze_video("001"), gaze_video("002")]
    seen = []
    (result,) = evaluate_dataset(
        [Counting()], videos, tmp_path, dataset="toy", progress=lambda done, total: seen.append((done, total))
    )
    plain = evaluate(Counting(), videos, dataset="toy")
    assert result.summary() == plain.summary() and list(result.rows) == list(plain.rows)
    loaded = Result.load(tmp_path / slug("model/scratch"))
    assert loaded.means() == plain.means()
    assert loaded.metadata["predictor"] == {"sha256": "abc"}
    assert seen[0] == (0, 12) and seen[-1] == (12, 12)


def test_a_killed_evaluation_goes_on_where_it_was(gaze_video, tmp_path):
    videos = [gaze_video(f"{i:03d}") for i in (1, 2, 3)]
    with pytest.raises(KeyboardInterrupt):
        evaluate_dataset([Counting(breaks_on="003")], videos, tmp_path)
    again = Counting()
    (result,) = evaluate_dataset([again], videos, tmp_path)
    assert again.asked == 6  # the last video only
    assert list(result.rows) == list(evaluate(Counting(), videos).rows)
    third = Counting()
    evaluate_dataset([third], videos, tmp_path)
    assert third.asked == 0


def test_another_predictor_can_join_later(gaze_video, tmp_path):
    videos = [gaze_video("001"), gaze_video("002")]
    evaluate_dataset([Counting()], videos, tmp_path)
    first = Counting()
    results = evaluate_dataset([first, chance()], videos, tmp_path)
    assert first.asked == 0
    assert [result.name for result in results] == ["model/scratch", "chance"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"every": 2}, "every"),
        ({"seed": 1}, "seed"),
        ({"protocol": DHF1K}, "protocol"),
        ({"predictors": [Counting(metadata={"sha256": "other"})]}, "predictor"),
    ],
)
def test_another_evaluation_is_not_mixed_in(gaze_video, tmp_path, change, named):
    videos = [gaze_video("001"), gaze_video("002")]
    usual = {"predictors": [Counting()], "videos": videos, "folder": tmp_path, "protocol": CANONICAL}
    evaluate_dataset(**usual)
    with pytest.raises(InputError, match=rf"holds another evaluation \(other .*{named}.*--restart"):
        evaluate_dataset(**usual | change)
    results = evaluate_dataset(**usual | change, restart=True)
    assert results is not None


def test_restart_leaves_foreign_folders_alone(gaze_video, tmp_path):
    home = tmp_path / "chance"
    home.mkdir()
    (home / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match="is not the folder of an evaluation"):
        evaluate_dataset([chance()], [gaze_video("001")], tmp_path, restart=True)
    assert (home / "thesis.txt").exists()


def test_names_must_not_share_a_folder(gaze_video, tmp_path):
    with pytest.raises(InputError, match="two predictors would write to"):
        evaluate_dataset([chance("a b"), chance("a_b")], [gaze_video()], tmp_path)


def test_damaged_run_file(gaze_video, tmp_path):
    evaluate_dataset([chance()], [gaze_video("001"), gaze_video("002")], tmp_path)
    (tmp_path / "chance" / "run.json").write_text("{")
    with pytest.raises(InputError, match=r"cannot be read .* --restart"):
        evaluate_dataset([chance()], [gaze_video("001"), gaze_video("002")], tmp_path)


def test_shards_together_make_the_whole(gaze_video, tmp_path):
    videos = [gaze_video(f"{i:03d}", frames=4 + i) for i in (1, 2, 3, 4)]
    found: list[list[Result] | None] = []

    def first() -> None:
        found.append(evaluate_dataset([Counting()], videos, tmp_path, shard=Shard(rank=0, size=2)))

    waiting = threading.Thread(target=first)
    waiting.start()
    time.sleep(0.2)
    assert evaluate_dataset([Counting()], videos, tmp_path, shard=Shard(rank=1, size=2)) is None
    waiting.join(timeout=60)
    assert found and found[0] is not None
    assert list(found[0][0].rows) == list(evaluate(Counting(), videos).rows)


def test_shard_reads_what_torchrun_sets(monkeypatch):
    for name, value in {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert Shard.from_environment() == Shard(rank=3, size=8, local_rank=1)


def test_worker_processes_give_the_same_rows(mini_like, tmp_path):
    predictors = [FixedMap(name="ramp", map=MAP), OneVersusRest()]
    many = evaluate_dataset(predictors, mini_like, tmp_path / "many", processes=2)
    one = evaluate_dataset(predictors, mini_like, tmp_path / "one")
    for a, b in zip(many, one, strict=True):
        assert a.data_hash() == b.data_hash()
        assert json.dumps([row.scores for row in a.rows]) == json.dumps([row.scores for row in b.rows])


@pytest.mark.slow
def test_errors_of_worker_processes_arrive_as_one_line(mini_like, tmp_path):
    broken = FixedMap(name="nan", map=torch.full((9, 16), float("nan")))
    with pytest.raises(InputError, match="nan, video 1, frame 0: the prediction has NaN"):
        evaluate_dataset([broken], mini_like, tmp_path, processes=2)


def test_processes_are_at_least_one(gaze_video, tmp_path):
    with pytest.raises(InputError, match="processes must be at least 1"):
        evaluate_dataset([chance()], [gaze_video()], tmp_path, processes=0)
