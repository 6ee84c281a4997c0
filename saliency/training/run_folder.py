"""The folder of a run: who may write there, and what happens when a run meets an older one."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from saliency.config.run import Run
from saliency.errors import InputError
from saliency.io import locks
from saliency.io.serial import dumps, encode, upgraded
from saliency.training.checkpoint import last_good, write_text
from saliency.training.run_log import LOG

CONFIG = "config.json"
FACTS = "facts.json"
LOCK = ".lock"
_MISSING = object()

MAY_CHANGE = ("train.workers", "train.log_every", "train.checkpoint_every", "train.keep", "train.threads")
"""Settings that do not touch the result, so a resumed run may have others."""


@contextmanager
def claim(folder: Path, run: Run, facts: Mapping[str, Any], *, resume: bool, force: bool = False) -> Iterator[None]:
    """Hold `folder` for this process while the run goes on.

    Args:
        folder: made when it does not exist.
        run: its resolved config is written to ``config.json``.
        facts: what else a resumed run must find unchanged (JSON data: number of processes, fingerprints of
            the data), written to ``facts.json``.
        resume: go on with what is there.
        force: resume although the config or a fact differs.

    Raises:
        InputError: another process holds the folder, it holds another run or weights already, something differs, or
            its config or facts are damaged.
    """
    if (folder / CONFIG).exists() and not resume:
        raise InputError(f"{folder} already holds a run; go on with --resume, or choose another folder with --out")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        try:
            locks.lock(lock.fileno(), wait=False)
        except OSError as error:
            raise InputError(f"another process is writing to {folder}; wait for it or choose --out") from error
        lock.write(str(os.getpid()))
        if (folder / CONFIG).exists():
            old = _read(folder / CONFIG, force)
            changes = [] if old is None else differences(upgraded(old), encode(run))
            changes = [change for change in changes if not change.startswith(MAY_CHANGE)]
            if changes and not force:
                raise InputError(
                    f"{folder} was begun with another config ({'; '.join(changes)}); "
                    "resume with the old one, or add --force to go on with the new one"
                )
            before = _read(folder / FACTS, force) if (folder / FACTS).exists() else None
            before = dict(facts) if before is None else before
            if (changes := differences(before, dict(facts))) and not force:
                raise InputError(
                    f"{folder} was begun under other circumstances ({'; '.join(changes)}); "
                    "bring the old ones back, or add --force to go on with the new ones"
                )
        else:
            _refuse_foreign(folder, run)
        fresh = not (folder / CONFIG).exists()
        write_text(folder / FACTS, json.dumps(dict(facts), indent=2))
        write_text(folder / CONFIG, dumps(run))
        try:
            yield
        except BaseException:
            begun = [folder / LOG, *(folder / stage.name for stage in run.stages)]
            if fresh and not any(path.exists() for path in begun):  # nothing was learnt: free for another try
                (folder / CONFIG).unlink()
                (folder / FACTS).unlink()
            raise


def _refuse_foreign(folder: Path, run: Run) -> None:
    """Refuse a folder that holds weights, checkpoints or a log of a run whose config is not there."""
    found = [folder / LOG, *(path for stage in run.stages for path in (folder / stage.name).glob("*.safetensors"))]
    found += [folder / stage.name / "checkpoints" for stage in run.stages]
    for path in found:
        if path.exists():
            raise InputError(
                f"{path} is there already but {folder / CONFIG} is not: it belongs to another run; move it away, or "
                "choose another folder with --out"
            )


def _read(path: Path, force: bool) -> dict[str, Any] | None:
    """Read a JSON object; None where it is damaged and `force` says to go on without it."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
        problem = "it holds no object"
    except (ValueError, RecursionError) as error:
        problem = " ".join(str(error).split())
    if force:
        return None
    saved = [newest for parent in sorted(path.parent.glob("**/checkpoints")) if (newest := last_good(parent))]
    newest = max(saved, key=lambda folder: folder.stat().st_mtime, default=None)
    where = "the run has no good checkpoint" if newest is None else f"the last good checkpoint is {newest}"
    raise InputError(f"{path} is damaged ({problem}); {where}: add --resume --force to go on with the config you give")


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Return ``path: old -> new`` for each leaf in which two JSON trees differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in {**old, **new}:
            below = f"{path}.{key}" if path else key
            found += differences(old.get(key, _MISSING), new.get(key, _MISSING), below)
        return found
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        found = []
        for position, (a, b) in enumerate(zip(old, new, strict=True)):
            found += differences(a, b, f"{path}.{position}")
        return found
    if old == new:
        return []
    return [f"{path}: {_show(old)} -> {_show(new)}"]


def _show(value: Any) -> str:
    text = "nothing" if value is _MISSING else json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def best_file(folder: Path, stage: str, learner: str) -> Path:
    """Return where the best weights of a learner in a stage are written."""
    return folder / stage / f"{learner}.safetensors"
