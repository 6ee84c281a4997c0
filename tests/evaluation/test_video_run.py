import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch

from saliency.errors import InputError
from saliency.evaluation import scoring
from saliency.evaluation.baselines import OneVersusRest, chance
from saliency.evaluation.protocols import (
    CANONICAL,
    DHF1K,
    MSU,
    PROTOCOLS,
    TMFI,
    UNISAL,
    VINET,
    Protocol,
    protocol_named,
)
from saliency.evaluation.result import Result
from saliency.evaluation.scoring import prepare
from saliency.evaluation.settings import EvaluationSettings
from saliency.evaluation.shuffled import FixationPool
from saliency.evaluation.video_run import evaluate, evaluate_many, frames_to_score, oddities
from saliency.metrics.auc import auc_judd, auc_shuffled
from saliency.metrics.cc import cc
from saliency.metrics.kld import kld
from saliency.metrics.nss import nss
from saliency.metrics.sim import sim


@dataclasses.dataclass
class Blobs:
    """A made-up model: noise that depends on (video, frame), some frames replaced."""

    name: str = "blobs"
    size: tuple[int, int] = (36, 64)
    replace: dict[int, torch.Tensor] = dataclasses.field(default_factory=dict)
    given: list[int] | None = None

    def pred(self, video: str, frame: int) -> torch.Tensor:
        if frame in self.replace:
            return self.replace[frame]
        seed = torch.Generator().manual_seed(int(video) * 1000 + frame)
        return torch.rand(self.size, generator=seed)

    def maps(self, video, frames: Sequence[int]) -> Iterator[tuple[int, torch.Tensor]]:
        for frame in frames if self.given is None else self.given:
            yield frame, self.pred(video.id, frame)


def same(a: Result, b: Result) -> bool:
    """NaN-safe equality of the rows."""
    return len(a.rows) == len(b.rows) and all(
        (x.video, x.frame, dict(x.flags), x.truth) == (y.video, y.frame, dict(y.flags), y.truth)
        and all(x.scores[m] == y.scores[m] or (math.isnan(x.scores[m]) and math.isnan(y.scores[m])) for m in x.scores)
        for x, y in zip(a.rows, b.rows, strict=True)
    )


