"""Baselines for photographs: what stands out of a spectrum, and what viewers know of one another."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saliency.datasets.stills import Stills
from saliency.errors import InputError
from saliency.evaluation.spectral_residual import SpectralResidual
from saliency.evaluation.still_viewers import StillViewers
from saliency.types import InputSpec


def test_an_odd_one_out_stands_out() -> None:
    frame = np.zeros((120, 160, 3), np.uint8)
    frame[10::20, 10::20] = 255  # a grid of dots
    frame[60:80, 100:120] = 200  # and one square
    found = SpectralResidual().map(frame)
    assert found.shape == (48, 64) and found.min() >= 0
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert 20 <= row <= 36 and 36 <= column <= 52  # the square spans 24..32, 40..48


@pytest.fixture
def stills(tmp_path: Path) -> Stills:
    """One photograph; viewers 0 and 1 look left, viewers 2 and 3 right, each twice at one place."""
    (tmp_path / "images").mkdir()
    Image.new("RGB", (64, 48)).save(tmp_path / "images/a.png")
    (tmp_path / "images.csv").write_text("image,width,height\na.png,64,48\n")
    (tmp_path / "split.csv").write_text("image,split\na.png,val\n")
    viewer = np.repeat(np.arange(4), 2)
    x = np.where(viewer < 2, 10, 50) + viewer
    np.savez(
        tmp_path / "fixations.npz", images=np.array(["a.png"]), image=np.zeros(8, int), viewer=viewer,
        order=np.tile([0, 1], 4), x=x.astype(np.float32), y=np.full(8, 20, np.float32), duration_ms=np.ones(8),
    )  # fmt: skip
    return Stills(name="own", root=tmp_path)


@pytest.mark.parametrize(("predict", "seen"), [("one", 3), ("half", 2)])
def test_those_who_predict_are_not_predicted(stills: Stills, predict: str, seen: int) -> None:
    (video,) = stills.videos("val")
    viewers = StillViewers(name="viewers", predict=predict)  # pyright: ignore[reportArgumentType]
    (frame, density), *_ = viewers.maps(video, [0])
    truth, fixated, outside = viewers.truth(video, 0)
    assert (frame, outside, int(fixated.sum())) == (0, 0, seen)  # a viewer's two fixations are on one pixel
    peak = np.unravel_index(density.numpy().argmax(), density.shape)
    assert not fixated[peak] or predict == "half"
    assert {10, 11, 52, 53} >= set(np.argwhere(fixated)[:, 1].tolist())
    assert truth[fixated].min() > 0.5


def test_viewers_of_a_video_are_another_matter() -> None:
    from saliency.data.video import AnnotatedVideo

    class Other(AnnotatedVideo):
        def density(self, i: int) -> np.ndarray:
            raise NotImplementedError

        def fixations(self, i: int) -> np.ndarray:
            raise NotImplementedError

    video = Other(id="7", path=Path("7.mp4"), num_frames=1, size=(4, 4))
    with pytest.raises(InputError, match="video 7 is no photograph"):
        next(StillViewers(name="viewers").maps(video, [0]))


def test_a_clip_in_the_videos_own_shape() -> None:
    spec = InputSpec(size=(240, 320), keep_shape=True)
    assert spec.fitted((100, 100)).size == (272, 272)  # sqrt(240 * 320) = 277, to 17 * 16
    assert spec.fitted((100, 1000)).size == spec.fitted((100, 300)).size == (160, 480)
    assert InputSpec(size=(240, 320)).fitted((100, 100)).size == (240, 320)
