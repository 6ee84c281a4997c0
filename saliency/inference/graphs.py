"""Graphs of models for other runtimes, made once and kept in the cache folder.

Each has a folder of its own, named after all that decides it: the weights, the clip, the code of the model and the
versions of the packages. It appears there complete, in one step; processes that want the same one wait for the first;
one whose files are not what was written is made again.
"""

import contextlib
import hashlib
import importlib.metadata
import inspect
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from torch import nn

from saliency.inference.export import write_graph
from saliency.io.cache_folder import VARIABLE, cache_folder
from saliency.io.locks import lock
from saliency.io.serial import encode
from saliency.io.weights import file_sha256
from saliency.types import InputSpec

log = logging.getLogger(__name__)

CHECKSUMS = "checksums.json"
PACKAGES = {".xml": ("torch", "openvino"), ".onnx": ("torch", "onnx", "onnxscript")}
"""Format -> the packages that make it."""


@contextlib.contextmanager
def graph_file(model: nn.Module, spec: InputSpec, suffix: str, sha256: str = "") -> Iterator[Path]:
    """Give the file of a model's graph, which is there at least while inside.

    Weights without a file, and a cache folder that cannot be written, leave it to be made for this one time.

    Args:
        model: (B, 3, T, h, w) -> (B, h', w').
        spec: the clip, its size fixed.
        suffix: ``.xml`` (OpenVINO) or ``.onnx``.
        sha256: of the weights file, which says all of the model; empty: there is none.

    Raises:
        InputError: a package is missing, or the graph does not give the model's maps.
    """
    with contextlib.ExitStack() as opened:
        home = _home() if sha256 else None
        if home is None:
            folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="saliency-graph-")))
            yield _write(model, spec, folder / f"graph{suffix}")
            return
        key = _key(model, spec, suffix, sha256)
        name = f"{type(model).__name__.lower()}-{spec.size[0]}x{spec.size[1]}-{key}{suffix}"
        with _alone(home / f".{name}.lock"):
            _make(home / name, model, spec, suffix)
        yield home / name / f"graph{suffix}"


def _home() -> Path | None:
    """The folder of all graphs; None where it cannot be written."""
    home = cache_folder() / "graphs"
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            return home
    except OSError as error:
        log.warning("%s cannot be written (%s): graphs are made anew each time; set %s", home, error.strerror, VARIABLE)
        return None


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process at a time inside; the lock goes with the process."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        lock(handle, wait=True)
        yield
    finally:
        os.close(handle)


def _make(place: Path, model: nn.Module, spec: InputSpec, suffix: str) -> None:
    """Have a complete graph in the folder `place`."""
    if _complete(place):
        return
    if place.exists():
        log.warning("%s is damaged and made again", place)
        shutil.rmtree(place)
    for left in place.parent.glob(f".{place.name}.*/"):  # of a process that was killed: we hold the lock
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".{place.name}.", dir=place.parent) as scratch:
        folder = Path(scratch) / "graph"
        folder.mkdir()
        _write(model, spec, folder / f"graph{suffix}")
        written = {file.name: file_sha256(file) for file in folder.iterdir()}
        (folder / CHECKSUMS).write_text(json.dumps(written), encoding="utf-8")
        folder.rename(place)


def _write(model: nn.Module, spec: InputSpec, path: Path) -> Path:
    log.info("making a graph of %s for %s, once", type(model).__name__, path.suffix)
    write_graph(model, spec, path)
    return path


def _complete(place: Path) -> bool:
    """Whether the folder holds what was written to it."""
    try:
        written = json.loads((place / CHECKSUMS).read_text(encoding="utf-8"))
        return all(file_sha256(place / name) == known for name, known in written.items())
    except (OSError, ValueError, AttributeError):
        return False


def _key(model: nn.Module, spec: InputSpec, suffix: str, sha256: str) -> str:
    """A checksum of all that decides the graph."""
    parts = [sha256, json.dumps(encode(spec), sort_keys=True)]
    parts += [importlib.metadata.version(package) for package in PACKAGES[suffix]]
    kinds = {type(module) for module in model.modules()} | {type(spec)}
    sources = {Path(inspect.getfile(kind)) for kind in kinds if kind.__module__.startswith("saliency.")}
    sources |= {Path(inspect.getfile(write_graph))}
    parts += [file_sha256(source) for source in sorted(sources)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
