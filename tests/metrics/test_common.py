from functools import partial

import numpy as np
import pytest
import torch

from saliency.errors import InputError
from saliency.metrics import common
from saliency.metrics.auc import auc
from saliency.metrics.cc import cc
from saliency.metrics.common import COUNTED, Maps, as_points
from saliency.metrics.kld import kld
from saliency.metrics.sim import sim

GENERATOR = torch.Generator().manual_seed(3)
PRED = torch.rand(2, 5, 6, generator=GENERATOR)
DENSITY = torch.rand(2, 5, 6, generator=GENERATOR)


@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.int16, torch.int32, torch.int64, torch.bool, torch.float16, torch.bfloat16]
)
def test_every_dtype_is_read_exactly(dtype):
    pred = (PRED * 255).to(dtype)
    expected = cc(pred.double(), DENSITY)
    assert torch.allclose(cc(pred, DENSITY), expected, rtol=0, atol=1e-14)


def test_layout_and_gradients_of_the_input_do_not_matter():
    flipped = PRED.transpose(1, 2).contiguous().transpose(1, 2).requires_grad_()
    found = cc(flipped, DENSITY)
    assert found.equal(cc(PRED, DENSITY))
    assert not found.requires_grad


def test_the_inputs_are_left_alone():
    pred, density = PRED.double(), DENSITY.double()
    cc(pred, density)
    assert pred.equal(PRED.double()) and density.equal(DENSITY.double())


@pytest.mark.parametrize("shape", [(4,), (1, 1, 4, 4), (0, 4, 4), (4, 0)])
def test_only_batches_of_maps_are_accepted(shape):
    with pytest.raises(InputError, match=r"give real \(B, H, W\) or \(H, W\) tensors"):
        Maps(torch.zeros(shape))


def test_numpy_and_torch_sort_the_same():
    values = torch.tensor([[[3.0, -1.0, torch.nan, 2.0, torch.inf, -torch.inf]]])
    expected = values.flatten(1).sort(dim=1).values
    assert torch.equal(Maps(values).ascending.nan_to_num(nan=7e7), expected.nan_to_num(nan=7e7))


def test_finite_finds_every_kind_of_bad_pixel():
    pred = torch.zeros(4, 3, 3)
    pred[1, 0, 0], pred[2, 1, 1], pred[3, 2, 2] = torch.nan, torch.inf, -torch.inf
    assert Maps(pred).finite.tolist() == [True, False, False, False]


def test_points_as_map_and_as_list_are_the_same():
    mask = torch.rand(3, 5, 6, generator=GENERATOR) < 0.3
    mask[1] = False
    mapped = as_points(mask, mask.shape, "fixations")
    listed = as_points([frame.nonzero() for frame in mask], mask.shape, "fixations")
    assert mapped.count.equal(listed.count) and mapped.valid.equal(listed.valid)
    assert mapped.index.equal(listed.index) and listed.as_set.index.equal(mapped.index)


@pytest.mark.parametrize("point", [(-1, 0), (0, 6), (5, 0)])
def test_points_outside_the_frame_are_refused(point):
    inside = torch.tensor([[0, 0]])
    with pytest.raises(InputError, match="1 of the fixations lie outside the 5x6 frame"):
        auc(PRED, [inside, torch.tensor([point])])


def test_points_must_be_integer_pairs_for_every_frame():
    with pytest.raises(InputError, match="lists points of 1 frames, the prediction has 2"):
        auc(PRED, [torch.tensor([[0, 0]])])
    for wrong in (torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64), torch.zeros(2, 3, dtype=torch.int64)):
        with pytest.raises(InputError, match=r"give \(M, 2\) integer \(row, column\)"):
            auc(PRED, [torch.tensor([[0, 0]]), wrong])


def test_fixation_maps_must_have_the_predictions_size():
    with pytest.raises(InputError, match="resize the prediction to the ground truth's size first"):
        auc(PRED, torch.zeros(2, 6, 5, dtype=torch.bool))


@pytest.mark.parametrize("fixations", [1, 17, COUNTED, COUNTED + 1, 300])
@pytest.mark.parametrize("levels", [2, 7, 10**6])
def test_ranks_are_counts_of_pixels(fixations, levels):
    rng = np.random.default_rng(fixations)
    values = rng.integers(0, levels, (3, 20, 30)).astype(np.float32)
    points = [torch.from_numpy(rng.integers(0, 20, (n, 2))) for n in (fixations, 0, fixations)]
    points = as_points(points, torch.Size(values.shape), "fixations")
    ranks = Maps(torch.from_numpy(values)).ranks(points)
    for frame in (0, 2):
        flat = values[frame].ravel()
        at = flat[points.index[frame].numpy()]
        assert ranks.below[frame].tolist() == [(flat < value).sum() for value in at]
        assert ranks.not_above[frame].tolist() == [(flat <= value).sum() for value in at]


@pytest.mark.parametrize("share", [1.0, 2.5])  # of a share that counts as sparse
@pytest.mark.parametrize("function", [cc, sim, partial(sim, norm="sum"), kld])
def test_sums_over_a_sparse_density_are_those_over_the_frame(function, share, monkeypatch):
    rng = np.random.default_rng(3)
    pred = torch.from_numpy(rng.random((4, 30, 40), dtype=np.float32) - 0.2)
    density = torch.from_numpy(rng.random((4, 30, 40), dtype=np.float32))
    density *= torch.from_numpy(rng.random((4, 30, 40)) < share * np.array([0.05, 0.1, 0.15, 0.001]).reshape(4, 1, 1))
    assert Maps(density).support is not None
    sparse = function(pred, density)
    monkeypatch.setattr(common, "COVERED", 0.0)
    assert Maps(density).support is None
    assert torch.allclose(sparse, function(pred, density), rtol=1e-13, atol=1e-13)
