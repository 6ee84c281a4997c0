"""Errors of the system, of configs and of damaged runs: one line with the remedy, status 2, nothing lost."""

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
import safetensors
import torch

from saliency.commands.explain import REMEDIES, explain
from saliency.commands.main import exit_with, main
from saliency.config.load import load_run
from saliency.config.run import Optimizer, Stage, Training
from saliency.errors import InputError
from saliency.preparation.extract import Extraction
from saliency.training import checkpoint, run_folder
from saliency.training.checkpoint import Checkpoint

pytestmark = pytest.mark.hostile("errors in one line")


@pytest.mark.parametrize(
    "error",
    [
        *(OSError(number, "said", "place.txt") for number in REMEDIES),
        OSError("odd"),
        MemoryError(),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        BrokenProcessPool("a child died"),
        RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "),
        RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:1] . DefaultCPUAllocator: can't allocate memory: you tried to "
                     "allocate 99999999999 bytes."),
        torch.OutOfMemoryError("CUDA out of memory.\nTried"),
    ],
    ids=lambda e: f"{type(e).__name__} {e}"[:40],
)  # fmt: skip
def test_what_a_user_can_mend_is_one_line(error, capsys):
    def work() -> None:
        raise error

    if isinstance(error, BrokenPipeError):
        pytest.skip("the reader of the output went away: that is no error")
    with pytest.raises(SystemExit) as done:
        exit_with(work)
    words = capsys.readouterr().err
    assert done.value.code == 2 and words.startswith("error: ") and words.count("\n") == 1 and ";" in words
    if isinstance(error, OSError) and error.filename:
        assert "place.txt" in words
    with pytest.raises(SystemExit):
        exit_with(work, debug=True)
    assert "Traceback" in capsys.readouterr().err


def test_a_bug_shows_its_traceback():
    assert explain(KeyError("x")) is None and explain(RuntimeError("x")) is None
    with pytest.raises(KeyError):
        exit_with(lambda: {}["x"])


