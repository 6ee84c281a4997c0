"""README's table of speed is made of the results; a ratio that fell is told."""

import importlib.util
import json
from pathlib import Path

import pytest

from saliency.errors import InputError

ROOT = Path(__file__).parents[2]


def script(name):
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", ROOT / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def claims():
    return script("claims")


def write(folder, name, ours_value, **changes):
    claim = {
        "name": "work",
        "usual": "slow",
        "usual_value": 12.0,
        "ours": "fast",
        "ours_value": ours_value,
        "unit": "s",
    }
    result = {"date": name[:10], "cpu": "A", "claims": [claim], **changes}
    (folder / name).write_text(json.dumps(result))
    return folder / name


def test_readme_says_what_was_measured(claims):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert claims.filled(text, claims.latest()) == text, "run python benchmarks/claims.py"


def test_the_last_of_each_processor_counts(claims, tmp_path):
    write(tmp_path, "2026-01-01-x.json", 4.0)
    write(tmp_path, "2026-01-02-x.json", 3.0)
    write(tmp_path, "2026-01-03-x.json", 6.0, cpu="B")
    (tmp_path / "2026-01-04-other.json").write_text('{"no": "claims"}')
    found = claims.latest(tmp_path)
    assert [(claim.cpu, claim.ratio) for claim in found] == [("A", 4.0), ("B", 2.0)]
    assert "| work | slow, 12 s | fast, 3 s | 4.0 x | [2026-01-02](benchmarks/results/2026-01-02-x.md), A |" in (
        claims.section(found)
    )


def test_a_ratio_that_fell_is_told(claims, tmp_path):
    write(tmp_path, "2026-01-01-x.json", 3.0)  # 4 x
    for ours, told in ((3.5, 0), (3.6, 1)):  # 3.43 x is 14 % less, 3.33 x is 17 %
        fresh = claims.read(write(tmp_path / "..", "fresh.json", ours))
        assert len(claims.fallen(fresh, claims.latest(tmp_path))) == told
    assert not claims.fallen(claims.read(write(tmp_path / "..", "fresh.json", 9.0, cpu="C")), claims.latest(tmp_path))


def test_strange_results_are_refused(claims, tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(InputError, match=r"x\.json: no result"):
        claims.read(tmp_path / "x.json")
    with pytest.raises(InputError, match="README"):
        claims.filled("no marks", [])
