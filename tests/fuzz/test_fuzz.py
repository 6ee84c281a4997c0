"""Readers meet some hundred damaged inputs each, always the same ones, and all that ``make fuzz`` ever found."""

import importlib.util
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

HERE = Path(__file__).parent


def _load(name):
    full = f"fuzz_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, HERE / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]


damage, targets = _load("damage"), _load("targets")
EXAMPLES = 150
FOUND = sorted((HERE / "found").glob("*/*.bin"))

pytestmark = pytest.mark.hostile("fuzzed files")


@pytest.mark.parametrize("name", targets.TARGETS)
def test_damaged_inputs_are_read_or_refused(request, name):
    target = targets.TARGETS[name]
    counts = [0, 0]
    request.node.user_properties.append(("cases", counts))

    @settings(
        max_examples=max(10, round(EXAMPLES * target.share)),
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(damage.damaged(target.seeds(), target.words, text=target.text))
    def run(data):
        counts[0] += 1
        with tempfile.TemporaryDirectory() as folder:
            targets.attempt(target, data, Path(folder))

    run()


@pytest.mark.parametrize("name", targets.TARGETS)
def test_whole_inputs_are_read(name, tmp_path):
    """The seeds are what they should be: damage is what makes the rest fail."""
    for i, data in enumerate(targets.TARGETS[name].seeds()):
        (tmp_path / str(i)).mkdir()
        if (name, i) != ("config", 2):  # a part of a config, which is no run
            targets.TARGETS[name].read(data, tmp_path / str(i))


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_was_found_stays_mended(path, tmp_path):
    targets.attempt(targets.TARGETS[path.parent.name], path.read_bytes(), tmp_path)
