import dataclasses
import pickle

import numpy as np
import pytest
import torch

from saliency.datasets.shapes import CLASSES, Shapes
from saliency.types import InputSpec

SPEC = InputSpec(length=1, size=(64, 64))
SMALL = Shapes(train_images=6, val_images=4, test_images=4)


def test_an_image_is_a_pure_function_of_seed_split_and_index():
    first, again = SMALL.images("train"), SMALL.images("train")
    more = dataclasses.replace(SMALL, train_images=9).images("train")
    for i in range(6):
        for a, b, c in zip(first.read(i), again.read(i), more.read(i), strict=True):
            assert np.array_equal(a, b) and np.array_equal(a, c)
    other_seed = dataclasses.replace(SMALL, seed=1).images("train")
    assert not np.array_equal(first.read(0)[0], other_seed.read(0)[0])
    assert not np.array_equal(first.read(0)[0], SMALL.images("val").read(0)[0])
    assert not np.array_equal(SMALL.images("test").read(0)[0], SMALL.images("val").read(0)[0])


def test_every_class_occurs_and_the_background_is_larger():
    images = Shapes(train_images=64).images("train")
    labels = np.stack([images.read(i)[1] for i in range(len(images))])
    share = np.bincount(labels.ravel(), minlength=len(CLASSES)) / labels.size
    assert len(share) == len(CLASSES)
    assert (share[1:] > 0.02).all() and 0.5 < share[0] < 0.9
    assert all(len(np.unique(label)) > 1 for label in labels[:60])


def test_hue_alone_does_not_decide():
    """Nearest class by hue is right for most shape pixels, not for all."""
    import cv2

    images = Shapes(train_images=48, noise=0.0).images("train")
    right = total = 0
    for i in range(len(images)):
        image, labels = images.read(i)
        hue = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)[..., 0] / 180
        guess = np.round(hue * 4).astype(int) % 4 + 1
        shown = labels > 0
        right, total = right + (guess == labels)[shown].sum(), total + shown.sum()
    assert 0.6 < right / total < 0.9


def test_samples_are_batches_for_the_task():
    batch_views = {"a": SPEC, "b": InputSpec(length=1, size=(96, 96), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))}
    samples = SMALL.training(batch_views)
    assert len(samples) == 6
    batch = samples.prepare([samples[(0, 0, i)] for i in range(3)], torch.device("cpu"))
    assert batch.inputs["a"].shape == (3, 3, 64, 64) and batch.inputs["b"].shape == (3, 3, 96, 96)
    assert batch.target.labels.shape == (3, 64, 64) and batch.target.labels.dtype == torch.int64
    assert batch.target.sizes == () and batch.target.content == ()
    assert batch.ids == ["shapes/train/0000", "shapes/train/0001", "shapes/train/0002"]
    validation = SMALL.validation(batch_views)
    assert len(validation) == 4
    image, labels = SMALL.images("val").read(1)
    sample = validation[1]
    assert np.array_equal(sample.image.permute(1, 2, 0).numpy(), image) and np.array_equal(
        sample.labels.numpy(), labels
    )


def test_refuses_sizes_the_models_cannot_halve():
    with pytest.raises(ValueError, match="multiples of 32"):
        Shapes(size=(64, 60))


def test_samples_travel_to_loader_processes():
    samples = SMALL.training({"a": SPEC})
    again = pickle.loads(pickle.dumps(samples))
    assert torch.equal(again[(0, 1, 2)].image, samples[(0, 1, 2)].image)
