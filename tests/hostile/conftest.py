"""What the hostile tests share: modules beside this file as fixtures, and a count of cases by class.

A test file names its class with ``pytestmark = pytest.mark.hostile("container tables")``. Each test is one case unless
it tries several with the fixture `cases`. ``python tests/hostile/count.py`` runs them all and prints the counts.
"""

import contextlib
import importlib.util
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def _load(name):
    full = f"hostile_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, HERE / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]


@pytest.fixture(scope="session")
def faults():
    """The module `faults`; skips where the shim cannot be built."""
    module = _load("faults")
    if module.shim() is None:
        pytest.skip("fault injection needs Linux and a C compiler")
    return module


@pytest.fixture(scope="session")
def containers():
    """The module `containers`."""
    return _load("containers")


class Cases:
    """Several cases of one test: all are tried, `check` then fails with the names of those that went wrong."""

    def __init__(self):
        self.counts = [0, 0]  # tried, failed
        self.failed = {}

    @contextlib.contextmanager
    def case(self, name):
        """Try one case; an assertion or exception in the block makes it a failed one."""
        self.counts[0] += 1
        try:
            yield
        except Exception as error:
            self.counts[1] += 1
            self.failed[str(name)] = f"{type(error).__name__}: {error}".splitlines()[0]

    def check(self):
        """Fail if a case failed, or if there was none."""
        assert self.counts[0]
        words = "\n".join(f"{name}: {problem}" for name, problem in self.failed.items())
        assert not self.failed, f"{len(self.failed)} of {self.counts[0]} cases:\n{words}"


@pytest.fixture
def cases(request):
    """Count the cases of a test that tries several."""
    found = Cases()
    request.node.user_properties.append(("cases", found.counts))
    return found
