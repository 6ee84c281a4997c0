"""The fault injection itself: it hits what it says, and tells a careful writer from a careless one."""

import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saliency.errors import InputError
from saliency.io.atomic import write_atomic

pytestmark = pytest.mark.hostile("fault injection itself")


def careless(folder):
    try:
        (folder / "a.txt").write_text("new " * 5000)
    except OSError as error:
        raise InputError(f"a.txt: {error.strerror}") from error


def careful(folder):
    try:
        with write_atomic(folder / "a.txt") as file:
            file.write("new " * 5000)
    except OSError as error:
        raise InputError(f"a.txt: {error.strerror}") from error


def libraries(folder):
    """Writes of Pillow, NumPy and torch."""
    import torch  # only here: the other sweeps start sooner without

    Image.fromarray(np.arange(65536, dtype=np.uint32).astype(np.uint8).reshape(256, 256)).save(folder / "a.png")
    np.save(folder / "a.npy", np.zeros(100_000))
    torch.save(torch.zeros(1000), folder / "a.pt")
    (folder / "a.pt").replace(folder / "b.pt")
    (folder / "old.txt").unlink()


@pytest.fixture
def before(tmp_path):
    folder = tmp_path / "before"
    folder.mkdir()
    (folder / "a.txt").write_text("old\n")
    (folder / "old.txt").write_text("other\n")
    return folder


def test_a_careless_writer_is_found(faults, before, tmp_path):
    trials = faults.sweep(careless, before, tmp_path / "trials")
    found = {trial.fault: faults.wrong(trial) for trial in trials if faults.wrong(trial)}
    assert found.keys() >= {"ENOSPC", "KILL"}
    assert any("neither the old nor the new" in word for words in found.values() for word in words)


def test_a_careful_writer_is_not(faults, before, tmp_path):
    trials = faults.sweep(careful, before, tmp_path / "trials")
    assert {trial.fault for trial in trials} == set(faults.KINDS)
    assert {trial.status for trial in trials if trial.fault == "KILL"} == {-signal.SIGKILL}
    assert {trial.status for trial in trials if trial.fault != "KILL"} == {2}
    assert not [(str(trial), faults.wrong(trial)) for trial in trials if faults.wrong(trial)]


@pytest.mark.slow
def test_calls_of_libraries_are_hit(faults, before, tmp_path):
    trials = faults.sweep(libraries, before, tmp_path / "trials", faults=["EIO", "EACCES", "KILL"], imports=["torch"])
    hit = {Path(trial.path).name for trial in trials}
    assert hit >= {"a.png", "a.npy", "a.pt", "b.pt", "old.txt"}
    assert all(trial.status in (1, -signal.SIGKILL) for trial in trials), [str(t) for t in trials if t.status == 0]
