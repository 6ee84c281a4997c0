"""Checkpoints to resume from: written whole or not at all, verified on reading.

A checkpoint is a folder. Its files are written and fsynced in a temporary folder beside it, the manifest with
their sha256 sums last, and only then is the folder renamed into place: a crash at any moment leaves either the
new checkpoint or the previous one, never half of one.
"""

import errno
import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from saliency.errors import InputError
from saliency.io.atomic import write_atomic

MANIFEST = "manifest.json"
PROGRESS = "progress.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Everything a run needs to go on as if it had never stopped.

    Random numbers need no state: every draw is a function of the seed and the step.

    Attributes:
        models: learner -> state dict.
        optimizers: learner -> optimizer state dict.
        progress: stage, step, best values and counters; JSON data.
    """

    models: Mapping[str, Mapping[str, Tensor]]
    optimizers: Mapping[str, dict[str, Any]]
    progress: dict[str, Any]


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` as `folder`, which must not exist yet.

    Raises:
        InputError: the disk is full; nothing else was touched.
    """
    files = {PROGRESS: json.dumps(checkpoint.progress, indent=2).encode()}
    for name, state in checkpoint.models.items():
        # clones: state dict entries may share storage, which safetensors refuses
        plain = {key: value.detach().cpu().contiguous().clone() for key, value in state.items()}
        files[f"{name}.safetensors"] = safetensors.torch.save(plain)
    for name, state in checkpoint.optimizers.items():
        buffer = io.BytesIO()
        torch.save(state, buffer)
        files[f"{name}.optimizer.pt"] = buffer.getvalue()
    _write_folder(folder, files)


def load(folder: Path) -> Checkpoint:
    """Read a checkpoint and verify every byte of it.

    Raises:
        InputError: a file is missing or differs from the manifest.
    """
    try:
        return _unpack(_read_folder(folder))
    except InputError:
        raise
    except Exception as error:  # whatever the parsers of damaged files stumble over
        raise InputError(
            f"checkpoint {folder} is damaged ({' '.join(str(error).split())[:200]}); {_older(folder)}"
        ) from error


def _unpack(files: Mapping[str, bytes]) -> Checkpoint:
    models = {
        name.removesuffix(".safetensors"): safetensors.torch.load(data)
        for name, data in files.items()
        if name.endswith(".safetensors")
    }
    optimizers = {
        name.removesuffix(".optimizer.pt"): torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
        for name, data in files.items()
        if name.endswith(".optimizer.pt")
    }
    progress = json.loads(files[PROGRESS])
    if not isinstance(progress, dict):
        raise ValueError(f"{PROGRESS} holds no object")
    return Checkpoint(models=models, optimizers=optimizers, progress=progress)


def steps(parent: Path) -> list[Path]:
    """Return the complete checkpoints below `parent`, oldest first."""
    if not parent.is_dir():
        return []
    return sorted(p for p in parent.iterdir() if p.name.startswith("step-") and (p / MANIFEST).is_file())


def last_good(parent: Path, before: str | None = None) -> Path | None:
    """Return the newest checkpoint below `parent`, or that before the one of a name, whose every byte is right."""
    for folder in reversed(steps(parent)):
        if before is None or folder.name < before:
            try:
                _read_folder(folder)
            except (InputError, OSError):
                continue
            return folder
    return None


def save_step(parent: Path, number: int, checkpoint: Checkpoint, keep: int) -> None:
    """Save ``parent/step-NNNNNNNN`` and remove all but the newest `keep` checkpoints."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / f"step-{number:08d}"
    if (folder / MANIFEST).is_file():
        return  # the same step of a deterministic run has the same content
    for leftover in parent.glob(".*.tmp"):
        shutil.rmtree(leftover, ignore_errors=True)
    save(folder, checkpoint)
    for old in steps(parent)[:-keep]:
        shutil.rmtree(old)


def write_text(path: Path, text: str) -> None:
    """Write a small file whole or not at all."""
    with write_atomic(path) as file:
        file.write(text)


def _write_folder(folder: Path, files: dict[str, bytes]) -> None:
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    needed = sum(len(data) for data in files.values())
    try:
        temporary.mkdir(parents=True)
        for name, data in files.items():
            _write_bytes(temporary / name, data)
        sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        _write_bytes(temporary / MANIFEST, json.dumps(sums, indent=2).encode())
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        free = shutil.disk_usage(folder.parent).free
        raise InputError(
            f"the disk is full: checkpoint {folder} needs {needed:,} bytes and {free:,} are free; "
            "the previous checkpoint is intact, free some space and run again with --resume"
        ) from error
    if folder.exists():
        shutil.rmtree(folder)  # an incomplete folder without manifest
    temporary.rename(folder)
    _sync_folder(folder.parent)


def _write_bytes(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_folder(folder: Path) -> dict[str, bytes]:
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise InputError(f"{folder} is not a complete checkpoint: it has no {MANIFEST}")
    try:
        sums = json.loads(manifest.read_text(encoding="utf-8"))
        if not (isinstance(sums, dict) and PROGRESS in sums and all(isinstance(each, str) for each in sums.values())):
            raise ValueError("it lists no files")
    except (ValueError, RecursionError) as error:
        raise InputError(f"{manifest} is damaged ({error}); {_older(folder)}") from error
    files = {}
    for name, expected in sums.items():
        path = folder / name
        if name != path.name or not path.is_file():
            raise InputError(f"checkpoint {folder} lacks {name}; {_older(folder)}")
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != expected:
            raise InputError(f"{path} is damaged (its sha256 differs from the manifest); {_older(folder)}")
        files[name] = data
    return files


def _older(folder: Path) -> str:
    """What to do about a damaged checkpoint: which older one is whole."""
    older = last_good(folder.parent, before=folder.name)
    if older is None:
        return f"no older one is good: remove {folder} to begin this stage again"
    return f"the last good one is {older}: remove {folder} to resume from it"
