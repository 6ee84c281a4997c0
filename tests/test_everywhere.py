"""What is imported at once must be there on every system: modules of POSIX alone are hidden, then all is imported."""

import ast
import os
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]

IMPORT_ALL = """
import builtins, importlib, pkgutil, sys

POSIX_ONLY = {"fcntl", "resource", "termios", "tty", "pty", "pwd", "grp", "syslog", "posix"}
find = builtins.__import__

def hiding(name, globals=None, locals=None, fromlist=(), level=0):
    if (globals or {}).get("__name__", "").startswith("saliency") and name.partition(".")[0] in POSIX_ONLY:
        raise ModuleNotFoundError(f"{globals['__name__']} imports {name}", name=name)
    return find(name, globals, locals, fromlist, level)

builtins.__import__ = hiding
import saliency

def broken(name):
    raise sys.exc_info()[1]

names = [m.name for m in pkgutil.walk_packages(saliency.__path__, "saliency.", onerror=broken)]
for folder in ("models", "datasets", "metrics", "configs"):
    names += [m.name for m in pkgutil.iter_modules([f"{saliency.__path__[0]}/{folder}"], f"saliency.{folder}.")]
for name in sorted(set(names) - {"saliency.__main__"}):
    importlib.import_module(name)
print(len(names))
"""

ONLY_POSIX = {
    "os": {"fork", "forkpty", "getuid", "geteuid", "getgid", "getpgid", "killpg", "setsid", "mkfifo", "nice", "uname",
           "getloadavg", "sched_getaffinity", "statvfs", "fchmod", "chown", "register_at_fork", "O_DIRECTORY"},
    "signal": {"SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "alarm", "setitimer", "pause", "sigwait"},
    "time": {"tzset", "pthread_getcpuclockid"},
}  # fmt: skip
"""Names that Windows lacks; a use of them needs a way without, which `hasattr` or `getattr` asks for."""


def files() -> list[Path]:
    folders = [REPO / name for name in ("models", "datasets", "metrics", "configs", "tools")]
    ours = [file for file in (REPO / "saliency").rglob("*.py") if not file.is_symlink()]
    return [*ours, *(file for folder in folders for file in folder.rglob("*.py"))]


def test_every_module_is_imported_without_posix():
    environment = {**os.environ, "PYTHONPATH": str(REPO / ".editable"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, timeout=280, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 150


def test_no_name_that_windows_lacks_is_used():
    used = [
        f"{file.relative_to(REPO)}:{node.lineno}: {node.value.id}.{node.attr}"
        for file in files()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if node.attr in ONLY_POSIX.get(node.value.id, ())
    ]
    assert not used, used


def test_processes_are_started_afresh():
    """Windows and macOS do not fork, and a forked process inherits threads and CUDA: nobody asks for it."""
    texts = {file: file.read_text(encoding="utf-8") for file in files()}
    assert not [file for file, text in texts.items() if "multiprocessing" in text and '"fork' in text]
