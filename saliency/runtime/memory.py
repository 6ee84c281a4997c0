"""How much memory is taken and how much is left, of the GPU or of this process."""

import contextlib
import importlib.util
import sys
from pathlib import Path

import torch

CGROUP = Path("/sys/fs/cgroup")
PROCESS = Path("/proc/self")
MACHINE = Path("/proc/meminfo")


def taken(device: torch.device) -> int:
    """Bytes in use now: allocated on the GPU, or resident in this process (0 where that cannot be told)."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return _field(PROCESS / "status", "VmRSS") or 0


def peak(device: torch.device) -> int:
    """Most bytes in use since the last `reset_peak`, or since the process began where it cannot be reset.

    0 where that cannot be told.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return _field(PROCESS / "status", "VmHWM") or _peak_of_process()


def reset_peak(device: torch.device) -> None:
    """Begin to look for the peak anew."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):  # not Linux, or not allowed: the peak stays the process's own
        (PROCESS / "clear_refs").write_text("5")


def left(device: torch.device) -> int | None:
    """Bytes that can still be had: of the GPU, else of the machine or of this container, whichever is less.

    None where that cannot be told.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    machine, container = _field(MACHINE, "MemAvailable"), _container()
    return min((value for value in (machine, container) if value is not None), default=None)


def _peak_of_process() -> int:
    """What the system remembers, where it is POSIX."""
    if importlib.util.find_spec("resource") is None:
        return 0
    resource = importlib.import_module("resource")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # macOS counts bytes


def _container() -> int | None:
    """What the container may still take (cgroup v2); files it merely caches are given back when needed."""
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        used = int((CGROUP / "memory.current").read_text())
        cached = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())["inactive_file"]
    except (OSError, KeyError, ValueError):
        return None
    return None if limit == "max" else max(0, int(limit) - used + int(cached))


def _field(file: Path, name: str) -> int | None:
    """A line ``NAME:  123 kB`` as bytes."""
    try:
        for line in file.read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None
