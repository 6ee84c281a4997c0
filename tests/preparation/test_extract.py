import numpy as np
import pytest
from PIL import Image

from saliency.datasets.dhf1k import DHF1K
from saliency.errors import InputError
from saliency.gaze.recording import density_map, fixation_map
from saliency.preparation.extract import extract_frames, write_ground_truth


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_extracted_frames_are_the_decoded_ones(dhf1k_tree, suffix):
    root = dhf1k_tree({1: 6})
    video = DHF1K(root=root, splits={"a": "1"}, register=False).videos("a")[0]
    folder = root / "annotation/0001/images"
    assert extract_frames(video, folder, suffix=suffix)
    assert [p.name for p in sorted(folder.iterdir())] == [f"{i:04d}{suffix}" for i in range(1, 7)]
    with video.open() as source:
        for i, frame in enumerate(source.iterate()):
            difference = np.abs(np.asarray(Image.open(folder / f"{i + 1:04d}{suffix}")).astype(int) - frame)
            assert difference.max() <= (0 if suffix == ".png" else 2)
    assert not extract_frames(video, folder, suffix=suffix)
    (folder / "0001.txt").write_text("x")
    with pytest.raises(InputError, match="holds other files"):
        extract_frames(video, folder, suffix=suffix)


def test_a_failed_extraction_leaves_nothing(dhf1k_tree):
    root = dhf1k_tree({1: 6})
    video = DHF1K(root=root, splits={"a": "1"}, register=False).videos("a")[0]
    video.path.write_bytes(video.path.read_bytes()[:2000])
    with pytest.raises(InputError):
        extract_frames(video, root / "annotation/0001/images")
    assert sorted(p.name for p in (root / "annotation/0001").iterdir()) == ["fixation", "maps"]


def test_ground_truth_from_gaze_is_read_back(dhf1k_tree, tmp_path):
    root = dhf1k_tree({1: 3}, hidden=(1,))
    rng = np.random.default_rng(0)
    observers = rng.uniform((0, 0), (64, 48), (5, 3, 2)).astype(np.float32)
    observers[1, 2] = np.nan
    write_ground_truth(observers, (48, 64), 3.0, root / "annotation/0001")
    for kind in ("png", "mat"):
        video = DHF1K(root=root, splits={"a": "1"}, register=False, fixations=kind).videos("a")[0]
        for i in range(3):
            assert (video.fixations(i) == fixation_map(observers[:, i], (48, 64))).all()
            assert np.abs(video.density(i) - density_map(observers[:, i], (48, 64), 3.0)).max() < 1 / 255
    with pytest.raises(InputError, match="is there already"):
        write_ground_truth(observers, (48, 64), 3.0, root / "annotation/0001")
