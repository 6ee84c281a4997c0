import logging
from dataclasses import dataclass

import pytest
import torch

from saliency.data.trained_on import KEY, checksums, seen_in_training, trained_on, video_sha256
from saliency.data.video import VideoSamples
from saliency.evaluation.dataset_run import evaluate_dataset
from saliency.evaluation.map_source import FixedMap
from saliency.io.weights import file_sha256
from saliency.types import InputSpec


def test_checksums_of_files_and_folders(tmp_path, write_frames):
    (tmp_path / "a.avi").write_bytes(b"film")
    assert video_sha256(tmp_path / "a.avi") == file_sha256(tmp_path / "a.avi")
    write_frames(tmp_path / "one", ["1", "2"])
    write_frames(tmp_path / "same", ["01", "02"])
    write_frames(tmp_path / "other", ["1", "2", "3"])
    assert video_sha256(tmp_path / "one") == video_sha256(tmp_path / "same") != video_sha256(tmp_path / "other")
    assert video_sha256(tmp_path / "none") == ""


def test_what_samples_are_drawn_from(dot_videos):
    videos = dot_videos(3, 5)
    samples = VideoSamples(videos, {"a": InputSpec(length=2, size=(32, 32))}, (12, 16))
    assert checksums(samples) == tuple(sorted(file_sha256(video.path) for video in videos))
    assert checksums(object()) == ()


@pytest.mark.parametrize("text", ["", "{", "5", "null"])
def test_metadata_that_says_nothing(text):
    assert trained_on({KEY: text}) == trained_on({}) == frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained(FixedMap):
    trained_on: frozenset[str] = frozenset()


def test_scores_on_training_videos_are_named(dot_videos, tmp_path, caplog):
    videos = dot_videos(3, 4, 5)
    known = frozenset({video_sha256(videos[1].path), "another"})
    assert seen_in_training(videos, known) == ["001"] and seen_in_training(videos, frozenset()) == []
    with caplog.at_level(logging.WARNING):
        evaluate_dataset([Trained(name="fresh", map=torch.rand(6, 8))], videos, tmp_path / "a")
        assert "trained on" not in caplog.text
        evaluate_dataset([Trained(name="mine", map=torch.rand(6, 8), trained_on=known)], videos, tmp_path / "b")
    assert "mine was trained on 1 of the 3 videos it is scored on (001): its scores say nothing of new" in caplog.text