def test_scores_are_those_of_the_metrics(gaze_video):
    videos = [gaze_video("001"), gaze_video("002")]
    result = evaluate(Blobs(), videos, EvaluationSettings(dataset="toy"))
    pool = FixationPool(videos, frames_to_score(videos, CANONICAL), CANONICAL.shuffled, 0)
    row = result.rows[7]
    assert (row.video, row.frame) == ("002", 1)
    pred = Blobs().pred("002", 1)
    density, fixated = torch.from_numpy(videos[1].density(1)), torch.from_numpy(videos[1].fixations(1))
    others = [torch.from_numpy(pool.others(videos[1], 1, videos[1].fixations(1)))]
    expected = {
        "cc": cc(pred, density),
        "nss": nss(pred, fixated),
        "auc_judd": auc_judd(pred, fixated),
        "sim": sim(pred, density),
        "kld": kld(pred, density),
        "auc_shuffled": auc_shuffled(pred, fixated, others),
    }
    assert dict(row.scores) == {name: float(value) for name, value in expected.items()}


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_and_company_do_not_change_the_numbers(gaze_video, threads):
    videos = [gaze_video("001"), gaze_video("002", frames=9)]
    alone = evaluate(Blobs(), videos, threads=1)
    seen: list[tuple[int, int]] = []
    before = torch.get_num_threads()
    together = evaluate_many(
        [Blobs("a"), Blobs(), Blobs("c", (20, 30))],
        videos,
        threads=threads,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert torch.get_num_threads() == before
    assert same(alone, together[1])
    assert [row.frame for row in alone.rows] == [*range(6), *range(9)]
    assert seen == [(i, 15) for i in range(1, 16)]


def test_a_shard_gives_the_same_rows_with_the_pool_of_all_videos(gaze_video):
    videos = [gaze_video(f"{i:03d}") for i in range(1, 5)]
    whole = evaluate(Blobs(), videos, EvaluationSettings(every=2, seed=3))
    frames = frames_to_score(videos, CANONICAL, every=2, seed=3)
    pool = FixationPool(videos, frames, CANONICAL.shuffled, 3)
    part = evaluate(Blobs(), videos[2:3], EvaluationSettings(every=2, seed=3), pool=pool, frames=frames)
    assert same(dataclasses.replace(whole, rows=[r for r in whole.rows if r.video == "003"]), part)


@pytest.mark.parametrize("scheme", ["dhf1k", "video", "all"])
def test_fixations_are_read_once(gaze_video, scheme):
    videos = [Counting(gaze_video("001")), Counting(gaze_video("002", blank=(3,)))]
    settings = EvaluationSettings(protocol=CANONICAL.with_shuffled(scheme))
    result = evaluate(Blobs(), videos, settings, threads=1)  # type: ignore[arg-type]
    assert [sorted(video.read) for video in videos] == [[*range(6)], [*range(6)]]
    plain = evaluate(Blobs(), [gaze_video("001"), gaze_video("002", blank=(3,))], settings)
    assert same(result, plain)


class Counting:
    """A video that notes which of its fixation maps are read."""

    def __init__(self, inner: object) -> None:
        self.inner, self.read = inner, []

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def fixations(self, i: int) -> np.ndarray:
        self.read.append(i)
        return self.inner.fixations(i)


def test_a_map_that_stays_is_prepared_once(gaze_video, monkeypatch):
    prepared = []

    def counted(pred, size, protocol):
        prepared.append(size)
        return prepare(pred, size, protocol)

    monkeypatch.setattr(scoring, "prepare", counted)
    videos = [gaze_video("001"), gaze_video("002", size=(72, 64))]
    evaluate(chance(), videos, EvaluationSettings(), threads=1)
    assert prepared == [(36, 64), (72, 64)]
    evaluate(Blobs(), videos, EvaluationSettings(), threads=1)
    assert len(prepared) == 2 + 12


def test_viewers_are_scored_by_the_formulae_of_a_challenge_too(gaze_video):
    one = OneVersusRest(name="one", predict="rest")
    result = evaluate(one, [gaze_video()], EvaluationSettings(protocol=protocol_named("aim2024")))
    assert all(np.isfinite(list(row.scores.values())).all() for row in result.rows)


def test_seed_and_frame_decide_the_negatives(gaze_video):
    videos = [gaze_video(f"{i:03d}", frames=20) for i in range(1, 5)]
    frames = frames_to_score(videos, CANONICAL)
    fixated = videos[0].fixations(4)

    def drawn(seed: int, frame: int = 4) -> set[tuple[int, ...]]:
        pool = FixationPool(videos, frames, CANONICAL.shuffled, seed)
        return {tuple(point) for point in pool.others(videos[0], frame, fixated)}

    assert drawn(0) == drawn(0)
    assert drawn(0) != drawn(1)
    assert drawn(0) != drawn(0, frame=5)


def test_negatives_come_from_other_videos_only(gaze_video):
    videos = [gaze_video("001", observers=3), gaze_video("002", observers=3)]
    frames = frames_to_score(videos, CANONICAL)
    pool = FixationPool(videos, frames, CANONICAL.shuffled, 0)
    found = {tuple(p) for p in pool.others(videos[0], 0, videos[0].fixations(0))}
    all_of_002 = {tuple(p) for f in range(6) for p in np.argwhere(videos[1].fixations(f))}
    assert found == all_of_002  # 10 frames wanted, only these 6 are eligible


def test_schemes(gaze_video):
    videos = [gaze_video("001"), gaze_video("002")]
    frames = frames_to_score(videos, CANONICAL)
    fixated = videos[0].fixations(0)

    def others(protocol: Protocol) -> np.ndarray:
        return FixationPool(videos, frames, protocol.shuffled, 0).others(videos[0], 0, fixated)

    own = np.any([videos[0].fixations(f) for f in range(6)], axis=0) & ~fixated
    assert set(map(tuple, others(CANONICAL.with_shuffled("video")))) == set(map(tuple, np.argwhere(own)))
    count = sum(int(v.fixations(f).sum()) for v in videos for f in range(6)) - int(fixated.sum())
    assert len(others(CANONICAL.with_shuffled("all"))) == count
    assert len(others(UNISAL)) <= 10  # one frame of each of two videos, five observers each


def test_negatives_of_another_image_size_are_rescaled_and_stay_inside(gaze_video):
    videos = [gaze_video("001"), gaze_video("002", size=(72, 64))]
    frames = frames_to_score(videos, CANONICAL)
    pool = FixationPool(videos, frames, CANONICAL.shuffled, 0)
    found = pool.others(videos[0], 0, videos[0].fixations(0))
    expected = {(r // 2, c) for f in range(6) for r, c in np.argwhere(videos[1].fixations(f)).tolist()}
    assert set(map(tuple, found.tolist())) == expected


def test_single_video_has_no_shuffled_auc_unless_the_scheme_allows_it(gaze_video, caplog):
    result = evaluate(Blobs(), [gaze_video()])
    assert result.means()["auc_shuffled"] is None
    assert result.summary()["auc_shuffled"].n_unusable == 6
    assert "with_shuffled" in caplog.text
    own = evaluate(Blobs(), [gaze_video("002")], EvaluationSettings(protocol=CANONICAL.with_shuffled("video")))
    assert own.means()["auc_shuffled"] is not None
    assert own.protocol.name == "canonical+shuffled-video"


def test_counts_of_valid_unusable_and_bad_frames(gaze_video):
    video = gaze_video(blank=(2,))
    nan = torch.full((36, 64), float("nan"))
    result = evaluate(
        Blobs(replace={4: nan, 5: torch.ones(36, 64)}), [video, gaze_video("002")], EvaluationSettings(on_bad="count")
    )
    nss_summary = result.summary()["nss"]
    assert (nss_summary.n_total, nss_summary.n_valid) == (12, 9)
    assert (nss_summary.n_unusable, nss_summary.n_bad) == (1, 2)
    assert result.flag_counts() == {
        "no_fixations": 1,
        "no_density": 1,
        "bad_pred": 2,
        "constant_pred": 2,
        "resized_pred": 0,
        "outside_points": 0,
    }


def test_nan_prediction_raises_by_default(gaze_video):
    nan = torch.full((36, 64), float("inf"))
    with pytest.raises(InputError, match="blobs, video 001, frame 3: the prediction has NaN or infinite"):
        evaluate(Blobs(replace={3: nan}), [gaze_video()])


def test_frame_and_video_means(gaze_video):
    videos = [gaze_video("001", frames=2), gaze_video("002", frames=6, blank=(0, 1))]
    result = evaluate(Blobs(), videos)
    values = result.values("nss")
    first, second = values[:2].mean(), values[4:].mean()
    summary = result.summary()["nss"]
    assert summary.frame_mean == pytest.approx(values[~np.isnan(values)].mean())
    assert summary.video_mean == pytest.approx((first + second) / 2)
    assert summary.mean == summary.frame_mean
    assert result.per_video("nss") == {"001": pytest.approx(first), "002": pytest.approx(second)}
    assert (
        evaluate(Blobs(), videos, EvaluationSettings(protocol=MSU)).summary()["cc"].mean
        == evaluate(Blobs(), videos, EvaluationSettings(protocol=MSU)).summary()["cc"].video_mean
    )


@pytest.mark.parametrize(("rule", "expected"), [("skip", 0.5), ("zero", 0.25), ("poison", None), ("drop_frame", 0.5)])
def test_rules_for_undefined_values(gaze_video, rule, expected):
    video = gaze_video(frames=2, blank=(1,))
    half = torch.from_numpy(video.density(0))
    protocol = dataclasses.replace(VINET, blur=0.0, undefined=rule)
    result = evaluate(Blobs(replace={0: half, 1: half}), [video], EvaluationSettings(protocol=protocol))
    scale = result.values("sim")[0]
    assert scale == pytest.approx(1)
    mean = result.summary()["sim"].frame_mean
    assert mean == (None if expected is None else pytest.approx(2 * expected))


def test_drop_frame_takes_all_values_of_the_frame(gaze_video):
    video = gaze_video(frames=3)
    protocol = dataclasses.replace(VINET, blur=0.0, undefined="drop_frame")
    result = evaluate(
        Blobs(replace={1: torch.ones(36, 64)}), [video], EvaluationSettings(protocol=protocol)
    )  # constant: no CC, still a KLD
    assert not math.isnan(result.rows[1].scores["kld"])
    assert math.isnan(result.values("kld")[1])
    assert result.summary()["kld"].n_valid == 2


def test_constant_predictions_score_or_not(gaze_video):
    constant = Blobs(replace={i: torch.ones(36, 64) for i in range(6)})
    videos = [gaze_video("001"), gaze_video("002")]
    means = evaluate(constant, videos).means()
    assert (means["cc"], means["nss"], means["auc_shuffled"]) == (0.0, 0.0, 0.5)
    assert evaluate(constant, videos, EvaluationSettings(protocol=DHF1K)).means()["cc"] is None


def test_prepare_follows_the_protocol():
    pred = torch.rand(9, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(prepare(pred, (9, 16), CANONICAL), pred)
    bilinear = torch.nn.functional.interpolate(pred[None, None], (36, 64), mode="bilinear")[0, 0]
    assert torch.equal(prepare(pred, (36, 64), CANONICAL), bilinear)
    levels = prepare(pred, (9, 16), DHF1K)
    assert torch.equal(levels, levels.round())
    assert levels.aminmax() == (0, 255)
    blurred = prepare(pred, (36, 64), TMFI)
    assert blurred.std() < bilinear.std()
    assert float(blurred.mean()) == pytest.approx(float(bilinear.mean()), rel=0.02)
    boxed = prepare(pred, (72, 64), MSU)
    assert boxed.shape == (360, 640)
    assert not boxed[:, :160].any() and not boxed[:, 480:].any() and boxed[:, 160:480].min() > 0


def test_letterbox_keeps_fixations_on_the_map_they_were_on(gaze_video):
    video = gaze_video(size=(72, 64))
    own = Blobs(replace={i: torch.from_numpy(video.density(i)) for i in range(6)})
    means = evaluate(own, [video], EvaluationSettings(protocol=MSU)).means()
    assert means["cc"] == pytest.approx(1)
    assert means["auc_judd"] > 0.98


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
def test_saved_results_come_back(gaze_video, tmp_path, protocol):
    blank = (1,) if protocol.formulae == "house" else ()  # the other scorer takes no frame that nobody looked at
    result = evaluate(
        Blobs(),
        [gaze_video("001", blank=blank), gaze_video("002")],
        EvaluationSettings(protocol=protocol, dataset="toy"),
    )
    result.save(tmp_path)
    loaded = Result.load(tmp_path)
    assert same(loaded, result)
    assert (loaded.name, loaded.dataset, loaded.protocol) == ("blobs", "toy", protocol)
    assert loaded.summary() == result.summary()
    assert loaded.data_hash() == result.data_hash()
    assert loaded.metadata == result.metadata
    assert loaded.metadata["versions"]["numpy"] == np.__version__


def test_data_hash_tells_data_apart(gaze_video):
    a = evaluate(Blobs(), [gaze_video("001")])
    b = evaluate(Blobs(), [gaze_video("001", blank=(1,))])
    assert a.data_hash() != b.data_hash()
    assert a.data_hash() == evaluate(Blobs("other"), [gaze_video("001")]).data_hash()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "summary.json").unlink(), "holds no evaluation result"),
        (lambda folder: (folder / "summary.json").write_text("{"), "is not an evaluation result"),
        (lambda folder: (folder / "frames.csv").unlink(), "frames.csv is missing"),
        (lambda folder: (folder / "frames.csv").write_text("video,frame\n"), "has no column"),
        (
            lambda folder: (folder / "frames.csv").write_text(
                "".join((folder / "frames.csv").read_text().splitlines(keepends=True)[:-2])
            ),
            "says frames 6, frames.csv gives 4",
        ),
    ],
)
def test_damaged_results_are_refused(gaze_video, tmp_path, damage, message):
    evaluate(Blobs(), [gaze_video()]).save(tmp_path)
    damage(tmp_path)
    with pytest.raises(InputError, match=message) as error:
        Result.load(tmp_path)
    assert "\n" not in str(error.value)


