"""The golden cases as tensors."""

import importlib.util
import json
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

DATA = Path(__file__).parents[1] / "data" / "metrics"


def load(name: str, path: Path) -> ModuleType:
    """Import one file by its path."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


inputs = load("metric_inputs", DATA / "inputs.py")
GOLDEN = json.loads((DATA / "golden.json").read_text())


@dataclass(frozen=True)
class Golden:
    """One case: (H, W) tensors, the arrays they came from, and what each implementation says."""

    name: str
    arrays: dict
    values: dict[str, dict]
    sha256: dict[str, str]

    @property
    def drifted(self) -> list[str]:
        """Arrays whose content is not what the golden values were computed from."""
        return [key for key, array in self.arrays.items() if inputs.sha256(array) != self.sha256[key]]

    def arguments(self, dtype: torch.dtype) -> dict[str, Tensor]:
        """The inputs of `score`; the prediction resized to the ground truth as every protocol does."""
        tensors = {key: torch.from_numpy(array.copy()) for key, array in self.arrays.items()}
        pred, size = tensors["pred"].double(), tensors["density"].shape
        if pred.shape != size:
            pred = torch.nn.functional.interpolate(pred[None, None], size, mode="bilinear")[0, 0]
        return {
            "pred": pred.to(dtype),
            "density": tensors["density"].to(dtype),
            "fixations": tensors["fixations"],
            "others": tensors["others"],
            "baseline": tensors["baseline"].to(dtype),
        }


@cache
def make(name: str) -> Golden:
    stored = dict(GOLDEN[name])
    return Golden(name, inputs.make(name), sha256=stored.pop("sha256"), values=stored)


@pytest.fixture(params=list(GOLDEN), scope="session")
def golden(request: pytest.FixtureRequest) -> Golden:
    """Each of the 46 golden cases."""
    return make(request.param)


@pytest.fixture(scope="session")
def golden_named():
    """name -> golden case."""
    return make


@pytest.fixture(scope="session")
def pysaliency() -> dict[str, ModuleType]:
    """pysaliency's metric code, without the package's imports.

    `import pysaliency` needs pkg_resources, which recent setuptools no longer has, and model code nobody needs
    here; the two files that hold the metrics import numpy and numba only.
    """
    spec = importlib.util.find_spec("pysaliency")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("pysaliency is not installed; pip install -e .[dev]")
    folder = Path(spec.submodule_search_locations[0])
    return {name: load(f"pysaliency_{name}", folder / f"{name}.py") for name in ("metrics", "numba_utils")}
