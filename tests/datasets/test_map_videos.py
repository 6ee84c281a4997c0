"""CrowdSAL, AViMoS and NTIRE 2026 in tiny trees of their layouts: read, scored, trained on, submitted."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from saliency.datasets.avimos import AViMoS
from saliency.datasets.crowdsal import CrowdSAL
from saliency.errors import InputError
from saliency.evaluation.baselines import FixedMap, MapFolder
from saliency.evaluation.protocols import protocol_named
from saliency.evaluation.settings import EvaluationSettings
from saliency.evaluation.video_run import evaluate
from saliency.evaluation.video_submission import check_videos, submit_videos
from saliency.io.video_writer import VideoWriter
from saliency.metrics.aim import stretched
from tests.metrics.test_aim import restated

SIZE, FRAMES = (36, 64), 10
POINTS = [[[i, 2 * i], [i, 2 * i], [10, 20]] for i in range(FRAMES)]


def film(path: Path, size=SIZE, frames=FRAMES) -> None:
    """Frame i has a bright square whose corner is at (i, 2 i) of 36x64."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, 30, size, crf=0) as writer:
        for i in range(frames):
            frame = np.full((*size, 3), 16, np.uint8)
            row, column = i * size[0] // 36, 2 * i * size[1] // 64
            frame[row : row + size[0] // 4, column : column + size[1] // 4] = 235
            writer.write(frame)


def annotation(path: Path, points=POINTS) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(points))


@pytest.fixture
def crowdsal(tmp_path):
    for part, names in (("Train", ("0001", "0002", "0003")), ("Test", ("3001", "3002"))):
        for name in names:
            film(tmp_path / part / "Videos" / f"{name}.mp4", (72, 128))
            film(tmp_path / part / "Saliency" / f"{name}.mp4")
            annotation(tmp_path / part / "Fixations" / f"{name}.json")
    return CrowdSAL(root=tmp_path, held_out=1)


@pytest.fixture
def avimos(tmp_path):
    split = {"train": ["a.mp4", "b"], "public_test": ["c.mp4"], "private_test": ["d"]}  # with and without an ending
    (tmp_path / "TrainTestSplit.json").write_text(json.dumps(split))
    for name, part in (("a", "Train"), ("b", "Train"), ("c", "Test")):
        film(tmp_path / f"Saliency{part}" / part / f"{name}.mp4")
        annotation(tmp_path / f"Fixations{part}" / part / name / "fixations.json")
    for name in "abcd":
        film(tmp_path / "Videos" / f"{name}.mp4")
    return AViMoS(root=tmp_path, year=2026, held_out=1)


def test_splits_and_frames(crowdsal):
    train, val, test = (crowdsal.videos(split) for split in ("train", "val", "test"))
    assert {v.id for v in train} | {v.id for v in val} == {"0001", "0002", "0003"} and len(val) == 1
    assert [v.id for v in test] == ["3001", "3002"]
    video = test[0]
    assert (video.num_frames, video.size) == (FRAMES, SIZE)  # of the maps; frames are twice as large
    with video.open() as source:
        assert source.size == (72, 128)
    for i in (9, 0, 5):
        density = video.density(i)
        assert density.dtype == np.float32 and density.shape == SIZE
        assert density[i + 3, 2 * i + 6] > 0.9 and density[-1, -1] < 0.1
        assert video.repeated_points(i).tolist() == POINTS[i]
        assert video.fixations(i).sum() == (2 if [i, 2 * i] != [10, 20] else 1)


def test_names_with_and_without_endings(avimos):
    assert {v.id for split in ("train", "val") for v in avimos.videos(split)} == {"a", "b"}
    assert [v.id for v in avimos.videos("public_test")] == ["c"]
    assert [(v.id, v.annotated) for v in avimos.videos("private_test")] == [("d", False)]
    with pytest.raises(InputError, match="has no ground truth"):
        avimos.videos("private_test")[0].density(0)


