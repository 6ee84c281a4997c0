"""The metric of docs/add-a-metric.md, with its line in the table, as the page prints them."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial import distance

from saliency.metrics import frame

PAGE = (Path(__file__).parents[2] / "docs/add-a-metric.md").read_text(encoding="utf-8")
FUNCTION, LINE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(autouse=True)
def added(monkeypatch):
    names = {"Metric": frame.Metric}
    exec(FUNCTION, names)
    monkeypatch.setattr(frame, "METRICS", {**frame.METRICS, **eval(f"{{{LINE}}}", names)})


def test_it_is_scored_by_its_name_and_agrees_with_scipy():
    rng = np.random.default_rng(0)
    pred, density = rng.random((2, 5, 6, 8))
    density[:, 0] = 0
    found = frame.score(torch.from_numpy(pred), torch.from_numpy(density), names=["jensen_shannon"])["jensen_shannon"]
    expected = [distance.jensenshannon(p.ravel(), g.ravel()) ** 2 for p, g in zip(pred, density, strict=True)]
    assert found.tolist() == pytest.approx(expected, abs=1e-12)
    apart = torch.eye(2)
    assert frame.score(apart, apart.flip(0), names=["jensen_shannon"])["jensen_shannon"].item() == pytest.approx(
        np.log(2)
    )


def test_what_cannot_be_used_is_nan_and_a_constant_prediction_is_not():
    density = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    score = frame.METRICS["jensen_shannon"].function
    assert score(torch.ones(2, 2), torch.zeros(2, 2)).isnan()
    assert score(torch.full((2, 2), torch.nan), density).isnan()
    low, high = frame.METRICS["jensen_shannon"].range
    assert low < score(torch.zeros(2, 2), density).item() < high
