import dataclasses
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest
import torch

from saliency.errors import InputError
from saliency.evaluation import dataset_run as evaluation
from saliency.evaluation.baselines import FixedMap, OneVersusRest, chance
from saliency.evaluation.dataset_run import Workers, evaluate_dataset, share, slug
from saliency.evaluation.protocols import CANONICAL, DHF1K
from saliency.evaluation.result import Result
from saliency.evaluation.settings import EvaluationSettings
from saliency.evaluation.video_run import evaluate
from saliency.runtime.distributed import World

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
        [Counting()],
        videos,
        tmp_path,
        EvaluationSettings(dataset="toy"),
        progress=lambda done, total: seen.append((done, total)),
    )
    plain = evaluate(Counting(), videos, EvaluationSettings(dataset="toy"))
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
    usual = {"predictors": [Counting()], "protocol": CANONICAL}

    def evaluate_dataset_as(*, predictors, restart=False, **settings):
        return evaluate_dataset(predictors, videos, tmp_path, EvaluationSettings(**settings), restart=restart)

    evaluate_dataset_as(**usual)
    with pytest.raises(InputError, match=rf"holds another evaluation \(other .*{named}.*--restart"):
        evaluate_dataset_as(**usual | change)
    results = evaluate_dataset_as(**usual | change, restart=True)
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


class Thread(World):
    """A process of torchrun's that is only a thread."""

    barrier_of_both: ClassVar[threading.Barrier]
    values: ClassVar[dict[int, Any]] = {}

    def barrier(self) -> None:
        self.barrier_of_both.wait(timeout=30)

    def gather(self, value: Any) -> list[Any]:
        self.values[self.rank] = value
        self.barrier()
        told = [self.values[rank] for rank in range(self.size)]
        self.barrier()
        return told

    def any(self, flag: bool) -> bool:
        return any(self.gather(flag))


def in_two_threads(call: Callable[[World], list[Result] | None]) -> list[list[Result] | None]:
    """Call with each of two worlds at once; what they return, in the order of ranks."""
    Thread.barrier_of_both = threading.Barrier(2)
    with ThreadPoolExecutor(2) as executor:
        worlds = [Thread(rank=rank, size=2, device=torch.device("cpu")) for rank in (0, 1)]
        return list(executor.map(call, worlds, timeout=60))


def test_processes_of_torchrun_share_the_videos_and_make_the_whole(gaze_video, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation, "POLL_SECONDS", 0.01)
    videos = [gaze_video(f"{i:03d}", frames=4 + i) for i in (1, 2, 3, 4)]
    models = [Counting(), Counting()]
    found, none = in_two_threads(
        lambda world: evaluate_dataset([models[world.rank]], videos, tmp_path, workers=Workers(world=world))
    )
    assert none is None and found is not None
    assert list(found[0].rows) == list(evaluate(Counting(), videos).rows)
    assert [model.asked for model in models] == [8 + 6, 7 + 5]  # every frame once
    found, _ = in_two_threads(
        lambda world: evaluate_dataset(
            [models[world.rank]], videos, tmp_path, restart=True, workers=Workers(world=world)
        )
    )
    assert found is not None and [model.asked for model in models] == [28, 24]  # nobody took the old for done


def test_another_evaluation_is_refused_by_all_processes(gaze_video, tmp_path):
    videos = [gaze_video("001"), gaze_video("002")]
    evaluate_dataset([Counting()], videos, tmp_path)

    def again(world: World) -> None:
        with pytest.raises((InputError, SystemExit)):
            evaluate_dataset([Counting()], videos, tmp_path, EvaluationSettings(every=2), workers=Workers(world=world))

    in_two_threads(again)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_every_video_belongs_to_one_process(gaze_video, size):
    videos = [gaze_video(f"{i:03d}", frames=i) for i in range(1, 6)]
    frames = {video.id: list(range(video.num_frames)) for video in videos}
    worlds = [World(rank=rank, size=size, device=torch.device("cpu")) for rank in range(size)]
    shares = [share(videos, frames, world) for world in worlds]
    assert sorted(video.id for own in shares for video in own) == [video.id for video in videos]


@pytest.mark.slow
def test_torchrun_gives_the_numbers_of_one_process(mini_like, tmp_path):
    data = mini_like[0].path.parent.parent
    command = ["tools/evaluate.py", "--data", str(data), "--baselines", "chance", "other-observers", "--device", "cpu"]
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for name, start in (("two", ["-m", *torchrun]), ("one", [])):
        done = subprocess.run(
            [sys.executable, *start, *command, "--out", str(tmp_path / name)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert "7 frames of 2 videos" in done.stdout
    for predictor in ("chance", "other_observers"):
        for file in ("frames.csv", "videos.csv", "summary.json"):
            two, one = ((tmp_path / name / predictor / file).read_text() for name in ("two", "one"))
            assert two == one


def test_worker_processes_give_the_same_rows(mini_like, tmp_path):
    predictors = [FixedMap(name="ramp", map=MAP), OneVersusRest()]
    many = evaluate_dataset(predictors, mini_like, tmp_path / "many", workers=Workers(processes=2))
    one = evaluate_dataset(predictors, mini_like, tmp_path / "one")
    for a, b in zip(many, one, strict=True):
        assert a.data_hash() == b.data_hash()
        assert json.dumps([row.scores for row in a.rows]) == json.dumps([row.scores for row in b.rows])


@pytest.mark.slow
def test_errors_of_worker_processes_arrive_as_one_line(mini_like, tmp_path):
    broken = FixedMap(name="nan", map=torch.full((9, 16), float("nan")))
    with pytest.raises(InputError, match="nan, video 1, frame 0: the prediction has NaN"):
        evaluate_dataset([broken], mini_like, tmp_path, workers=Workers(processes=2))


def test_processes_are_at_least_one(gaze_video, tmp_path):
    with pytest.raises(InputError, match="processes must be at least 1"):
        evaluate_dataset([chance()], [gaze_video()], tmp_path, workers=Workers(processes=0))
