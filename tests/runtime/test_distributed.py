"""Two processes on the CPU learn what one learns, and die together."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from saliency.config.run import Learner, Optimizer, Run, Stage, Training
from saliency.distillation.bi_kd import BiKD
from saliency.errors import InputError
from saliency.io.serial import dumps
from saliency.runtime import distributed
from saliency.testing import ToyData, ToyNetConfig, ToyTask
from saliency.training.run_folder import best_file
from saliency.training.trainer import check_split, train
from saliency.types import InputSpec

TOLERANCE = 1e-5
"""Relative. Two processes add the same float32 numbers as one, in another order."""


def toy_run(epochs: int = 3, **options) -> Run:
    adam = Optimizer(lr=1e-2)
    return Run(
        name="toy",
        task=ToyTask(),
        data=ToyData(held_out=5),  # an odd number: one process gets more of them
        learners={
            "a": Learner(model=ToyNetConfig(), optimizer=adam),
            "b": Learner(model=ToyNetConfig(input=InputSpec(length=3, size=(8, 12)), width=6), optimizer=adam),
        },
        stages=(
            Stage(name="scratch", epochs=epochs),
            Stage(name="bi_kd", epochs=2, start="scratch", distiller=BiKD()),
        ),
        train=Training(**{"batch_size": 4, "accumulate": 2, "log_every": 1, "device": "cpu"} | options),
    )


def start(tmp_path: Path, run: Run, folder: Path, *flags: str) -> subprocess.Popen[str]:
    """Start two processes as a user does."""
    config = tmp_path / f"{folder.name}.json"
    config.write_text(dumps(run))
    tool = Path(__file__).parents[2] / "tools" / "train.py"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.Popen(
        [*torchrun, str(tool), str(config), "--out", str(folder), *flags],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    text, _ = process.communicate(timeout=240)
    return text


def read_log(folder: Path) -> list[dict]:
    return [json.loads(text) for text in (folder / "log.jsonl").read_text().splitlines()]


def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    train(toy_run(), tmp_path / "one")
    process = start(tmp_path, toy_run(), tmp_path / "two")
    text = finish(process)
    assert process.returncode == 0, text
    one, two = read_log(tmp_path / "one"), read_log(tmp_path / "two")
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        assert {key: b[key] for key in ("stage", "step", "kind")} == {key: a[key] for key in ("stage", "step", "kind")}
        numbers = {key: value for key, value in a.items() if isinstance(value, float)}
        assert {key: b[key] for key in numbers} == pytest.approx(numbers, rel=TOLERANCE)
    for learner in ("a", "b"):
        first, second = (load_file(best_file(tmp_path / name, "bi_kd", learner)) for name in ("one", "two"))
        assert all(second[key].numpy() == pytest.approx(first[key].numpy(), abs=1e-5) for key in first)

    with pytest.raises(InputError, match="processes: 2 -> 1"):
        train(toy_run(), tmp_path / "two", resume=True)
    refused = start(tmp_path, toy_run(), tmp_path / "two")
    text = finish(refused)
    assert refused.returncode != 0
    assert text.count("already holds a run") == 1, "only the process that failed speaks"


def test_a_killed_process_ends_the_others(tmp_path: Path) -> None:
    process = start(tmp_path, toy_run(epochs=100_000), tmp_path / "run")
    log = tmp_path / "run" / "log.jsonl"
    deadline = time.monotonic() + 120
    while not (log.exists() and log.stat().st_size) and time.monotonic() < deadline:
        assert process.poll() is None, finish(process)
        time.sleep(0.05)
    workers = children(process.pid)
    assert len(workers) == 2
    os.kill(workers[1], signal.SIGKILL)
    finish(process)
    assert process.returncode != 0
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def test_sigterm_saves_and_the_run_goes_on(tmp_path: Path) -> None:
    run = replace(toy_run(checkpoint_every=10_000), stages=toy_run(epochs=100_000).stages[:1])
    process = start(tmp_path, run, tmp_path / "run")
    log = tmp_path / "run" / "log.jsonl"
    deadline = time.monotonic() + 120
    while not (log.exists() and log.read_text().count("\n") > 3) and time.monotonic() < deadline:
        assert process.poll() is None, finish(process)
        time.sleep(0.05)
    for worker in children(process.pid):
        os.kill(worker, signal.SIGTERM)
    finish(process)
    saved = sorted((tmp_path / "run" / "scratch" / "checkpoints").glob("step-*"))
    assert len(saved) == 1
    step = json.loads((saved[0] / "progress.json").read_text())["step"]
    assert step == max(line["step"] for line in read_log(tmp_path / "run"))


def children(pid: int) -> list[int]:
    """Return the processes that `pid` started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize(
    ("options", "size", "processes", "message"),
    [
        ({"batch_size": 4, "accumulate": 1}, 100, 3, "multiple of 3"),
        ({"batch_size": 4, "accumulate": 2}, 100, 4, "multiple of 8"),
        ({"batch_size": 8, "accumulate": 1}, 6, 2, "less than a batch"),
    ],
)
def test_steps_that_cannot_be_split_are_refused(options: dict, size: int, processes: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_split(Training(**options), size, processes)


def test_a_single_process_works_on_the_gpu_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What seeds or measures "the GPU" means cuda:1 inside, and the earlier one again afterwards."""
    current = []

    @contextlib.contextmanager
    def device(chosen: torch.device):
        current.append(chosen)
        yield
        current.pop()

    monkeypatch.setattr(distributed, "pick_device", lambda name, local: torch.device(name))
    monkeypatch.setattr(torch.cuda, "device", device)
    with distributed.join("cuda:1") as world:
        assert current == [world.device] == [torch.device("cuda:1")]
    assert current == []
    with distributed.join("cpu"):
        assert current == []
