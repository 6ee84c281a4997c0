"""The classes agree with the functions on all frames together, in one process and in two."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from saliency.adapters.torchmetrics import CC, KLD, NSS, InformationGain, standard
from saliency.errors import InputError
from saliency.metrics.frame import STANDARD, score

REPO = Path(__file__).parents[2]

TWO_PROCESSES = """
import sys, torch, torch.distributed as dist
from saliency.adapters.torchmetrics import standard
rank, folder = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
frames = torch.load(f"{folder}/frames.pt")
metrics = standard()
for i in range(rank, 5, 2):  # three frames and two
    metrics.update(**{name: values[i : i + 1] for name, values in frames.items()})
found = metrics.compute()
if rank == 0:
    torch.save(found, f"{folder}/found.pt")
dist.destroy_process_group()
"""


@pytest.fixture
def frames():
    """Five frames; nobody looked at the last."""
    random = torch.Generator().manual_seed(0)
    maps = {name: torch.rand(5, 12, 16, generator=random) for name in ("pred", "density")}
    points = {name: torch.rand(5, 12, 16, generator=random) > 0.9 for name in ("fixations", "others")}
    points["fixations"][4] = False
    return maps | points


def test_batches_of_any_size_give_the_mean_over_usable_frames(frames):
    metrics = standard()
    for part in (slice(0, 3), slice(3, 5)):
        metrics.update(**{name: values[part] for name, values in frames.items()})
    found = metrics.compute()
    expected = {name: values.nanmean() for name, values in score(**frames).items()}
    assert set(found) == set(STANDARD) and score(**frames)["nss"][4].isnan()
    assert {name: float(value) for name, value in found.items()} == pytest.approx(
        {name: float(value) for name, value in expected.items()}, abs=1e-12
    )
    nobody = {name: values[4:] for name, values in frames.items()}
    metrics.reset()
    metrics.update(**nobody)
    assert metrics["nss"].compute().isnan() and metrics["cc"].compute().isfinite()


def test_hand_worked_and_the_direction():
    nss = NSS()
    nss.update(torch.tensor([[0.0, 0.0], [0.0, 1.0]]), torch.tensor([[False, False], [False, True]]))
    assert nss.compute().item() == 1.5  # (1 - 1/4) / sqrt(1/4)
    assert NSS.higher_is_better and not KLD.higher_is_better
    gain = InformationGain()
    twice = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    gain.update(twice, torch.tensor([[True, False], [False, False]]), torch.ones(2, 2))
    assert gain.compute().item() == pytest.approx(1, abs=1e-5)  # a bit: half the places


def test_a_prediction_that_is_not_finite_is_no_frame_to_skip():
    with pytest.raises(InputError, match="CC: a predicted map holds NaN or infinity"):
        CC().update(torch.full((1, 2, 2), torch.nan), torch.eye(2)[None])


@pytest.mark.slow
def test_two_processes_give_the_mean_over_all_frames(frames, tmp_path):
    torch.save(frames, tmp_path / "frames.pt")
    environment = {**os.environ, "PYTHONPATH": str(REPO / ".editable"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", TWO_PROCESSES]
    both = [subprocess.Popen([*command, str(rank), str(tmp_path)], env=environment) for rank in (0, 1)]
    assert [process.wait(120) for process in both] == [0, 0]
    expected = {name: float(values.nanmean()) for name, values in score(**frames).items()}
    found = {name: float(value) for name, value in torch.load(tmp_path / "found.pt").items()}
    assert found == pytest.approx(expected, abs=1e-12)