def test_predictors_must_give_the_frames_they_are_asked_for(gaze_video):
    with pytest.raises(InputError, match="blobs, video 001: gave nothing where frame 3 was due"):
        evaluate(Blobs(given=[0, 1, 2]), [gaze_video()])
    with pytest.raises(InputError, match="gave frame 2 where frame 1 was due"):
        evaluate(Blobs(given=[0, 2]), [gaze_video()])


def test_a_prediction_is_one_map(gaze_video):
    with pytest.raises(InputError, match=r"the prediction is \(3, 36, 64\), expected one"):
        evaluate(Blobs(replace={0: torch.rand(3, 36, 64)}), [gaze_video()])


@dataclasses.dataclass(frozen=True, slots=True)
class Wrong:
    """A video whose ground truth is odd in one way."""

    inner: object
    shape: tuple[int, int] = (36, 64)
    value: float = 1.0

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def density(self, i: int) -> np.ndarray:
        return np.full(self.shape, self.value, np.float32)


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        ({"shape": (36, 60)}, r"video 001, frame 0: the density map is \(36, 60\), the video \(36, 64\)"),
        ({"value": -1.0}, "the density map has negative or non-finite values"),
        ({"value": float("nan")}, "the density map has negative or non-finite values"),
    ],
)
def test_odd_ground_truth_is_refused(gaze_video, odd, message):
    with pytest.raises(InputError, match=message):
        evaluate(Blobs(), [Wrong(gaze_video(), **odd)])  # type: ignore[list-item]


