"""`benchmarks/gpu.py` works before a GPU is at hand: every part of it, on small models on the CPU."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_part_works_on_the_cpu(tmp_path):
    words = ["--device", "cpu", "--tiny", "--batches", "1", "2", "--seconds", "0.01", "--out", tmp_path / "gpu.json"]
    command = [sys.executable, ROOT / "benchmarks" / "gpu.py", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "gpu.json").read_text())
    assert result["parity"] == dict.fromkeys(("ViNet-S", "ViNet-A", "TMFI-Net"), 0.0)
    assert result["resume"] == "equal to the bit"
    assert all(row["samples_s"] > 0 for row in result["tri-Bi-KD"].values())
    for name in result["parity"]:
        rows = result[f"speed of {name}"]
        assert {row["way"] for row in rows} == {"eager", "channels_last_3d", "compile"}
        assert all(row["maps_s"] > 0 for row in rows), rows
    assert "| ViNet-S | compile | bf16 | 2 |" in (tmp_path / "gpu.md").read_text()
