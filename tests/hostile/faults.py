"""Let every write of a program go wrong, one after the other, and look at what is left.

    trials = sweep(action, before, tmp_path)

`action(folder)` is a function at the top level of a test file that writes below a folder. It is run on a copy of the
folder `before` in a process of its own: once undisturbed, then once for each call that changes something below the
folder (open, write, fsync, rename, unlink, mkdir, also those of libraries in C) and each kind of fault:

* ``ENOSPC``: the disk is full, from this call on; a write does half of its work first.
* ``EIO``: this write or sync fails.
* ``EACCES``: this file cannot be made, renamed or removed.
* ``KILL``: the process is killed here; a write does half of its work first.

`wrong(trial)` then says what is not "old or new, never half": every file below the folder must be, byte for byte,
what it was before or what the undisturbed run made of it, and only a killed process may leave a temporary file
(one whose name starts with a dot and that the undisturbed run does not leave either).
"""

import ctypes
import errno
import functools
import hashlib
import importlib
import importlib.util
import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).parent
KINDS = {"ENOSPC": "mw", "EIO": "ws", "EACCES": "mn", "KILL": "mwsn"}
"""Kind of fault -> the classes of calls it can hit: m makes a file, w writes, s syncs, n changes names."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One run of the action: what went wrong where, and how it ended.

    `status` is what the action returned (0 for None), 2 for an InputError, 1 for any other error, and minus the signal
    that ended the process. `words` is what it wrote to standard error. `before` and `whole` are the folder as it was
    and as the undisturbed run left it.
    """

    fault: str
    number: int
    call: str
    path: str
    status: int
    words: str
    folder: Path
    before: Path
    whole: Path

    def __str__(self) -> str:
        return f"{self.fault} at call {self.number} ({self.call} {self.path})"


