import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from saliency.errors import InputError
from saliency.metrics import auc, cc, information_gain, kld, nss, sim
from saliency.metrics.common import Maps, as_maps, as_points
from saliency.metrics.frame import DHF1K, METRICS, STANDARD, score

SINGLE = {
    "auc": auc.auc,
    "auc_judd": auc.auc_judd,
    "auc_borji": auc.auc_borji,
    "auc_shuffled": auc.auc_shuffled,
    "auc_shuffled_step": auc.auc_shuffled_step,
    "cc": cc.cc,
    "nss": nss.nss,
    "sim": sim.sim,
    "sim_sum": lambda pred, density: sim.sim(pred, density, "sum"),
    "kld": kld.kld,
    "information_gain": information_gain.information_gain,
}


def batch(frames=4, height=36, width=64, seed=0):
    rng = np.random.default_rng(seed)
    arrays = {
        "pred": rng.random((frames, height, width), np.float32),
        "density": rng.random((frames, height, width), np.float32),
        "fixations": rng.random((frames, height, width)) < 0.01,
        "others": rng.random((frames, height, width)) < 0.05,
        "baseline": rng.random((frames, height, width), np.float32) + 0.1,
    }
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    tensors["pred"][0] = 0.1
    tensors["pred"][-1, 3, 4] = torch.nan
    return tensors


def same(a, b):
    return a.nan_to_num(-7).equal(b.nan_to_num(-7))


def test_scores_are_those_of_the_single_functions_to_the_bit():
    given = batch()
    found = score(**given, names=METRICS)
    assert set(found) == set(METRICS) >= set(SINGLE)
    for name, function in SINGLE.items():
        assert same(found[name], function(given["pred"], *(given[need] for need in METRICS[name].needs))), name


def test_prepared_ground_truth_gives_the_same():
    given = batch()
    shape = given["pred"].shape
    prepared = {
        "pred": Maps(given["pred"]),
        "density": as_maps(given["density"]),
        "fixations": as_points(given["fixations"], shape, "fixations"),
        "others": as_points(given["others"], shape, "others"),
    }
    names = [name for name in METRICS if name != "information_gain"]
    plain, again = score(**given, names=names), score(**prepared, names=names)
    assert all(same(plain[name], again[name]) for name in names)


def test_the_default_names_are_the_standard_ones_in_order():
    given = batch()
    given.pop("baseline")
    assert list(score(**given)) == list(STANDARD)
    assert set(DHF1K) < set(STANDARD)


def test_only_the_divergence_is_better_when_low():
    assert [name for name in SINGLE if not METRICS[name].higher_is_better] == ["kld"]


def test_unknown_names_and_missing_inputs_are_refused():
    given = batch()
    with pytest.raises(InputError, match="unknown metric 'auc_jud'; did you mean 'auc_judd'"):
        score(given["pred"], names=["auc_jud"])
    with pytest.raises(InputError, match="metric auc_shuffled needs others; pass it or leave auc_shuffled out"):
        score(given["pred"], fixations=given["fixations"], names=["auc_shuffled"])


class Counting(TorchDispatchMode):
    """Counts the operations on tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.operations += 1
        return func(*args, **kwargs or {})


def test_no_loop_over_frames():
    names = [name for name in METRICS if name != "auc_judd_aim"]  # counts frame by frame, as its scorer does

    def operations(frames: int) -> int:
        given = batch(frames=frames)
        with Counting() as counting:
            score(**given, names=names)
        return counting.operations

    assert operations(2) == operations(9)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_same_values_without_a_loop_over_frames():
    given = batch(frames=16, height=90, width=160)
    expected = score(**given, names=METRICS)
    found = score(**{name: value.cuda() for name, value in given.items()}, names=METRICS)
    for name, value in found.items():
        assert value.is_cuda
        assert torch.allclose(value.cpu(), expected[name], rtol=0, atol=1e-12, equal_nan=True), name
