"""Every command, with each of its writes going wrong: what is left is the old or the new, never half of one.

The commands run as a user runs them, in a process whose writes fail or that is killed at one call (`faults.py`).
"""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors
import torch
from PIL import Image

from saliency.evaluation.protocols import CANONICAL
from saliency.evaluation.result import FLAGS, FrameRow, Result
from saliency.inference.journal import FILE
from saliency.io.serial import dumps
from saliency.io.weights import load_model, save_model
from saliency.testing import ToyNetConfig
from saliency.training import checkpoint
from saliency.training.checkpoint import Checkpoint

pytestmark = [pytest.mark.hostile("failing writes"), pytest.mark.slow, pytest.mark.timeout(1200)]

CONFIG = """
from saliency.config.run import Learner, Run, Stage, Training
from saliency.distillation.bi_kd import BiKD
from saliency.testing import ToyData, ToyNetConfig, ToyTask
def config():
    return Run(
        name="toy", task=ToyTask(), data=ToyData(), learners={name: Learner(model=ToyNetConfig()) for name in "ab"},
        stages=(Stage(name="scratch", epochs=1), Stage(name="bi_kd", epochs=1, start="scratch", distiller=BiKD())),
        train=Training(batch_size=4, log_every=1, checkpoint_every=2, device="cpu", workers=0),
    )
"""


def own_data(root: Path) -> None:
    """Two videos of a folder data set, with gaze."""
    rng = np.random.default_rng(0)
    (root / "gaze").mkdir(parents=True)
    for name, frames in (("1", 2), ("2", 3)):
        (root / "videos" / name).mkdir(parents=True)
        lines = ["observer,frame,x,y"]
        for i in range(frames):
            Image.fromarray(rng.integers(0, 255, (36, 64, 3), np.uint8)).save(
                root / "videos" / name / f"{i + 1:04d}.png"
            )
            lines += [f"{k},{i},{rng.uniform(0, 64):.2f},{rng.uniform(0, 36):.2f}" for k in range(3)]
        (root / "gaze" / f"{name}.csv").write_text("\n".join(lines) + "\n")


def a_result(value: float) -> Result:
    rows = [
        FrameRow(video, i, dict.fromkeys(CANONICAL.metrics, value), dict.fromkeys(FLAGS, 0), i)
        for video, i in itertools.product(("one", "two"), range(2))
    ]
    return Result(name="a", dataset="toy", protocol=CANONICAL, rows=rows)


def told(work) -> int:
    """Do something as a command does it: what a user can mend becomes a line."""
    from saliency.commands.main import exit_with

    try:
        exit_with(work)
    except SystemExit as done:
        return int(done.code or 0)
    return 0


def command(*words: object) -> int:
    from saliency.commands.main import run

    return told(lambda: run([str(word) for word in words]))


def state(value: float) -> Checkpoint:
    optimizer = {"state": {0: torch.full((3,), value)}}
    return Checkpoint(
        models={"net": {"w": torch.full((5,), value)}}, optimizers={"net": optimizer}, progress={"step": 1}
    )


def train(folder: Path) -> int:
    return command("train", folder.parent / "mine.py", "--out", folder / "run")


def resume(folder: Path) -> int:
    return command("train", folder.parent / "mine.py", "--out", folder / "run", "--resume")


def evaluate(folder: Path) -> int:
    words = ("--baselines", "chance", "--out", folder / "out", "--device", "cpu")
    return command("evaluate", "--data", folder.parent / "own", *words)


def leaderboard(folder: Path) -> int:
    return command("leaderboard", folder.parent / "result", "--out", folder / "out", "--samples", "20")


def statistics(folder: Path) -> int:
    return command("prepare", "stats", "folder", folder.parent / "own", folder / "out")


def cache(folder: Path) -> int:
    return command("prepare", "cache", "folder", folder.parent / "own", folder / "out", "--size", "16", "24")


