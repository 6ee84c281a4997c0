"""Two processes write the films and maps of one, bit for bit, and what a killed one leaves is done."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
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
    files = (path for path in sorted(folder.rglob("[!.]*.*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


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
    environment = os.environ | {"OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}  # not after everybody else
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


def writer_of(out: Path, process: subprocess.Popen[str]) -> int:
    """The process that is writing a film below a folder at this moment; waits for one."""
    while process.poll() is None:
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                files = [file.readlink() for file in (place / "fd").iterdir()]
                if any(file.is_relative_to(out) and ".partial." in file.name for file in files):
                    return int(place.name)
        time.sleep(0.01)
    raise AssertionError(process.communicate()[0])


LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for the writer in /proc")


@LINUX
@pytest.mark.ray
@pytest.mark.timeout(900)
def test_another_process_of_ray_does_what_a_killed_one_left(clips, one, tmp_path):
    pytest.importorskip("ray")
    process = start(clips, "--out", tmp_path, "--engine", "ray", "--workers", 2)
    os.kill(writer_of(tmp_path, process), signal.SIGKILL)
    said, _ = process.communicate(timeout=280)
    assert process.returncode == 0 and "a process died over" in said, said
    assert content(tmp_path) == one


@LINUX
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_same_command_again_does_what_a_killed_process_of_torchrun_left(clips, one, tmp_path):
    process = start(clips, "--out", tmp_path, launcher=(*TORCHRUN, "-m", "saliency"))
    os.kill(writer_of(tmp_path, process), signal.SIGKILL)
    said, _ = process.communicate(timeout=280)
    left = {name for name in content(tmp_path) if ".partial" not in name}
    assert process.returncode != 0 and left < set(one), said
    process = start(clips, "--out", tmp_path, "--skip-done", launcher=(*TORCHRUN, "-m", "saliency"))
    said, _ = process.communicate(timeout=280)
    assert process.returncode == 0, said
    assert content(tmp_path) == one
