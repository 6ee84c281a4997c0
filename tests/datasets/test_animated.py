"""Photographs in motion: a fixation stays on its pixel under every motion, and the eyes are late after a cut."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from saliency.config.load import load_run
from saliency.data.motions import MOTIONS, Motion, Pose, cover
from saliency.data.video import VideoSamples
from saliency.datasets.animated import Animated, AnimatedVideo
from saliency.datasets.stills import Stills
from saliency.errors import InputError
from saliency.training.seeds import train_seeds
from saliency.types import InputSpec
from tests.datasets.test_stills import make_set, write_csv

SIZE = (120, 160)
SPOT = 8
"""Side in pixels of the white square on each black photograph; everybody looks at its middle."""


@pytest.fixture(scope="module")
def stills(tmp_path_factory: pytest.TempPathFactory) -> Stills:
    root = tmp_path_factory.mktemp("spots")
    (root / "images").mkdir()
    names = [f"{i}.png" for i in range(4)]
    x, y = np.array([150.0, 90, 200, 160]), np.array([110.0, 130, 90, 150])  # upper left pixels, of 320x240
    for name, left, top in zip(names, x.astype(int), y.astype(int), strict=True):
        pixels = np.zeros((240, 320, 3), dtype=np.uint8)
        pixels[top : top + SPOT, left : left + SPOT] = 255
        Image.fromarray(pixels).save(root / "images" / name)
    write_csv(root / "images.csv", ("image", "width", "height"), [(name, 320, 240) for name in names])
    write_csv(root / "split.csv", ("image", "split"), [(name, "val") for name in names])
    image, each = np.repeat(np.arange(4), 3), np.zeros(12, dtype=np.int16)
    np.savez(
        root / "fixations.npz",
        images=np.array(names), image=image, viewer=np.tile(np.arange(3), 4), order=each,
        x=np.float32(x[image] + SPOT / 2 - 0.5), y=np.float32(y[image] + SPOT / 2 - 0.5), duration_ms=each + 200,
    )  # fmt: skip
    return Stills(name="spots", root=root, sigma=0.02)


def videos(stills: Stills, *motions: Motion, **settings: object) -> list[AnimatedVideo]:
    chosen: dict = {"size": SIZE, "frames": 9, "cuts": 0.0, **settings}
    made = Animated(sources=(stills,), motions=motions, **chosen).videos("val")
    return [video for video in made if isinstance(video, AnimatedVideo)]


def middle(frame: np.ndarray) -> np.ndarray:
    """Return x, y of the middle of what is bright."""
    weights = frame.mean(axis=2)
    rows, columns = np.indices(weights.shape) + 0.5
    return np.array([(weights * columns).sum(), (weights * rows).sum()]) / weights.sum()


@pytest.mark.parametrize("motion", [motion for motion in MOTIONS if motion != "object"])
def test_a_fixation_stays_on_its_pixel(stills: Stills, motion: Motion) -> None:
    ways = []
    for video in videos(stills, motion):
        with video.open() as source:
            frames = source.read(range(len(source)))
        points = np.stack([video.points(i)[0] for i in range(len(frames))])
        inside = ((points > SPOT) & (points < np.array(SIZE[::-1]) - SPOT)).all(axis=1)  # wholly in the picture
        assert inside.any()
        found = np.stack([middle(frame) for frame in frames[inside]])
        assert np.abs(found - points[inside]).max() < 0.25
        ways.append(np.abs(points - points[0]).max())
    assert (max(ways) > 1.0) == (motion != "still")


def test_a_moving_thing_draws_its_share_of_the_gaze_after_the_delay(stills: Stills) -> None:
    video = videos(stills, "object", follow=1.0, fps=10, delay=0.2)[0]
    thing = video.shots[0].thing
    assert thing is not None and video.delay == 2
    assert np.abs(video.points(1) - video.points(0)).max() == 0  # the photograph itself stands still
    for i in (2, 8):
        away = np.linalg.norm(video.points(i) - thing.centres[i], axis=1)
        assert away.max() < thing.radius
        x, y = np.floor(video.points(i)[0]).astype(int)
        assert tuple(video.frame(i)[y, x]) in thing.colours


def test_after_a_cut_the_eyes_stay_on_the_screen_for_the_delay(stills: Stills) -> None:
    video = videos(stills, "still", cuts=1.0, frames=10, fps=10, delay=0.2)[0]
    first, second = (shot.points(0, SIZE, 0) for shot in video.shots)
    assert not np.allclose(first, second)
    for i in range(10):
        np.testing.assert_array_equal(video.points(i), first if i < 5 + 2 else second)
    assert np.abs(video.frame(4).astype(int) - video.frame(5)).max() > 200  # the picture changes at once


def test_density_and_fixations_follow_the_points_and_the_zoom(stills: Stills) -> None:
    video = videos(stills, "zoom")[0]
    for i in (0, 8):
        peak = np.array(np.unravel_index(video.density(i).argmax(), SIZE))[::-1]
        assert np.abs(peak + 0.5 - video.points(i)[0]).max() <= 0.5
        assert video.fixations(i)[peak[1], peak[0]]
    # the density is 0.02 * 320 pixels wide on the photograph, half of that on a frame half as wide, times the zoom
    assert video.shots[0].sigma(8, SIZE) == pytest.approx(3.2 * video.shots[0].poses[8].zoom)


def test_the_same_settings_make_the_same_frames_and_another_seed_others(stills: Stills) -> None:
    once, again = (videos(stills, "shake", "pan")[1] for _ in range(2))
    np.testing.assert_array_equal(once.frame(5), again.frame(5))
    assert not np.array_equal(once.points(5), videos(stills, "shake", "pan", seed=1)[1].points(5))


def test_a_pose_by_hand() -> None:
    pose = Pose(centre=(10, 10), zoom=2, angle=np.pi / 2, slide=4, height=20)
    # (10, 20) slides by 4 to (14, 20), lies (4, 10) from the centre, turned (-10, 4), doubled (-20, 8)
    np.testing.assert_allclose(pose.move(np.array([[10.0, 20.0]]), (40, 60)), [[30 - 20, 20 + 8]])


def test_a_picture_is_covered_in_its_own_shape() -> None:
    assert cover(np.zeros((256, 256, 3), np.uint8), (120, 160)).shape == (160, 160, 3)
    assert cover(np.zeros((100, 400, 3), np.uint8), (120, 160)).shape == (120, 480, 3)


def test_training_takes_them_as_any_videos(stills: Stills) -> None:
    made = Animated(sources=(stills,), size=SIZE, frames=8).videos("val")
    samples = VideoSamples(made, {"a": InputSpec(length=4, size=(24, 32))}, (24, 32))
    batch = samples.prepare([samples[(0, 0, i)] for i in range(len(samples))], "cpu")
    assert batch.inputs["a"].shape == (4, 3, 4, 24, 32)
    assert bool(batch.target.fixations.any(dim=(1, 2)).all())


def test_what_cannot_be_is_refused_in_one_line(stills: Stills) -> None:
    with pytest.raises(InputError, match=r"'pam' is no motion.*did you mean 'pan'"):
        Animated(motions=("pam",))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="cuts and follow"):
        Animated(cuts=2)
    with pytest.raises(IndexError, match="outside video"):
        videos(replace(stills), "still")[0].points(99)
    assert Path(videos(stills, "still")[0].sources()[0]).is_file()


def test_the_config_that_teaches_between_kinds_trains_on_them(tmp_path: Path) -> None:
    run: Any = load_run("real_gaze_teaching")
    own = Stills(name="own", root=make_set(tmp_path / "own"), sigma=0.1)
    run = replace(
        run,
        data=replace(run.data, source=replace(run.data.source, sources=(own,), frames=8)),
        stages=tuple(replace(stage, epochs=1) for stage in run.stages),
        train=replace(run.train, batch_size=4, ema=0.0),
        report=None,
    )
    train_seeds(run, tmp_path / "run")
    written = {f"{stage}/{name}" for stage in ("scratch", "control", "bi_kd") for name in ("appearance", "motion")}
    assert all((tmp_path / "run" / f"{name}.safetensors").is_file() for name in written)
    control, taught = (load_file(tmp_path / "run" / stage / "motion.safetensors") for stage in ("control", "bi_kd"))
    assert any(not torch.equal(control[name], taught[name]) for name in control)
