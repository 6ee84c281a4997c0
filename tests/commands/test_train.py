"""The main job from the command line, made tiny: train, table, resume, infer, refuse."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
TINY_DATA = [
    f"{part}.source.{name}={value}"
    for part in ("data", "report")
    for name, value in {
        "train_videos": 2,
        "val_videos": 1,
        "test_videos": 1,
        "min_frames": 12,
        "max_frames": 12,
    }.items()
]
TINY = [
    *TINY_DATA,
    "data.clips_per_video=1",
    "report.every.test=6",
    "report.every.real=400",
    "report.overlays=1",
    "stages.scratch.epochs=2",
    "stages.control.epochs=2",
    "stages.bi_kd.epochs=2",
    "train.batch_size=2",
    "train.threads=1",
]


def run_tool(tool: str, *arguments: str, cache: Path, data: Path = Path("nowhere")) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "SALIENCY_CACHE": str(cache), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    env["SALIENCY_DATA"] = str(data)
    return subprocess.run(
        [sys.executable, str(REPO / "tools" / tool), *arguments],
        cwd=REPO, env=env, capture_output=True, text=True, timeout=280,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder of a finished tiny run on a machine without the real video, and the cache it used."""
    root = tmp_path_factory.mktemp("train")
    done = run_tool("train.py", "configs/mini_tmfi_vinet.py", *TINY, "--out", str(root / "run"), cache=root / "cache")
    assert done.returncode == 0, done.stderr
    told = [line for line in (done.stdout + done.stderr).splitlines() if "saliency data get dhf1k-002" in line]
    assert len(told) == 1 and "split 'real' is left out" in told[0], done.stderr
    return root / "run", root / "cache"


def test_run_leaves_what_the_readme_promises(trained: tuple[Path, Path]) -> None:
    folder, _ = trained
    for stage in ("scratch", "control", "bi_kd"):
        for learner in ("tmfi_net", "vinet_s", "vinet_a"):
            assert (folder / stage / f"{learner}.safetensors").stat().st_size > 100_000
        assert list((folder / "tensorboard" / stage).glob("events*"))
    table = (folder / "leaderboard.md").read_text()
    for row in ("tmfi_net · scratch", "vinet_s · control", "vinet_a · bi_kd", "centre prior", "chance", "one observer"):
        assert row in table, table
    for metric in ("CC", "NSS", "AUC-J", "SIM", "KL", "sAUC"):
        assert metric.lower().replace("-", "") in table.lower().replace("-", ""), (metric, table)
    assert (folder / "leaderboard.csv").exists()
    tables = json.loads((folder / "leaderboard.json").read_text())["tables"]
    assert {table["dataset"] for table in tables} == {"test"}
    assert all(row["metrics"]["auc_shuffled"]["value"] for table in tables for row in table["rows"])
    assert len(list((folder / "overlays").glob("*.png"))) == 1


def test_finished_run_resumes_to_its_table(trained: tuple[Path, Path]) -> None:
    folder, cache = trained
    before = (folder / "leaderboard.csv").read_text()
    done = run_tool("train.py", str(folder / "config.json"), "--out", str(folder), "--resume", cache=cache)
    assert done.returncode == 0, done.stderr
    assert (folder / "leaderboard.csv").read_text() == before


def test_the_real_video_is_scored_once_it_is_there(trained: tuple[Path, Path], stand_in: Path, tmp_path: Path) -> None:
    folder, cache = trained
    copy = shutil.copytree(folder, tmp_path / "run")
    done = run_tool("train.py", str(copy / "config.json"), "--out", str(copy), "--resume", cache=cache, data=stand_in)
    assert done.returncode == 0, done.stderr
    assert "is left out" not in done.stdout + done.stderr
    tables = {table["dataset"]: table for table in json.loads((copy / "leaderboard.json").read_text())["tables"]}
    before = json.loads((folder / "leaderboard.json").read_text())["tables"]
    assert set(tables) == {"test", "real"} and [tables["test"]["rows"]] == [table["rows"] for table in before]
    assert len(tables["real"]["rows"]) == len(tables["test"]["rows"])
    assert all(row["metrics"]["auc_shuffled"]["value"] for row in tables["real"]["rows"])
    assert len(list((copy / "overlays").glob("real-*.png"))) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["configs/mini_tmfi_vinte.py"], "did you mean 'configs/mini_tmfi_vinet.py'"),
        (["configs/mini_tmfi_vinet.py", "train.batchsize=2"], "did you mean 'batch_size'"),
        (["configs/mini_tmfi_vinet.py", "train.device=cuda:7"], "no GPU"),
        (["configs/dhf1k_tmfi_vinet.py"], "https://github.com/wenguanwang/DHF1K"),
    ],
)
def test_bad_input_is_one_line_and_status_two(tmp_path: Path, arguments: list[str], message: str) -> None:
    environment = dict(os.environ)
    os.environ.pop("DHF1K_ROOT", None)
    try:
        done = run_tool("train.py", *arguments, "--out", str(tmp_path / "run"), cache=tmp_path)
    finally:
        os.environ.update(environment)
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and message in errors[0], done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "config.json").exists(), "a refused run leaves nothing behind"


def test_options_lists_everything_with_its_type(tmp_path: Path) -> None:
    done = run_tool("train.py", "configs/mini_tmfi_vinet.py", "--options", cache=tmp_path)
    assert done.returncode == 0
    assert "train.batch_size=8  (int)" in done.stdout
    assert "learners.vinet_s.optimizer.lr=0.002  (float)" in done.stdout
