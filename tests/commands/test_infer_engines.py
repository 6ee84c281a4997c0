"""Two processes write the films and maps of one, bit for bit, and what a killed one leaves is done."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from saliency.io.stamped import Recipe, write_stamped

RECIPE = Recipe(codec="libx264", suffix=".mp4", options={"preset": "ultrafast", "crf": "16"}, size=(48, 80))
COUNT = 20
OPTIONS = ["--weights", "mini_vinet_a", "--maps", "npy", "--device", "cpu"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for i in range(COUNT):
        write_stamped(folder / f"{i}.mp4", dataclasses.replace(RECIPE, size=(48, 80 + i % 4 * 2)), 3 + i % 4)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("[!.]*.*"))}


def start(*words: object, launcher: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        *launcher,
        *(() if launcher else ("saliency",)),
        "infer",
        *map(str, words),
        *OPTIONS,
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


@pytest.fixture(scope="module")
def one(clips, tmp_path_factory):
    out = tmp_path_factory.mktemp("one")
    process = start(clips, "--out", out)
    said, _ = process.communicate(timeout=280)
    assert process.returncode == 0, said
    return content(out)


TORCHRUN = ("torch.distributed.run", "--nproc-per-node", "2", "--standalone")


@pytest.mark.slow
def test_torchrun_writes_the_same_files(clips, one, tmp_path):
    process = start(clips, "--out", tmp_path, launcher=(*TORCHRUN, "-m", "saliency"))
    said, _ = process.communicate(timeout=280)
    assert process.returncode == 0, said
    assert said.count("model: mini_vinet_a") == 1
    assert content(tmp_path) == one


@pytest.mark.ray
def test_ray_writes_the_same_files(clips, one, tmp_path):
    pytest.importorskip("ray")
    process = start(clips, "--out", f"file://{tmp_path}/out", "--engine", "ray", "--workers", 2)
    said, _ = process.communicate(timeout=280)
    assert process.returncode == 0, said
    assert content(tmp_path / "out") == one
