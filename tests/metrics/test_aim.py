"""The scorer's formulae against a plain restatement of their description, and cases worked out by hand."""

import numpy as np
import pytest
import torch

from saliency.metrics.aim import auc_judd_aim, cc_aim, nss_aim, sim_aim, stretched


def restated(pred: np.ndarray, gt: np.ndarray, points: np.ndarray) -> dict[str, float]:
    """Frame by frame, step by step, in float64, sorting nothing but the thresholds."""
    p, g = ((x - x.min()) / (x.max() - x.min() + 1.19e-7) for x in (pred, gt))
    at = [p[row, column] for row, column in points]
    zp, zg = ((x - x.mean()) / (x.std() + 1e-7) for x in (p, g))
    distinct = np.unique(points, axis=1).shape[-1]
    positives = p.size + (len(points) - distinct)
    tp, fp = [0.0], [0.0]
    for i, threshold in enumerate(sorted(at, reverse=True), 1):
        tp.append(i / len(points))
        fp.append(((p >= threshold).sum() - i) / (positives - len(points)))
    tp.append(1.0)
    fp.append(1.0)
    return {
        "sim": np.minimum(p / (p.sum() + 1e-7), g / (g.sum() + 1e-7)).sum(),
        "cc": (zp * zg).sum() / (np.sqrt((zp**2).sum() * (zg**2).sum()) + 1e-7),
        "nss": np.mean([(v - p.mean()) / (p.std() + 1e-7) for v in at]),
        "auc_judd": sum((b - a) * (u + v) / 2 for a, b, u, v in zip(fp, fp[1:], tp, tp[1:], strict=False)),
    }


@pytest.mark.parametrize("seed", range(4))
def test_equals_the_restatement(seed):
    rng = np.random.default_rng(seed)
    pred, gt = rng.random((9, 14)), rng.random((9, 14)) ** 3
    points = np.stack([rng.integers(0, 9, 20), rng.integers(0, 14, 20)], axis=1)  # with repeats
    if seed == 1:
        points = np.array([[3, 3], [5, 5], [3, 3]])  # every row equals its column: one distinct column
    if seed == 2:
        pred = np.round(pred, 1)  # ties
    want = restated(pred, gt, points)
    p, g, listed = stretched(torch.tensor(pred)), stretched(torch.tensor(gt)), [torch.tensor(points)]
    got = {
        "sim": sim_aim(p, g),
        "cc": cc_aim(p, g),
        "nss": nss_aim(p, listed),
        "auc_judd": auc_judd_aim(p, listed),
    }
    assert {name: value.item() for name, value in got.items()} == pytest.approx(want, rel=1e-12)


def test_auc_by_hand():
    # One fixation on the highest of four pixels: (0, 0), (0 / 2, 1), (1, 1) -> all of the area.
    pred = torch.tensor([[0.0, 0.2], [0.5, 1.0]])
    assert auc_judd_aim(pred, [torch.tensor([[1, 0]])]).item() == pytest.approx(0.5 * 0.5 + 0.5)  # x = (2 - 1) / 2
    assert auc_judd_aim(pred, [torch.tensor([[0, 1]])]).item() == pytest.approx(0.5 * 1.0)  # x = (3 - 1) / 2
    assert auc_judd_aim(pred, [torch.tensor([[1, 1]])]).item() == 1.0


def test_constant_maps_are_0_and_do_not_fail():
    flat, point = stretched(torch.full((1, 4, 4), 7.0)), [torch.tensor([[1, 2]])]
    ramp = stretched(torch.arange(16.0).view(1, 4, 4))
    assert cc_aim(flat, ramp).item() == sim_aim(flat, ramp).item() == nss_aim(flat, point).item() == 0


def test_undefined_where_nobody_looked_or_the_map_is_not_finite():
    ramp, nobody = torch.rand(1, 4, 4), [torch.zeros(0, 2, dtype=torch.int64)]
    assert auc_judd_aim(ramp, nobody).isnan().all() and nss_aim(ramp, nobody).isnan().all()
    assert cc_aim(ramp * torch.nan, ramp).isnan().all() and sim_aim(ramp * torch.inf, ramp).isnan().all()