def test_nothing_to_evaluate(gaze_video):
    video = gaze_video()
    with pytest.raises(InputError, match="nothing to evaluate"):
        evaluate_many([], [video])
    with pytest.raises(InputError, match="two predictors are called 'blobs'"):
        evaluate_many([Blobs(), Blobs()], [video])
    with pytest.raises(InputError, match="has no ground truth"):
        evaluate(Blobs(), [dataclasses.replace(video, annotated=False)])
    with pytest.raises(InputError, match="every must be at least 1"):
        evaluate(Blobs(), [video], EvaluationSettings(every=0))
    with pytest.raises(InputError, match="same id"):
        evaluate(Blobs(), [video, video])


def test_frame_subset_is_drawn_by_the_seed(gaze_video):
    videos = [gaze_video("001", frames=30), gaze_video("002", frames=30)]
    capped = dataclasses.replace(CANONICAL, max_frames=20)
    frames = frames_to_score(videos, capped, seed=1)
    assert sum(map(len, frames.values())) == 20
    assert all(own == sorted(set(own)) for own in frames.values())
    assert frames == frames_to_score(videos[::-1], capped, seed=1)
    assert frames != frames_to_score(videos, capped, seed=2)


def test_protocols_by_name():
    assert protocol_named("dhf1k") is DHF1K
    with pytest.raises(InputError, match="no protocol 'canonicl'; did you mean 'canonical'"):
        protocol_named("canonicl")
    with pytest.raises(InputError, match="unknown metric 'ccc'"):
        Protocol(name="x", metrics=("ccc",), shuffled=None)
    with pytest.raises(InputError, match="has no shuffled AUC"):
        VINET.with_shuffled("video")


def test_gaze_outside_the_picture_is_counted(mini_like):
    gaze = mini_like[0].gaze
    gaze.write_text(gaze.read_text() + "9,1,70.0,20.0\n9,2,10.0,-1.0\n")
    result = evaluate(chance(), mini_like)
    assert [row.flags["outside_points"] for row in result.rows] == [0, 1, 1, 0, 0, 0, 0]
    assert "2 gaze points outside the image" in oddities(result)
