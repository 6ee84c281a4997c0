"""What the project draws to try things with is what its own readers take."""

import numpy as np

import saliency
from saliency.datasets.folder import Folder
from saliency.serve.example import write_example, write_study


def test_an_example_is_a_video(tmp_path):
    write_example(tmp_path / "a.mp4", frames=4, size=(36, 64))
    with saliency.open_video(tmp_path / "a.mp4") as video:
        assert (len(video), video.size) == (4, (36, 64))


def test_a_study_has_videos_and_looks_inside_of_them(tmp_path):
    write_study(tmp_path, videos=2, frames=6, size=(36, 64))
    videos = Folder(root=tmp_path).videos("test")
    assert [(video.id, video.num_frames, video.size) for video in videos] == [
        ("scene_1", 6, (36, 64)),
        ("scene_2", 6, (36, 64)),
    ]
    first, second = (video.observers() for video in videos)
    assert first.shape == (17, 6, 2) and np.isfinite(first).all(axis=2).mean() > 0.5
    assert not np.array_equal(first, second, equal_nan=True)
    assert videos[0].points_outside(3) == 0