def test_scored_as_the_public_scorer_does(avimos):
    (video,) = avimos.videos("public_test")
    pred = torch.rand(9, 16, generator=torch.Generator().manual_seed(0))
    settings = EvaluationSettings(protocol=protocol_named("ntire2026"), dataset="ntire2026")
    result = evaluate(FixedMap(name="m", map=pred), [video], settings)
    small = stretched(pred)
    large = torch.nn.functional.interpolate(small[None, None], SIZE, mode="bilinear", align_corners=False)[0, 0].numpy()
    for row in result.rows:
        # the restatement stretches its prediction; this one was stretched before it was resized, and is not again
        want = restated(large, video.density(row.frame), np.array(POINTS[row.frame]))
        assert row.scores["auc_judd"] == pytest.approx(want["auc_judd"], rel=1e-6)  # ranks only
        assert row.scores["cc"] == pytest.approx(want["cc"], rel=1e-5)  # but for the scale of its constant
        assert row.scores["nss"] == pytest.approx(want["nss"], rel=1e-5)
        g = stretched(torch.from_numpy(video.density(row.frame))).numpy()
        sim = np.minimum(large / (large.sum() + 1e-7), g / (g.sum() + 1e-7)).sum()
        assert row.scores["sim"] == pytest.approx(sim, rel=1e-6)
    assert result.means().keys() == {"cc", "nss", "auc_judd", "sim"}


def test_a_submission_is_written_checked_and_scored(crowdsal, tmp_path):
    videos = crowdsal.videos("test")
    ramp = FixedMap(name="ramp", map=torch.linspace(0, 1, 16).expand(9, 16))
    written = submit_videos(ramp, videos, tmp_path / "out")
    assert (written.maps, written.videos) == (2 * FRAMES, 2)
    maps = dict(MapFolder(name="read", root=written.folder).maps(videos[0], range(FRAMES)))
    want = stretched(torch.linspace(0, 1, 16).expand(1, 9, 16))
    want = torch.nn.functional.interpolate(want[None], SIZE, mode="bilinear", align_corners=False)[0, 0] * 255
    assert (maps[4] - want).abs().max() <= 3
    films = sorted(written.folder.iterdir())
    before = films[0].stat().st_mtime_ns
    films[1].unlink()
    with pytest.raises(InputError, match=r"3002.mp4 is missing; write it again"):
        check_videos(written.folder, videos)
    submit_videos(ramp, videos, tmp_path / "out")
    assert films[0].stat().st_mtime_ns == before and films[1].is_file()  # only what was missing
    film(films[0], frames=FRAMES - 1)
    with pytest.raises(InputError, match=r"3001.mp4 has 9 frames, the video 10"):
        check_videos(written.folder, videos)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (POINTS[:-1], "has fixations of 9 frames, video 3001 has 10"),
        ([[[20, 40, 1]]] * FRAMES, r"frame 0 is no list of whole \[row, column\]"),
        ([[[20, 40.5]]] * FRAMES, r"frame 0 is no list of whole \[row, column\]"),
        ([[[40, 20]]] * FRAMES, r"frame 0 has a fixation outside the map of 36x64 \(HxW\), \[40, 20\]"),
        ({"0": []}, "holds dict, expected a list"),
    ],
)
def test_wrong_annotations_are_named(crowdsal, points, message):
    annotation(crowdsal.folder() / "Test" / "Fixations" / "3001.json", points)
    with pytest.raises(InputError, match=message):
        crowdsal.videos("test")[0].fixations(0)


def test_a_frame_nobody_looked_at_cannot_be_scored_by_this_scorer(crowdsal):
    annotation(crowdsal.folder() / "Test" / "Fixations" / "3001.json", [[], *POINTS[1:]])
    settings = EvaluationSettings(protocol=protocol_named("crowdsal"), dataset="crowdsal")
    with pytest.raises(InputError, match="video 3001, frame 0: has no fixations"):
        evaluate(FixedMap(name="m", map=torch.rand(9, 16)), crowdsal.videos("test"), settings)


def test_half_an_annotation_or_another_length_is_refused(crowdsal):
    root = crowdsal.folder() / "Test"
    film(root / "Videos" / "3002.mp4", (72, 128), frames=8)
    with pytest.raises(InputError, match="8 frames can be decoded but video 3002 has 10 maps"):
        crowdsal.videos("test")[1].open()
    (root / "Fixations" / "3002.json").unlink()
    with pytest.raises(InputError, match=r"3002.json is missing beside .*3002.mp4"):
        crowdsal.videos("test")
