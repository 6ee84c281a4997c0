"""Where a number was made: versions and hardware, for the metadata of results."""

import importlib.metadata
import os
import platform
from pathlib import Path

import torch

PACKAGES = ("video-saliency", "torch", "torchvision", "numpy", "scipy", "opencv-python-headless", "av")


def environment() -> dict[str, object]:
    """Return versions and hardware as JSON values."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    hardware: dict[str, object] = {"cpu": _cpu(), "cores": os.cpu_count()}
    if torch.cuda.is_available():
        hardware["gpu"] = torch.cuda.get_device_name(0)
    return {"versions": versions, "hardware": hardware, "system": platform.platform()}


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