@functools.cache
def shim() -> Path | None:
    """Build the library that injects the faults; None where there is no C compiler or no LD_PRELOAD."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    source = HERE / "faults.c"
    name = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    library = Path(tempfile.gettempdir()) / f"faults-{os.getuid()}-{name}.so"
    if not library.is_file():
        half = library.with_suffix(f".{os.getpid()}")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", half, source, "-ldl"], check=True)
        half.replace(library)
    return library


def sweep(
    action: Callable[[Path], int | None],
    before: Path,
    into: Path,
    *,
    faults: Sequence[str] = tuple(KINDS),
    imports: Sequence[str] = (),
    most: int = 40,
    timeout: float = 60.0,
) -> list[Trial]:
    """Run `action` undisturbed and then with each fault at each call (at most `most` calls, evenly chosen).

    Args:
        action: a function at the top level of a file; gets the folder.
        before: what the folder holds at the start.
        into: an empty folder for the copies, one for each trial.
        faults: which kinds.
        imports: modules that `action` imports only when it runs: imported once, instead of in each run.
        most: of the calls that a kind of fault can hit, try so many, the first and the last among them.
        timeout: seconds for each run.
    """
    library = shim()
    assert library is not None, "no C compiler: check faults.shim() first"
    job = {
        "file": inspect.getfile(action),
        "action": action.__qualname__,
        "before": str(before),
        "into": str(into),
        "faults": list(faults),
        "imports": list(imports),
        "most": most,
        "timeout": timeout,
    }
    environment = {**os.environ, "LD_PRELOAD": str(library), "FAULTS_LIBRARY": str(library), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(Path(__file__)), json.dumps(job)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"the undisturbed run failed:\n{done.stderr}"
    results = json.loads((into / "trials.json").read_text())
    return [Trial(**{**r, **{name: Path(r[name]) for name in ("folder", "before", "whole")}}) for r in results]


def wrong(trial: Trial, same: Callable[[Path, Path], bool] | None = None) -> list[str]:
    """Say what is not as promised after a trial; `same(found, wanted)` compares files whose bytes vary between runs."""
    same = same or (lambda a, b: a.read_bytes() == b.read_bytes())
    problems = []
    left = [path.relative_to(trial.folder) for path in sorted(trial.folder.rglob("*")) if path.is_file()]
    killed = trial.status == -signal.SIGKILL
    for path in left:
        temporary = any(part.startswith(".") for part in path.parts)
        if temporary and not any((place / path).exists() for place in (trial.before, trial.whole)):
            if not killed:
                problems.append(f"{path} was left behind")
            continue
        known = [place / path for place in (trial.before, trial.whole) if (place / path).is_file()]
        if not known:
            problems.append(f"{path} should not be there")
        elif not any(same(trial.folder / path, place) for place in known):
            problems.append(f"{path} is neither the old nor the new one")
    for path in (p.relative_to(trial.before) for p in sorted(trial.before.rglob("*")) if p.is_file()):
        if path not in left and (trial.whole / path).exists():
            problems.append(f"{path} is lost")
    if trial.status == 0:
        for path in (p.relative_to(trial.whole) for p in sorted(trial.whole.rglob("*")) if p.is_file()):
            if path not in left or not same(trial.folder / path, trial.whole / path):
                problems.append(f"it says all is well but {path} is not the new one")
    elif not killed:
        if trial.status not in (1, 2):
            problems.append(f"it ended with status {trial.status}")
        if len(trial.words.strip().splitlines()) != 1:
            problems.append(f"it said {trial.words!r}, not one line")
    return problems


# --- in the process with the shim -------------------------------------------------------------------------


def _serve(job: dict) -> None:
    library = ctypes.CDLL(os.environ.pop("FAULTS_LIBRARY"))
    os.environ.pop("LD_PRELOAD")  # not for the processes that an action starts
    spec = importlib.util.spec_from_file_location("hostile_action", job["file"])
    module = importlib.util.module_from_spec(spec)
    sys.modules["hostile_action"] = module
    spec.loader.exec_module(module)
    for name in job["imports"]:
        importlib.import_module(name)
    action = getattr(module, job["action"])
    before, into = Path(job["before"]), Path(job["into"])

    def run(name: str, number: int, error: int, log: int = -1) -> tuple[Path, int, str]:
        folder = into / name
        shutil.copytree(before, folder, symlinks=True)
        with tempfile.TemporaryFile() as words:
            status = _fork(
                action, folder, lambda: _arm(library, folder, number, error, log), words.fileno(), job["timeout"]
            )
            words.seek(0)
            return folder, status, words.read().decode(errors="replace")

    with tempfile.TemporaryFile() as log:
        whole, status, words = run("whole", 0, 0, log.fileno())
        log.seek(0)
        calls = [line.split("\t") for line in log.read().decode().splitlines()]
    if status:
        sys.exit(f"status {status}: {words}")
    trials = []
    for fault in job["faults"]:
        numbers = [n for n, (kind, _, _) in enumerate(calls, 1) if kind in KINDS[fault]]
        for n in _spread(numbers, job["most"]):
            error = 0 if fault == "KILL" else getattr(errno, fault)
            folder, status, words = run(f"{fault}-{n:04d}", n, error)
            trials.append(
                Trial(
                    fault=fault,
                    number=n,
                    call=calls[n - 1][1],
                    path=calls[n - 1][2],
                    status=status,
                    words=words,
                    folder=folder,
                    before=before,
                    whole=whole,
                )
            )
    (into / "trials.json").write_text(json.dumps([asdict(trial) for trial in trials], default=str))


def _arm(library: ctypes.CDLL, folder: Path, number: int, error: int, log: int) -> None:
    library.faults_arm(str(folder.resolve()).encode(), ctypes.c_long(number), error, log)


def _spread(numbers: list[int], most: int) -> list[int]:
    if len(numbers) <= most:
        return numbers
    return sorted({numbers[round(i * (len(numbers) - 1) / (most - 1))] for i in range(most)})


def _fork(action: Callable, folder: Path, arm: Callable[[], None], words: int, timeout: float) -> int:
    child = os.fork()
    if child == 0:
        os.dup2(words, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(_status_of(action, folder, arm))
    end = time.monotonic() + timeout
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(child, signal.SIGABRT)
            os.waitpid(child, 0)
            return -signal.SIGABRT
        time.sleep(0.002)


def _status_of(action: Callable, folder: Path, arm: Callable[[], None]) -> int:
    from saliency.errors import EXIT_BAD_INPUT, InputError

    arm()
    try:
        status = action(folder) or 0
    except InputError as error:
        os.write(2, f"{error}\n".encode())
        status = EXIT_BAD_INPUT
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        os.write(2, traceback.format_exc().encode())
        status = 1
    sys.stderr.flush()
    return status


if __name__ == "__main__":
    _serve(json.loads(sys.argv[1]))