def heeds_ctrl_c() -> None:
    """For a process that is started: what shells run in the background ignores Ctrl-C, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_one_line(tmp_path, number):
    code = (
        "import sys, tempfile, time\nfrom saliency.commands.main import exit_with\n"
        "def work():\n"
        f"    with tempfile.TemporaryDirectory(dir={str(tmp_path)!r}):\n"
        "        print('ready', flush=True); time.sleep(60)\n"
        "exit_with(work)\n"
    )
    started = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "preexec_fn": heeds_ctrl_c}
    with subprocess.Popen([sys.executable, "-c", code], **started) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, words = process.communicate(timeout=30)
    assert process.returncode == 128 + number and len(words.splitlines()) == 1, words
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("def config(:\n", r"line 1: invalid syntax"),
        ("x = 1\nimport nothing_of_this_name\n", r"line 2: ModuleNotFoundError"),
        ("def config():\n    x = {}\n    return x['y']\n", r"line 3: KeyError"),
        (f"from {Training.__module__} import Training\ndef config():\n    Training(workers=-5)\n", r"line 3: workers"),
        ("def config():\n    return 1 / 0\n", r"line 2: ZeroDivisionError"),
        ("def config():\n    return 5\n", r"holds a int, not a Run"),
        ("", r"has no function config"),
    ],
)  # fmt: skip
def test_errors_in_a_config_name_file_and_line(tmp_path, text, match):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"{re.escape(str(path))}.*{match}") as caught:
        load_run(path)
    assert "\n" not in str(caught.value)


NAN = float("nan")


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        *((Training, {name: n}) for name in ("batch_size", "keep", "max_bad_steps", "threads") for n in (0, -5)),
        *((Training, {name: n}) for name in ("batch_size", "seed", "workers") for n in (-1, 1.5, "2", True, NAN)),
        *((Optimizer, {name: x}) for name in ("lr", "weight_decay", "clip_norm") for x in (-1e-3, NAN, float("inf"))),
        (Training, {"precision": "fp8"}), (Training, {"compile": "no"}), (Optimizer, {"name": "lion"}),
        (Optimizer, {"warmup_steps": -5}), (Optimizer, {"lr_factors": {"encoder": float("nan")}}),
        (Stage, {"name": "a", "epochs": -1}), (Stage, {"name": "a", "epochs": 1, "lr": float("nan")}),
    ],
    ids=lambda v: v.__name__ if isinstance(v, type) else str(v),
)  # fmt: skip
def test_numbers_that_cannot_be_are_refused_at_once(kind, values):
    with pytest.raises(InputError):
        kind(**values)


def saved(parent: Path) -> list[Path]:
    """Two checkpoints of one small model."""
    for step in (1, 2):
        state = Checkpoint(models={"net": {"w": torch.full((3,), float(step))}}, optimizers={}, progress={"step": step})
        checkpoint.save_step(parent, step, state, keep=2)
    return checkpoint.steps(parent)


@pytest.mark.parametrize("name", ["manifest.json", "progress.json", "net.safetensors"])
@pytest.mark.parametrize("damage", ["half", "empty", "gone", "zeros"])
def test_a_torn_checkpoint_names_the_last_good_one(tmp_path, name, damage):
    older, newer = saved(tmp_path / "checkpoints")
    path = newer / name
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes({"half": data[: len(data) // 2], "empty": b"", "zeros": bytes(len(data))}[damage])
    with pytest.raises(InputError) as caught:
        checkpoint.load(newer)
    words = str(caught.value)
    assert "\n" not in words
    if (name, damage) != ("manifest.json", "gone"):  # without a manifest it is none, and `steps` does not list it
        assert str(older) in words
    assert checkpoint.load(older).progress == {"step": 1}
    assert checkpoint.last_good(tmp_path / "checkpoints") == older


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff", "[" * 100_000])
def test_a_torn_config_of_a_run_names_the_last_good_checkpoint(tmp_path, text):
    older, newer = saved(tmp_path / "scratch" / "checkpoints")
    path = tmp_path / "config.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=re.escape(str(newer))) as caught:
        run_folder._read(path, force=False)
    assert str(path) in str(caught.value) and "--resume --force" in str(caught.value) and older.exists()
    assert run_folder._read(path, force=True) is None


@pytest.mark.parametrize("folder", ["../..{number}", "/tmp/{number}", "a/../../{number}", "..", "."])
def test_extracted_frames_stay_below_the_folder(dhf1k_tree, tmp_path, folder):
    from saliency.datasets.dhf1k import DHF1K

    data = DHF1K(root=dhf1k_tree({1: 3}), frames="video", register=False)
    with pytest.raises(InputError, match="leads out of"):
        Extraction(data=data, videos="1", out=tmp_path / "out", folder=folder, suffix=".png").jobs()
    assert not (tmp_path / "out").exists()


CONFIG = """
from dataclasses import replace
from saliency.config.run import Learner, Run, Stage, Training, Optimizer
from saliency.distillation.bi_kd import BiKD
from saliency.testing import ToyData, ToyNetConfig, ToyTask
def config():
    learners = {name: Learner(model=ToyNetConfig(), optimizer=Optimizer(lr=1e-2)) for name in ("a", "b")}
    return Run(
        name="toy", task=ToyTask(), data=ToyData(), learners=learners,
        stages=(Stage(name="scratch", epochs=2), Stage(name="bi_kd", epochs=1, start="scratch", distiller=BiKD())),
        train=Training(batch_size=4, log_every=1, device="cpu"),
    )
"""


def status_and_words(words: list[str], capsys) -> tuple[int, str]:
    """Run a command in this process."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as done:
        main(words)
    return done.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["--seeds", "0"], "--seeds must be at least 1"),
        (["--seeds", "-3"], "--seeds must be at least 1"),
        (["--dry-run", "0"], "--dry-run must be at least 1"),
        (["train.threads=1000000"], "threads must be at most 1024"),
        (["train.workers=100000"], "workers must be at most 1024"),
        (["train.batch_size=99999999999"], "12 samples, less than a batch"),
        (["data.size=0"], "no sample"),
        (["learners.a.model.width=0"], "learner a: no model can be built of its ToyNetConfig"),
        (["learners.a.model.width=-3"], "learner a: no model can be built of its ToyNetConfig"),
        (["learners.a.model.dropout=7"], "learner a: no model can be built of its ToyNetConfig"),
        (["name=../../x"], "cannot be a part of the name of a file"),
        (["train.device=cuda:99"], "cannot be used here"),
    ],
    ids=str,
)
def test_a_run_that_cannot_be_leaves_nothing(tmp_path, monkeypatch, capsys, words, match):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(CONFIG)
    status, told = status_and_words(["train", "mine.py", "--out", "run", *words], capsys)
    assert status == 2 and told.startswith("error: ") and told.count("\n") == 1 and re.search(match, told), told
    assert not Path("run", "config.json").exists() and "--resume" not in told
    assert {path.name for path in tmp_path.iterdir()} <= {"mine.py", "run"}


