import numpy as np
import pytest
import torch

from saliency.data.labelled_images import Augmentation, SegmentationSamples
from saliency.types import IGNORED, InputSpec

SPEC = InputSpec(length=1, size=(64, 64))
FULL = Augmentation(scales=(0.5, 0.75, 1.0, 1.5), flip=True, shift=9, colour=True)


class Source:
    """Images whose colour tells the label, of different sizes."""

    sizes = ((80, 100), (70, 64), (128, 90), (64, 64))

    def __len__(self):
        return len(self.sizes)

    def name(self, i):
        return f"image{i}"

    def read(self, i):
        height, width = self.sizes[i]
        labels = np.zeros((height, width), np.uint8)
        labels[:, width // 2 :] = 1
        labels[height // 2 :, : width // 3] = 2
        image = np.zeros((height, width, 3), np.uint8)
        for c in range(3):
            image[labels == c, c] = 200
        labels[:4] = IGNORED
        return image, labels


def make(augmentation, views=None, size=(64, 64)):
    return SegmentationSamples(Source(), views or {"a": SPEC}, size, augmentation=augmentation)


def test_training_samples_are_a_pure_function_of_their_key():
    samples = make(FULL)
    first, again = samples[(1, 2, 3)], samples[(1, 2, 3)]
    assert torch.equal(first.image, again.image) and torch.equal(first.labels, again.labels)
    assert not torch.equal(samples[(1, 3, 3)].image, first.image)


@pytest.mark.parametrize("index", range(4))
def test_labels_follow_the_image(index):
    samples = make(Augmentation(scales=(0.5, 1.0, 2.0), flip=True, shift=9))
    for epoch in range(6):
        sample = samples[(0, epoch, index)]
        assert sample.image.shape == (3, 64, 64) and sample.labels.shape == (64, 64)
        brightest, shown = sample.image.max(0)
        known = (sample.labels != IGNORED) & (brightest > 180)  # not at edges between colours
        assert known.sum() > 300
        assert torch.equal(shown[known], sample.labels[known].long())
        assert sample.classes == [int(c) for c in sample.labels.unique() if c != IGNORED]


def test_small_scales_are_padded_and_ignored():
    sample = make(Augmentation(scales=(0.5,)))[(0, 0, 3)]
    assert (sample.labels[32:] == IGNORED).all() and (sample.labels[:, 32:] == IGNORED).all()
    assert (sample.image[:, 32:] == 128).all()
    assert (sample.labels[4:32, :32] != IGNORED).all()


def test_crops_move_and_flips_happen():
    samples = make(Augmentation(flip=True))
    flipped = {bool(samples[(0, epoch, 3)].image[1, 10, 5] > 100) for epoch in range(10)}
    assert flipped == {True, False}  # green is right, unless mirrored
    crops = {samples[(0, epoch, 2)].labels.long().sum().item() for epoch in range(10)}
    assert len(crops) > 3


def test_colours_change_within_bounds():
    plain, coloured = make(Augmentation()), make(Augmentation(colour=True))
    changed = 0
    for epoch in range(20):
        a, b = plain[(0, epoch, 3)], coloured[(0, epoch, 3)]
        assert torch.equal(a.labels, b.labels)
        changed += not torch.equal(a.image, b.image)
    assert changed > 12  # each of four changes happens half of the time


def test_validation_keeps_the_original_labels_and_notes_the_padding():
    samples = make(None)
    batch = samples.prepare([samples[0], samples[2]], torch.device("cpu"))
    # 80x100 -> 64x80, 128x90 -> 91x64; padded to 96x96
    assert batch.inputs["a"].shape == (2, 3, 96, 96)
    assert batch.target.sizes == ((80, 100), (128, 90))
    assert batch.target.content == ((64 / 96, 80 / 96), (91 / 96, 64 / 96))
    assert batch.target.labels.shape == (2, 128, 100)
    assert np.array_equal(batch.target.labels[0, :80].numpy(), Source().read(0)[1])
    assert (batch.target.labels[0, 80:] == IGNORED).all() and (batch.target.labels[1, :, 90:] == IGNORED).all()
    assert batch.target.classes.tolist() == [[0, 1, 2], [0, 1, 2]]


def test_very_long_images_are_limited():
    samples = SegmentationSamples(Source(), {"a": SPEC}, (64, 64), max_size=70)
    assert tuple(samples[0].image.shape[1:]) == (56, 70)


def test_every_learner_sees_the_same_crop_its_own_way():
    other = InputSpec(length=1, size=(32, 32), mean=(0.0,) * 3, std=(1.0,) * 3)
    first = InputSpec(length=1, size=(64, 64), mean=(0.0,) * 3, std=(1.0,) * 3)
    samples = make(Augmentation(), {"a": first, "b": other})
    batch = samples.prepare([samples[(0, 0, 3)]], torch.device("cpu"))
    small = torch.nn.functional.avg_pool2d(batch.inputs["a"], 2)
    assert batch.inputs["b"].shape == (1, 3, 32, 32)
    assert (batch.inputs["b"] - small).abs().mean() < 0.02


def test_the_seed_of_a_batch_depends_on_its_keys():
    samples = make(Augmentation())

    def seed(*keys):
        return samples.prepare([samples[key] for key in keys], torch.device("cpu")).target.seed

    assert seed((0, 0, 1), (0, 0, 2)) == seed((0, 0, 1), (0, 0, 2))
    assert len({seed((0, 0, 1)), seed((0, 1, 1)), seed((1, 0, 1)), seed((0, 0, 2))}) == 4


def test_an_image_without_labels_has_no_classes(monkeypatch):
    nothing = np.zeros((64, 64, 3), np.uint8), np.full((64, 64), IGNORED, np.uint8)
    monkeypatch.setattr(Source, "read", lambda self, i: nothing)
    samples = make(None)
    batch = samples.prepare([samples[0]], torch.device("cpu"))
    assert batch.target.classes.shape == (1, 0)
