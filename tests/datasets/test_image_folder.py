import numpy as np
import pytest
import torch
from PIL import Image

from saliency.datasets.image_folder import Augmentation, ImageFolder, centre, draw
from saliency.errors import InputError
from saliency.types import ImageSpec, InputSpec

VIEWS = {
    "a": ImageSpec(size=(32, 32)),
    "b": ImageSpec(size=(28, 28), crop=0.9, interpolation="bicubic", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    "c": ImageSpec(size=(32, 32), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
}


@pytest.fixture
def root(tmp_path):
    random = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2)):
        for name in ("cat", "dog", "ant"):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = random.integers(0, 256, (40 + 10 * i, 60, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return tmp_path


def batch(samples, keys):
    return samples.prepare([samples[key] for key in keys], torch.device("cpu"))


def test_every_learner_gets_its_own_view_of_the_same_images(root):
    samples = ImageFolder(root=root).training(VIEWS)
    assert len(samples) == 12
    made = batch(samples, [(0, 0, i) for i in (0, 5, 11)])
    assert {name: tuple(x.shape) for name, x in made.inputs.items()} == {
        "a": (3, 3, 32, 32),
        "b": (3, 3, 28, 28),
        "c": (3, 3, 32, 32),
    }
    assert made.target.tolist() == [0, 1, 2]  # ant, cat, dog
    assert made.ids == ["ant/0.png", "cat/1.png", "dog/3.png"]
    pixels = {name: made.inputs[name] * torch.tensor(VIEWS[name].std).view(3, 1, 1) for name in "ac"}
    pixels = {name: x + torch.tensor(VIEWS[name].mean).view(3, 1, 1) for name, x in pixels.items()}
    torch.testing.assert_close(pixels["a"], pixels["c"])


def test_without_augmentation_training_shows_what_validation_shows(root):
    folder = ImageFolder(root=root)
    assert torch.equal(folder.training(VIEWS)[0, 3, 2].pixels[(32, 32), 0.875, "bilinear"],
                       centre(Image.open(root / "train/ant/2.png"), (32, 32), 0.875, "bilinear"))  # fmt: skip
    assert len(folder.validation(VIEWS)) == 6


@pytest.mark.parametrize("shape", [(40, 60), (61, 47), (300, 500), (224, 224)])
@pytest.mark.parametrize(("crop", "interpolation"), [(0.875, "bilinear"), (0.9, "bicubic"), (1.0, "bicubic")])
def test_the_centre_is_what_timm_evaluates_on(shape, crop, interpolation):
    data = pytest.importorskip("timm.data")
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8))
    transform = data.create_transform(
        (3, 224, 224), is_training=False, interpolation=interpolation, crop_pct=crop, normalize=False
    )
    expected = transform(image)
    expected = expected if expected.dtype == torch.uint8 else (expected * 255).round().to(torch.uint8)
    assert torch.equal(centre(image, (224, 224), crop, interpolation), expected)


def test_augmentation_is_a_function_of_the_key_and_the_same_for_all_learners(root):
    folder = ImageFolder(root=root, augmentation=Augmentation(jitter=0.4))
    samples = folder.training(VIEWS)
    geometry = ((32, 32), 0.875, "bilinear")
    assert torch.equal(samples[0, 1, 2].pixels[geometry], samples[0, 1, 2].pixels[geometry])
    assert not torch.equal(samples[0, 1, 2].pixels[geometry], samples[0, 2, 2].pixels[geometry])
    alone = folder.training({"a": VIEWS["a"]})
    assert torch.equal(alone[0, 1, 2].pixels[geometry], samples[0, 1, 2].pixels[geometry])


def test_drawn_cut_outs_lie_inside_and_have_the_area_asked_for():
    random = np.random.default_rng(0)
    how = Augmentation()
    for _ in range(300):
        left, top, right, bottom = draw(how, 100, 60, random).box
        assert 0 <= left < right <= 100
        assert 0 <= top < bottom <= 60
        assert (right - left) * (bottom - top) >= 0.07 * 6000
        assert 0.7 < (right - left) / (bottom - top) < 1.42
    left, top, right, bottom = draw(Augmentation(area=(1, 1)), 400, 20, random).box  # no shape fits
    assert (right - left, bottom - top) == (27, 20)


def test_a_share_of_every_class(root):
    half = ImageFolder(root=root, share=0.5).training(VIEWS)
    assert [label for _, label in half.files] == [0, 0, 1, 1, 2, 2]
    other = ImageFolder(root=root, share=0.5, subset_seed=3).training(VIEWS)
    assert half.files != other.files
    assert len(ImageFolder(root=root, share=0.01).training(VIEWS)) == 3


def test_what_is_missing_is_named(root, tmp_path):
    with pytest.raises(InputError, match=r"no class folders.*set data.root"):
        ImageFolder(root=tmp_path / "nowhere").training(VIEWS)
    (root / "train/bee").mkdir()
    with pytest.raises(InputError, match="bee holds no images"):
        ImageFolder(root=root).training(VIEWS)
    (root / "train/bee").rmdir()
    with pytest.raises(InputError, match="learner clip wants 32 frames"):
        ImageFolder(root=root).training({"clip": InputSpec()})


def test_a_damaged_image_is_replaced_in_training_and_fatal_in_validation(root, caplog):
    for split in ("train", "val"):
        (root / split / "ant/0.png").write_bytes(b"not an image")
    data = ImageFolder(root=root)
    with pytest.raises(InputError, match=r"ant/0\.png cannot be decoded"):
        data.validation(VIEWS)[0]
    samples = data.training(VIEWS)
    found = batch(samples, [(0, 0, i) for i in range(len(samples))])
    assert len(found.ids) == 12 and "ant/0.png" not in found.ids
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "ant/0.png is set aside (1 of the images so far)"
    ]
    labels = {"ant": 0, "cat": 1, "dog": 2}
    assert found.target.tolist() == [labels[name.split("/")[0]] for name in found.ids]  # the replacement's own label
    (root / "train/cat/1.png").unlink()
    with pytest.raises(InputError, match="2 images cannot be used, more than the limit of 1"):
        batch(samples, [(0, 0, i) for i in range(len(samples))])