def infer(folder: Path, *more: str) -> int:
    words = ("--out", folder, "--device", "cpu", "--maps", "png", "--weights", "mini_vinet_a", *more)
    trials = folder.parent / "trials" / "own"
    own = trials if trials.is_dir() else folder.parent / "own"  # the same source before and in each trial
    return command("infer", own / "videos" / "2", *words)


def weights(folder: Path) -> int:
    return told(lambda: save_model(folder / "a.safetensors", ToyNetConfig().build(), ToyNetConfig()) and None)


def result(folder: Path) -> int:
    return told(lambda: a_result(0.5).save(folder / "r"))


def checkpoints(folder: Path) -> int:
    return told(lambda: checkpoint.save_step(folder / "checkpoints", 2, state(2.0), keep=1))


@pytest.fixture
def before(tmp_path, request):
    """The folder as it is before; beside the copies lies what a command only reads."""
    torch.manual_seed(0)
    for place in (tmp_path, tmp_path / "trials"):
        place.mkdir(exist_ok=True)
        (place / "mine.py").write_text(CONFIG)
        own_data(place / "own")
        a_result(0.25).save(place / "result")
    folder = tmp_path / "before"
    folder.mkdir()
    return folder


def told_in_one_line(trial) -> bool:
    """Whether the last line is the error, with no traceback above."""
    words = trial.words.strip().splitlines()
    return bool(words) and "Traceback" not in trial.words and trial.status == 2


def check(faults, trials, cases, same=None, known=lambda problem: False, parts=False):
    """Look at every trial; with `parts` a command goes on after a part that failed and ends with status 1."""
    for trial in trials:
        with cases.case(trial):
            problems = [p for p in faults.wrong(trial, same) if "it said" not in p and not known(p)]
            assert not problems, problems
            if trial.status not in (0, -9) and not (parts and trial.status == 1 and "Traceback" not in trial.words):
                assert told_in_one_line(trial), f"status {trial.status}: {trial.words[-400:]}"
    cases.check()


def alike(found: Path, wanted: Path) -> bool:
    """Equal, but for dates and durations that a result notes, and for --out in the line that repeats a table."""
    if found.suffix == ".json" and found.name in ("summary.json", "run.json"):
        try:
            one, other = json.loads(found.read_text()), json.loads(wanted.read_text())
        except ValueError:
            return False
        return one.keys() == other.keys()
    one, other = (path.read_bytes().replace(rb"\_", b"_") for path in (found, wanted))  # as LaTeX writes names
    return one.replace(bytes(found.parent), bytes(wanted.parent)) == other


MODULES = (
    "tyro",
    "scipy.stats",
    "saliency.commands.main",
    *(f"saliency.commands.{name}" for name in ("evaluate", "infer", "leaderboard", "prepare", "train")),
    "saliency.evaluation.contenders",
    "saliency.evaluation.dataset_run",
    "saliency.inference.render",
    "saliency.inference.zoo",
    "saliency.preparation.caching",
    "saliency.preparation.catalogue",
    "saliency.preparation.gaze_statistics",
    "saliency.report.leaderboard",
    "saliency.report.published",
    "saliency.training.dry_run",
    "saliency.training.seeds",
)
"""Imported once, instead of in each trial."""


@pytest.mark.parametrize(
    "action", [leaderboard, statistics, cache, evaluate, result, weights], ids=lambda a: a.__name__
)
@pytest.mark.parametrize("older", [False, True], ids=["fresh", "older"])
def test_a_command_whose_writes_fail(faults, cases, before, tmp_path, action, older):
    if older and action in (evaluate, cache):
        pytest.skip("what is complete is not written again")
    if older:
        action_into(action, before)
    trials = faults.sweep(action, before, tmp_path / "trials", most=10, imports=MODULES)
    assert len(trials) > 8
    check(faults, trials, cases, alike, parts=action is cache)


def action_into(action, before):
    """What an earlier, undisturbed call left, made older."""
    for name in ("mine.py", "own", "result"):
        assert (before.parent / name).exists()
    assert action(before) == 0
    for path in before.rglob("*"):
        if path.is_file() and path.suffix not in (".json",):
            path.write_bytes(path.read_bytes() + b"older")


