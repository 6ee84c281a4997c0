import numpy as np
import pytest
import torch
from PIL import Image

from saliency.datasets.ade20k import ADE20K, PUBLISHED_AUGMENTATION
from saliency.errors import InputError
from saliency.types import IGNORED, InputSpec

VIEWS = {"a": InputSpec(length=1, size=(64, 64))}


@pytest.fixture
def root(tmp_path):
    random = np.random.default_rng(0)
    for folder, prefix, count in (("training", "ADE_train", 3), ("validation", "ADE_val", 2)):
        for kind in ("images", "annotations"):
            (tmp_path / kind / folder).mkdir(parents=True)
        for i in range(1, count + 1):
            pixels = random.integers(0, 255, (70, 90, 3), dtype=np.uint8)
            labels = np.repeat(np.arange(7, dtype=np.uint8), 10)[:, None].repeat(90, 1)
            labels[labels == 6] = 150
            mode = "L" if i == 2 else "RGB"  # some of the real images are grey
            Image.fromarray(pixels).convert(mode).save(tmp_path / "images" / folder / f"{prefix}_{i:08d}.jpg")
            Image.fromarray(labels).save(tmp_path / "annotations" / folder / f"{prefix}_{i:08d}.png")
    return tmp_path


def test_reads_the_official_layout(root):
    data = ADE20K(root=root, size=(64, 64))
    images = data.images("train")
    assert len(images) == 3 and len(data.images("val")) == 2
    assert images.name(0) == "ADE_train_00000001"
    image, labels = images.read(1)
    assert image.shape == (70, 90, 3) and image.dtype == np.uint8
    assert labels[::10, 0].tolist() == [IGNORED, 0, 1, 2, 3, 4, 149]
    assert len(ADE20K(root=root, limit=1).images("train")) == 1


def test_makes_batches(root):
    data = ADE20K(root=root, size=(64, 64), augmentation=PUBLISHED_AUGMENTATION)
    training, validation = data.training(VIEWS), data.validation(VIEWS)
    batch = training.prepare([training[(0, 0, i)] for i in range(3)], torch.device("cpu"))
    assert batch.inputs["a"].shape == (3, 3, 64, 64)
    batch = validation.prepare([validation[0]], torch.device("cpu"))
    assert batch.inputs["a"].shape == (1, 3, 64, 96)  # 70x90 -> 64x82, padded
    assert batch.target.labels.shape == (1, 70, 90)
    assert batch.target.classes.tolist() == [[0, 1, 2, 3, 4, 149]]


def test_missing_folders_name_the_expected_tree(tmp_path):
    with pytest.raises(InputError, match=r"images/training is missing.*\{images,annotations\}/\{training,validation\}"):
        ADE20K(root=tmp_path).training(VIEWS)


def test_missing_files_are_named(root):
    (root / "annotations" / "training" / "ADE_train_00000002.png").unlink()
    with pytest.raises(InputError, match=r"lacks 1 of 3 files, e.g. ADE_train_00000002.png"):
        ADE20K(root=root).images("train")
    for path in (root / "images" / "validation").iterdir():
        path.unlink()
    with pytest.raises(InputError, match=r"holds no \.jpg files"):
        ADE20K(root=root).images("val")


def test_bad_files_are_named(root):
    path = root / "annotations" / "training" / "ADE_train_00000001.png"
    data = ADE20K(root=root).images("train")
    Image.fromarray(np.full((70, 90), 151, np.uint8)).save(path)
    with pytest.raises(InputError, match=r"ADE_train_00000001.png is no 8-bit annotation"):
        data.read(0)
    Image.fromarray(np.zeros((70, 91), np.uint8)).save(path)
    with pytest.raises(InputError, match=r"has size \(70, 91\)"):
        data.read(0)
    (root / "images" / "training" / "ADE_train_00000001.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"cannot read .*ADE_train_00000001.jpg"):
        data.read(0)


def test_a_damaged_image_is_replaced_in_training_and_fatal_in_validation(root):
    data = ADE20K(root=root, size=(64, 64))
    training, validation = data.training(VIEWS), data.validation(VIEWS)
    for path in (root / "images").rglob("*_00000001.jpg"):
        path.write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"cannot read .*ADE_val_00000001.jpg"):
        validation[0]
    batch = training.prepare([training[(0, 0, i)] for i in range(3)], torch.device("cpu"))
    assert len(batch.ids) == 3 and "ADE_train_00000001" not in batch.ids
    assert list(training.quarantine.reasons) == ["ADE_train_00000001"]
    (root / "annotations" / "training" / "ADE_train_00000002.png").unlink()
    with pytest.raises(InputError, match="2 images cannot be used, more than the limit of 1"):
        training.prepare([training[(0, 0, i)] for i in range(3)], torch.device("cpu"))
