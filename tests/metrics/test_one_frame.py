"""One ordinary frame is scored to the bit as the functions score it; any other is left to them."""

import numpy as np
import pytest
import torch

from saliency.metrics.common import Maps, as_points
from saliency.metrics.frame import METRICS, score
from saliency.metrics.one_frame import FORMULAE, one_frame

SIZE = (40, 60)


def frame(seed: int, levels: int = 10**6, shift: float = 0.0, scale: float = 1.0):
    """A prediction, a sparse density, fixations and negatives; few levels make ties."""
    rng = np.random.default_rng(seed)
    pred = (rng.integers(0, levels, SIZE) / levels + shift) * scale
    density = np.zeros(SIZE, np.float32)
    density[5:15, 10:30] = rng.random((10, 20))
    fixated = rng.random(SIZE) < (0.005, 0.02, 0.2)[seed % 3]
    fixated[7, 7] = True
    others = rng.integers(0, min(SIZE), (200, 2))
    return torch.from_numpy(pred.astype(np.float32)), torch.from_numpy(density), torch.from_numpy(fixated), others


def wrapped(pred, density, fixated, others):
    maps = Maps(pred)
    listed = [torch.from_numpy(others)]
    points = as_points(fixated, maps.shape, "fixations"), as_points(listed, maps.shape, "others")
    return maps, Maps(density), *points


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    "kind", [{}, {"levels": 3}, {"levels": 40, "shift": -0.4}, {"shift": 5.0, "scale": 1e-7}, {"scale": 1e30}]
)
def test_equals_the_functions_to_the_bit(seed, kind):
    arguments = wrapped(*frame(seed, **kind))
    found = one_frame(*arguments, names=FORMULAE)
    assert found.keys() == FORMULAE
    given = dict(zip(("density", "fixations", "others"), wrapped(*frame(seed, **kind))[1:], strict=True))
    for name, value in found.items():
        single = METRICS[name].function(frame(seed, **kind)[0], *(given[need] for need in METRICS[name].needs))
        assert single.item() == value, name


def test_only_what_is_asked_for():
    found = one_frame(*wrapped(*frame(0)), names=["nss", "auc_borji"])
    assert found.keys() == {"nss"}
    pred, density, fixated, others = frame(0)
    names = ["auc_borji", "nss", "sim_sum"]
    values = score(pred, density, fixated, [torch.from_numpy(others)], names=names)
    assert list(values) == names
    assert all(value.shape == (1,) and value.dtype == torch.float64 for value in values.values())


ODD = "constant nan infinite wide two dark dense nobody everybody alone repeats"


@pytest.mark.parametrize("odd", ODD.split())
def test_what_is_not_ordinary_is_left_to_the_functions(odd):
    pred, density, fixated, others = frame(1)
    if odd == "constant":
        pred = torch.full(SIZE, 0.3)
    elif odd in ("nan", "infinite"):
        pred[3, 3] = torch.nan if odd == "nan" else torch.inf
    elif odd == "wide":
        pred = pred.double()
    elif odd == "dark":
        density.zero_()
    elif odd == "dense":
        density += 0.1
    elif odd in ("nobody", "everybody"):
        fixated.fill_(odd == "everybody")
    elif odd == "alone":
        others = others[:0]
    if odd == "two":
        maps, truth = Maps(pred.expand(2, *SIZE)), Maps(density.expand(2, *SIZE))
        listed = [torch.from_numpy(others)] * 2
        looked, negatives = as_points(fixated.expand(2, *SIZE), maps.shape, "f"), as_points(listed, maps.shape, "o")
    else:
        maps, truth, looked, negatives = wrapped(pred, density, fixated, others)
        if odd == "repeats":
            looked = as_points([torch.tensor([[1, 1], [1, 1], [2, 5]])], maps.shape, "fixations")
    assert one_frame(maps, truth, looked, negatives, FORMULAE) == {}
    values = score(maps, truth, looked, negatives)
    given = {"density": truth, "fixations": looked, "others": negatives}
    for name, value in values.items():
        single = METRICS[name].function(maps, *(given[need] for need in METRICS[name].needs))
        assert torch.equal(value.nan_to_num(-9), single.nan_to_num(-9)), name


def test_what_is_missing_is_left_to_the_functions():
    pred, density, fixated, _ = frame(2)
    maps = Maps(pred)
    assert one_frame(maps, Maps(density), as_points(fixated, maps.shape, "fixations"), None, ["cc"]) == {}
