"""What the hostile tests share: the fault injection of `faults.py` as a fixture."""

import importlib.util
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def _load(name):
    spec = importlib.util.spec_from_file_location(f"hostile_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def faults():
    """The module `faults`; skips where the shim cannot be built."""
    module = _load("faults")
    if module.shim() is None:
        pytest.skip("fault injection needs Linux and a C compiler")
    return module