def same(found: Path, wanted: Path) -> bool:
    return found.read_bytes() == wanted.read_bytes()


@pytest.mark.parametrize("older", [False, True], ids=["fresh", "older"])
def test_infer_whose_writes_fail(faults, cases, before, tmp_path, older):
    """Over nothing, or over the complete film and maps of other settings; --skip-done then comes to the same end."""
    if older:
        assert infer(before, "--style", "heat", "--peak", "1e-3") == 0
    trials = faults.sweep(infer, before, tmp_path / "trials", most=8, imports=MODULES)
    check(faults, trials, cases, known=lambda problem: ".partial" in problem or FILE in problem)
    for trial in trials:
        with cases.case(f"--skip-done after {trial}"):
            maps = [*(trial.folder / "2_maps").glob("[!.]*"), *(trial.folder / "2_maps").glob(".maps.json")]
            places = [place / "2_maps" for place in (trial.before, trial.whole) if (place / "2_maps").is_dir()]
            assert not maps or any(all(same(m, place / m.name) for m in maps) for place in places)
            assert infer(trial.folder, "--skip-done") == 0
            left = {path.relative_to(trial.folder) for path in trial.folder.rglob("[!.]*") if path.is_file()}
            assert left == {path.relative_to(trial.whole) for path in trial.whole.rglob("[!.]*") if path.is_file()}
            assert all(same(trial.folder / path, trial.whole / path) for path in left)
    cases.check()


def test_a_checkpoint_whose_writes_fail(faults, cases, before, tmp_path):
    """The newest that is listed is whole: the old one or the new one; an InputError says which."""
    checkpoint.save_step(before / "checkpoints", 1, state(1.0), keep=1)
    trials = faults.sweep(checkpoints, before, tmp_path / "trials", most=12, imports=["torch"])
    for trial in trials:
        with cases.case(trial):
            newest = checkpoint.steps(trial.folder / "checkpoints")[-1]
            assert checkpoint.last_good(trial.folder / "checkpoints") == newest
            loaded = checkpoint.load(newest)
            assert float(loaded.models["net"]["w"][0]) == float(newest.name.removeprefix("step-"))
            assert trial.status != 0 or newest.name == "step-00000002"
    cases.check()


def outcome(folder: Path) -> dict[str, bytes]:
    """The best weights and the log: what must be the same, bit for bit, after any interruption."""
    run = folder / "run"
    found = {}
    for path in run.glob("*/[!.]*.safetensors"):
        with safetensors.safe_open(path, framework="pt") as file:  # its header lists them in any order
            found[f"{path.parent.name}/{path.name}"] = file.metadata()["content_sha256"].encode()
    return found | {"log": (run / "log.jsonl").read_bytes()}


@pytest.mark.parametrize("action", [train, resume], ids=lambda a: a.__name__)
def test_a_training_whose_writes_fail_goes_on_to_the_same_bits(faults, cases, before, tmp_path, action):
    """Whatever was written when the disk failed or the process died, --resume ends at the same weights and log."""
    if action is resume:
        assert train(before) == 0
        for path in sorted((before / "run" / "bi_kd" / "checkpoints").glob("step-*"))[1:]:
            path.rename(tmp_path / path.name)
    trials = faults.sweep(action, before, tmp_path / "trials", most=8, imports=MODULES)
    wanted = outcome(trials[0].whole)
    for trial in trials:
        with cases.case(trial):
            if trial.status not in (0, -9):
                assert told_in_one_line(trial), f"status {trial.status}: {trial.words[-400:]}"
            for path in (trial.folder / "run").glob("*/[!.]*.safetensors"):
                load_model(path)
            assert resume(trial.folder) == 0
            assert outcome(trial.folder) == wanted
    cases.check()


def test_the_toy_config_is_a_run(before, tmp_path):
    from saliency.config.load import load_run

    assert dumps(load_run(before.parent / "mine.py"))
