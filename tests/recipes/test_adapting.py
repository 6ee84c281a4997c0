"""What adapting promises, on real gaze: benchmarks/own_data.py made smaller."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "own_data.py"


@pytest.fixture
def benchmark():
    if not (Path(os.environ.get("SALIENCY_DATA", "nowhere")) / "real_gaze" / "scene").is_dir():
        pytest.skip("SALIENCY_DATA names no folder that has real_gaze (saliency data get osie, crowd, scene)")
    spec = importlib.util.spec_from_file_location("own_data_benchmark", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_photographs_of_a_new_set_help_there_and_do_not_hurt_elsewhere(benchmark, tmp_path):
    start = benchmark.learned_elsewhere("scene", tmp_path / "start", epochs=2)
    files = benchmark.adapted("scene", tmp_path / "adapted", count=20, start=str(start))
    table = benchmark.scored(files)
    before, mean = table["before"], table["mean"]
    assert mean["scene"]["nss"] > before["scene"]["nss"] and mean["scene"]["kld"] < before["scene"]["kld"]
    for other in ("osie", "crowd"):
        assert mean[other]["nss"] > 0.8 * before[other]["nss"]