def test_a_loss_that_is_never_finite_names_the_learner(tmp_path, monkeypatch, capsys):
    """One learner overflows at its first step in a stage too short to be stopped: the next stage cannot start."""
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(CONFIG)
    status, told = status_and_words(["train", "mine.py", "--out", "run", "learners.a.optimizer.lr=1e300"], capsys)
    last = told.splitlines()[-1]
    assert status == 2 and "stage bi_kd" in last and "learner a in stage scratch" in last and "learning rate" in last


def test_a_billion_epochs_are_counted_not_listed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(CONFIG)
    status, told = status_and_words(["train", "mine.py", "--dry-run", "1", "stages.scratch.epochs=1000000000"], capsys)
    assert status == 0, told


@pytest.mark.parametrize("words", [["--samples", "0"], ["--samples", "-1"], ["--seed", "-1"]], ids=str)
def test_counts_of_a_table_are_checked_at_once(tmp_path, capsys, words):
    status, told = status_and_words(["leaderboard", str(tmp_path), *words], capsys)
    assert status == 2 and f"{words[0]} must be at least" in told and told.count("\n") == 1


def children(pid: int) -> list[int]:
    """The processes that a process has started and that run code of ours."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def contents(weights: Path) -> str:
    """The checksum over every name, shape, value and note of a file of weights."""
    with safetensors.safe_open(weights, framework="pt") as file:
        return file.metadata()["content_sha256"]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for the worker in /proc")
def test_a_killed_loader_process_is_one_line_and_the_run_goes_on(tmp_path, monkeypatch, capsys):
    """Mid-epoch; the resumed run ends at the weights and the log of one that nothing happened to."""
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(CONFIG)
    longer = ["stages.scratch.epochs=60", "train.checkpoint_every=7"]
    assert status_and_words(["train", "mine.py", "--out", "whole", *longer], capsys)[0] == 0
    words = [sys.executable, "-m", "saliency", "train", "mine.py", "--out", "run", "train.workers=1", *longer]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        log = Path("run", "log.jsonl")
        for _ in range(20_000):
            if process.poll() is not None or (log.exists() and log.read_text().count("\n") > 3):
                break
            time.sleep(0.01)
        for worker in children(process.pid):
            os.kill(worker, signal.SIGKILL)
        _, told = process.communicate(timeout=300)
    last = told.splitlines()[-1]
    assert process.returncode == 2 and last.startswith("error: a loader process was ended"), told
    assert "--resume" in last and "Traceback" not in told
    assert 3 < log.read_text().count("\n") < Path("whole", "log.jsonl").read_text().count("\n")
    assert status_and_words(["train", "mine.py", "--out", "run", "--resume", *longer], capsys)[0] == 0
    assert log.read_bytes() == Path("whole", "log.jsonl").read_bytes()
    weights = sorted(Path("whole").glob("*/*.safetensors"))
    assert weights
    for path in weights:  # a file's header lists its tensors in any order
        assert contents(path) == contents(Path("run", *path.parts[1:]))


@pytest.mark.parametrize("damage", ["half", "middle", "empty", "gone"])
def test_a_torn_log_of_a_finished_run(tmp_path, monkeypatch, capsys, damage):
    """A half last line is what a killed process leaves; a damaged line is named."""
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(CONFIG)
    assert status_and_words(["train", "mine.py", "--out", "run"], capsys)[0] == 0
    log = Path("run", "log.jsonl")
    lines = log.read_bytes().splitlines(keepends=True)
    damaged = {"half": b"".join(lines)[:-20], "middle": b"".join([*lines[:2], b"\0\0\n", *lines[3:]]), "empty": b""}
    log.unlink() if damage == "gone" else log.write_bytes(damaged[damage])
    status, told = status_and_words(["train", "mine.py", "--out", "run", "--resume"], capsys)
    if damage in ("middle", "gone"):
        assert status == 2 and str(log) in told.splitlines()[-1] and "Traceback" not in told
        assert damage == "gone" or "line 3 is damaged" in told
    else:
        assert status == 0
