"""tools/evaluate.py and tools/leaderboard.py on tiny videos."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saliency.commands import main as commands
from saliency.errors import InputError
from saliency.evaluation.result import Result
from saliency.inference.engine import Engine
from saliency.inference.predictor import Predictor
from saliency.io.frames import open_frames
from saliency.io.transforms import resize_map
from saliency.io.weights import save_model
from saliency.models.vinet_s import ViNetSConfig
from saliency.types import InputSpec

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Tiny models gain nothing from threads, and on a busy machine these wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run(tool: str, *arguments: str) -> int:
    """Run a command in this process."""
    return commands.run([tool, *arguments])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of the folder layout, with gaze."""
    root = tmp_path_factory.mktemp("own") / "toy"
    rng = np.random.default_rng(0)
    (root / "gaze").mkdir(parents=True)
    for name, frames in (("001", 4), ("002", 5)):
        (root / "videos" / name).mkdir(parents=True)
        lines = ["observer,frame,x,y"]
        for i in range(frames):
            frame = rng.integers(0, 255, (48, 80, 3), dtype=np.uint8)
            Image.fromarray(frame).save(root / "videos" / name / f"{i + 1:04d}.png")
            lines += [f"{k},{i},{rng.uniform(20, 70):.2f},{rng.uniform(10, 40):.2f}" for k in range(5)]
        (root / "gaze" / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = ViNetSConfig(input=InputSpec(length=8, size=(32, 64)), width=0.125)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_model(path, config.build(), config)
    return path


def write_maps(data: Path, weights: Path, out: Path, kind: str) -> None:
    """Write a model's maps at the videos' size, as an inference tool does."""
    from saliency.io.weights import load_model

    loaded = load_model(weights)
    for video in sorted((data / "videos").iterdir()):
        (out / video.name).mkdir(parents=True)
        with open_frames(video) as source:
            for i, pred in Predictor(Engine(loaded.model, loaded.config.input)).maps(source):
                values = resize_map(pred, source.size).numpy()
                path = out / video.name / f"{i + 1:04d}.{kind}"
                if kind == "npy":
                    np.save(path, values)
                else:
                    levels = np.rint(values / values.max() * 255).astype(np.uint8)
                    Image.fromarray(levels).save(path)


def test_checkpoint_and_its_maps_score_alike(data, weights, tmp_path, capsys):
    write_maps(data, weights, tmp_path / "float", "npy")
    write_maps(data, weights, tmp_path / "eight", "png")
    maps = [f"float={tmp_path / 'float'}", f"eight={tmp_path / 'eight'}"]
    out = tmp_path / "out"
    code = run(
        "evaluate", "--data", str(data), "--weights", f"net={weights}", "--maps", *maps, "--baselines", "chance",
        "other-observers", "--out", str(out), "--gallery", "1", "--device", "cpu", "--per-frame", "parquet",
    )  # fmt: skip
    assert code == 0
    assert all((out / name / "frames.parquet").is_file() for name in ("net", "chance"))
    results = {path.name: Result.load(path) for path in out.iterdir()}
    assert set(results) == {"net", "float", "eight", "chance", "other_observers"}
    assert results["net"].dataset == "toy test"
    assert [row.scores for row in results["net"].rows] == [row.scores for row in results["float"].rows]
    assert results["net"].metadata["predictor"]["sha256"]
    for metric, value in results["net"].means().items():
        assert results["eight"].means()[metric] == pytest.approx(value, abs=0.02)
    assert all((out / name / "gallery.html").is_file() for name in results)
    shown = capsys.readouterr().out
    assert "9 frames of 2 videos" in shown and "chance: 9 frames with a constant prediction" in shown

    code = run(
        "leaderboard", str(out), "--out", str(tmp_path / "table"), "--baseline", "chance", "--published", "dhf1k",
        "--samples", "100",
    )  # fmt: skip
    assert code == 0
    shown = capsys.readouterr().out
    assert "| other observers † |" in shown and "| TMFI-Net, Bi-KD with ViNet-A | 0.558 | 3.216 |" in shown
    tables = json.loads((tmp_path / "table" / "leaderboard.json").read_text())["tables"]
    assert [table["dataset"] for table in tables] == ["toy test", "DHF1K"]
    assert {row["kind"] for row in tables[0]["rows"]} == {"model", "baseline", "ceiling"}


def test_one_videos_maps_may_lie_in_the_folder_itself(data, weights, tmp_path):
    single = tmp_path / "single"
    (single / "videos").mkdir(parents=True)
    (single / "gaze").mkdir()
    (single / "videos" / "001").symlink_to(data / "videos" / "001")
    (single / "gaze" / "001.csv").symlink_to(data / "gaze" / "001.csv")
    write_maps(single, weights, tmp_path / "maps", "npy")
    common = ("--data", str(single), "--shuffled", "video", "--device", "cpu")
    run("evaluate", *common, "--maps", str(tmp_path / "maps" / "001"), "--out", str(tmp_path / "out"))
    result = Result.load(tmp_path / "out" / "001")
    assert result.protocol.name == "canonical+shuffled-video"
    assert result.means()["auc_shuffled"] is not None


def test_what_went_before_a_kill_counts_over_time(data, tmp_path, capsys):
    words = ("--data", str(data), "--baselines", "chance", "--out", str(tmp_path))
    home, table = tmp_path / "chance", tmp_path / "chance" / "over_time.csv"
    run("evaluate", *words)
    whole = table.read_bytes()
    assert [line.split(b",")[0] for line in whole.splitlines()] == [b"video", b"001", b"002"]
    table.unlink()
    (home / "parts" / "002.csv").unlink()  # killed between the movement of a video and its rows
    run("evaluate", *words)
    assert table.read_bytes() == whole

    table.unlink()
    (home / "parts" / "001.json").unlink()  # scored by several processes
    capsys.readouterr()
    run("evaluate", *words)
    assert "chance: over time covers 1 of 2 videos" in capsys.readouterr().out and not table.exists()
    (home / "parts" / "002.json").write_text('{"flicker": 1}')
    with pytest.raises(InputError, match=r"002\.json cannot be read; start again with --restart"):
        run("evaluate", *words)


def test_stage_in_a_results_name_makes_gains(data, tmp_path, capsys):
    for stage in ("scratch", "control"):
        run("evaluate", "--data", str(data), "--baselines", "chance", "--out", str(tmp_path / stage))
        folder = tmp_path / stage / "chance"
        dataclasses.replace(Result.load(folder), name=f"net/{stage}").save(folder)
    run("leaderboard", str(tmp_path), "--out", str(tmp_path / "table"), "--format", "md")
    assert "| net | scratch → control |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--data", "dhf1kk", "--baselines", "chance"),
            "--data dhf1kk is no folder and none of .* did you mean 'dhf1k'",
        ),
        (("--data", "TOY", "--export", "videos"), r"nothing to score; name --weights \(default, for one\), "),
        (("--data", "TOY", "--maps", "nowhere"), "nowhere is no folder; --maps takes"),
        (("--data", "TOY", "--baselines", "mean-train-map"), "has no split 'train'"),
        (("--data", "TOY", "--baselines", "chance", "--protocol", "cannonical"), "did you mean 'canonical'"),
        (("--data", "TOY", "--baselines", "chance", "--every", "0"), "every must be at least 1"),
        (("--data", "mini", "--root", "x", "--baselines", "chance"), "leave --root out"),
        (("--data", "real", "--baselines", "chance"), "get it with: saliency data get dhf1k-002"),
        (("--data", "TOY", "--ensemble"), "give at least two --weights"),
        (("--data", "TOY", "--export", "dhf1k-test"), "needs DHF1K's test videos"),
        (("--weights", "none.safetensors"), "none.safetensors"),
        (("--data", "TOY", "--baselines", "chance", "--batch-size", "0"), "--batch-size must be at least 1, got 0"),
        (("--data", "TOY", "--baselines", "chance", "--gallery", "-1"), "--gallery must be at least 0"),
        (
            ("--data", "TOY", "--baselines", "chance", "--gallery", "1", "--gallery-metric", "ncc"),
            "--gallery-metric ncc is none of cc, nss, ",
        ),
    ],
)
def test_bad_input_is_one_line(data, tmp_path, monkeypatch, arguments, message):
    monkeypatch.setenv("SALIENCY_DATA", str(tmp_path / "no_data"))
    monkeypatch.setenv("SALIENCY_CACHE", str(tmp_path / "cache"))
    arguments = tuple(str(data) if argument == "TOY" else argument for argument in arguments)
    with pytest.raises(InputError, match=message) as error:
        run("evaluate", *arguments, "--out", str(tmp_path / "out"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to show"),
        (("nowhere",), "nowhere does not exist"),
        (("EMPTY",), "holds no evaluation result"),
        (("--published", "dhf1k", "--baseline", "ViNet"), "--baseline ViNet names a row of results"),
        (("--published", "imagenet", "EMPTY"), "no finished transfer run"),
    ],
)
def test_leaderboard_refuses_bad_input(tmp_path, arguments, message):
    arguments = tuple(str(tmp_path) if argument == "EMPTY" else argument for argument in arguments)
    with pytest.raises(InputError, match=message):
        run("leaderboard", *arguments, "--out", str(tmp_path / "out"))


def test_published_tables_are_printed_without_any_result(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("leaderboard", "--published", "ade20k") == 0
    assert "| Mask2Former Swin-T, with R50 | 47.7 | 72.37 |" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_the_command_line_prints_one_line_and_a_status(tmp_path):
    done = subprocess.run(
        [sys.executable, str(REPO / "tools" / "evaluate.py"), "--data", "nowhere"],
        cwd=tmp_path, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: --data nowhere is no folder") and done.stderr.count("\n") == 1
