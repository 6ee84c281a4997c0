"""What this machine has of all that training and prediction need, with the fix for what is missing."""

import importlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch

from saliency.errors import InputError
from saliency.io.frames import Decoder, open_frames
from saliency.io.video_writer import VideoWriter
from saliency.runtime.processor import CPUINFO, cpu_flags

State = Literal["ok", "note", "problem"]

REQUIRED = (
    *("torch", "torchvision", "av", "numpy", "scipy", "cv2", "PIL", "einops", "tensorboard", "tyro", "rich"),
    "safetensors",
)
"""Modules that everything needs."""
DISTRIBUTIONS = {"cv2": "opencv-python-headless", "PIL": "pillow"}
"""Where the package to install has another name than the module."""
EXTRAS = {
    "classification": ("timm", "mlxtend", "sklearn"),
    "segmentation": ("transformers",),
    "hub": ("huggingface_hub",),
    "parquet": ("pyarrow",),
    "serve": ("starlette", "uvicorn"),
    "ray": ("ray",),
    "fast": ("openvino",),
    "export": ("onnx", "onnxscript", "onnxruntime"),
}
"""Extra of this package -> its modules."""
DECODER_FIXES: dict[Decoder, str] = {
    "pyav": "pip install --force-reinstall av",
    "decord": "pip install decord (optional; wheels are for Linux on x86-64)",
    "torchcodec": "pip install 'video-saliency[torchcodec]', and FFmpeg's shared libraries (optional)",
}
OLDEST = {"torch": (2, 6), "torchvision": (0, 21), "av": (13,)}
FRAMES = 4
BF16_PROBE = """
import torch
conv = torch.nn.Conv3d(64, 32, (2, 3, 3), stride=(2, 1, 1), padding=(0, 1, 1), bias=False)
for _ in range(2):
    with torch.autocast("cpu", torch.bfloat16):
        y = conv(torch.randn(1, 64, 4, 112, 192))
    y.float().sum().backward()
"""
"""The decoder convolution whose weight gradient some CPU kernels compute outside of their memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: the thing.
        state: ``ok``; ``note``: works without it; ``problem``: something needed does not work.
        found: what there is.
        fix: what to do; empty when there is nothing to do.
    """

    what: str
    state: State
    found: str
    fix: str = ""


def examine(folders: Sequence[Path], *, free_gib: float = 10.0) -> list[Finding]:
    """Look at everything.

    Args:
        folders: places that runs write to; made for a moment if needed.
        free_gib: free space wanted there.
    """
    findings = [python(), *packages(REQUIRED), links(), *devices()]
    if has_amx():  # the kernels that are known to fail
        findings.append(bf16_on_cpu())
    findings += [*decoders(), *extras()]
    for folder in folders:
        findings += [writable(folder), space(folder, free_gib)]
    return findings


def python(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Python itself."""
    found = f"{'.'.join(map(str, version))} on {platform.platform(terse=True)}"
    if version < (3, 11):
        return Finding(what="Python", state="problem", found=found, fix="install Python 3.11 or later")
    return Finding(what="Python", state="ok", found=found)


def packages(modules: Iterable[str]) -> list[Finding]:
    """The packages that are always needed."""
    findings = []
    for module in modules:
        name = DISTRIBUTIONS.get(module, module)
        error = import_error(module)
        if error is not None:
            fix = f"pip install '{name}'"
            if module == "cv2" and "libGL" in error:
                fix = "pip uninstall opencv-python && pip install --force-reinstall opencv-python-headless"
            findings.append(Finding(what=name, state="problem", found=error, fix=fix))
            continue
        version = importlib.metadata.version(name)
        oldest = OLDEST.get(module, ())
        if numbers(version) < oldest:
            wanted = ".".join(map(str, oldest))
            fix = f"pip install '{name}>={wanted}'"
            findings.append(Finding(what=name, state="problem", found=f"{version}, older than {wanted}", fix=fix))
        else:
            findings.append(Finding(what=name, state="ok", found=version))
    return findings


def links() -> Finding:
    """The three links that a checkout without symbolic links loses."""
    error = import_error("saliency.models.vinet_s")
    if error is None:
        return Finding(what="saliency.models", state="ok", found="importable")
    fix = "git config core.symlinks true && git checkout -- saliency/models saliency/datasets saliency/metrics"
    return Finding(what="saliency.models", state="problem", found=error, fix=fix)


def devices() -> list[Finding]:
    """CPU, GPUs, and whether torch, the driver and the GPUs fit together."""
    cpu = Finding(what="CPU", state="ok", found=f"{os.cpu_count()} cores, {torch.get_num_threads()} threads for torch")
    return [cpu, *gpus(driver(), torch.version.cuda, torch.cuda.is_available())]


def gpus(driver_says: str | None, built_for: str | None, usable: bool) -> list[Finding]:
    """What torch makes of the GPUs.

    Args:
        driver_says: ``nvidia-smi``'s list, "" when it fails, None when there is no such program.
        built_for: CUDA version of the installed torch; None for a CPU build.
        usable: whether torch can use CUDA.
    """
    index = "pip install --force-reinstall torch torchvision --index-url https://download.pytorch.org/whl/"
    if usable:
        findings = []
        known = torch.cuda.get_arch_list()
        for number in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(number)
            found = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB, CUDA {built_for}"
            arch = f"sm_{properties.major}{properties.minor}"
            if not any(each.startswith(f"sm_{properties.major}") for each in known) and known:
                fix = f"this torch has no code for {arch}; install a build that has: see pytorch.org/get-started"
                findings.append(Finding(what=f"GPU {number}", state="problem", found=found, fix=fix))
            else:
                findings.append(Finding(what=f"GPU {number}", state="ok", found=found))
        return findings
    if driver_says is None:
        return [Finding(what="GPU", state="note", found="none (no nvidia-smi); everything runs on the CPU")]
    if not driver_says:
        fix = "load the driver (nvidia-smi must list the GPU) or start the container with its GPUs"
        return [Finding(what="GPU", state="problem", found="nvidia-smi finds no GPU", fix=fix)]
    if built_for is None:
        found = f"{driver_says}, but torch is a build for CPUs"
        return [Finding(what="GPU", state="problem", found=found, fix=f"{index}cu126")]
    found = f"{driver_says}, but torch for CUDA {built_for} cannot use it"
    fix = f"update the driver to one for CUDA {built_for}, or {index}cu118; also look at CUDA_VISIBLE_DEVICES"
    return [Finding(what="GPU", state="problem", found=found, fix=fix)]


def driver() -> str | None:
    """GPUs and driver version by ``nvidia-smi``; "" when it fails, None when it is not there."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    command = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "; ".join(done.stdout.strip().splitlines()) if done.returncode == 0 else ""


def has_amx(cpuinfo: Path = CPUINFO) -> bool:
    """Whether the CPU multiplies bf16 matrices in hardware and oneDNN is allowed to use that."""
    allowed = os.environ.get("ONEDNN_MAX_CPU_ISA", "ALL").upper()
    return "amx_bf16" in cpu_flags(cpuinfo) and ("AMX" in allowed or allowed in ("ALL", "DEFAULT"))


def bf16_on_cpu(probe: str = BF16_PROBE, *, seconds: float = 60.0) -> Finding:
    """Whether a training step in bf16 survives on this CPU; tried in a process of its own, which may crash or hang."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", probe], capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        reason = f"not done after {seconds:.0f} s"
    else:
        if done.returncode == 0:
            return Finding(what="bf16 training on the CPU", state="ok", found="works")
        reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    fix = (
        "set ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16 in the environment, or train.precision=fp32 (the default) on this CPU"
    )
    return Finding(what="bf16 training on the CPU", state="note", found=f"fails inside torch ({reason})", fix=fix)


def decoders() -> list[Finding]:
    """Which packages decode a small video that is made here."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "probe.mp4"
        try:
            make_video(path)
        except (InputError, OSError, ValueError) as error:
            fix = "pip install --force-reinstall av"
            return [Finding(what="video encoder", state="problem", found=first_line(error), fix=fix)]
        findings = [Finding(what="video encoder", state="ok", found="PyAV writes H.264")]
        return findings + [decoder(path, package) for package in get_args(Decoder)]


def decoder(path: Path, package: Decoder) -> Finding:
    """Whether one package returns the frames of the probe."""
    what = f"decoder {package}"
    needed = package == "pyav"
    try:
        with open_frames(path, decoder=package) as source:
            grey = source.read(range(FRAMES)).mean((1, 2, 3))
        if np.abs(grey - levels()).max() > 8:
            raise InputError(f"returns other frames: {grey.round().tolist()} for {levels().tolist()}")
    except InputError as error:
        fix = DECODER_FIXES[package]
        return Finding(what=what, state="problem" if needed else "note", found=first_line(error), fix=fix)
    found = "the default, returns the right frames" if needed else "returns the right frames"
    return Finding(what=what, state="ok", found=found)


def make_video(path: Path) -> None:
    """Write frames that get brighter from one to the next."""
    with VideoWriter(path, size=(64, 96), fps=25.0) as writer:
        for level in levels():
            writer.write(np.full((64, 96, 3), level, np.uint8))


def levels() -> np.ndarray:
    """The grey level of each frame of the probe."""
    return np.linspace(40, 220, FRAMES).astype(np.uint8)


def extras() -> list[Finding]:
    """Optional packages: without them their tasks do not run."""
    findings = []
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if import_error(module) is not None]
        if missing:
            fix = f"pip install 'video-saliency[{extra}]' (optional)"
            findings.append(
                Finding(what=f"extra {extra}", state="note", found=f"without {', '.join(missing)}", fix=fix)
            )
        else:
            findings.append(Finding(what=f"extra {extra}", state="ok", found=", ".join(modules)))
    return findings


def writable(folder: Path) -> Finding:
    """Whether files can be made in a folder; nothing is left behind."""
    existing = nearest_existing(folder)
    try:
        with tempfile.NamedTemporaryFile(dir=existing, prefix=".doctor-") as file:
            file.write(b"x")
    except OSError as error:
        fix = f"chown or chmod {existing}, or name another folder (--runs, --cache; --out of saliency train)"
        return Finding(what=f"{folder}/", state="problem", found=f"cannot be written ({error.strerror})", fix=fix)
    return Finding(what=f"{folder}/", state="ok", found="can be written")


def space(folder: Path, wanted_gib: float) -> Finding:
    """Free disk space where a folder is or will be."""
    free = shutil.disk_usage(nearest_existing(folder)).free / 2**30
    what, found = f"disk of {folder}/", f"{free:.1f} GiB free"
    if free < wanted_gib:
        fix = f"free {wanted_gib - free:.1f} GiB or name another disk; small runs do with less (--free-gib)"
        return Finding(what=what, state="problem", found=found, fix=fix)
    return Finding(what=what, state="ok", found=found)


def nearest_existing(folder: Path) -> Path:
    """The folder itself or the closest parent that is there."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def import_error(module: str, load: Callable[[str], object] = importlib.import_module) -> str | None:
    """Why a module cannot be imported; None when it can."""
    try:
        load(module)
    except (ImportError, OSError, RuntimeError) as error:  # a missing or unfitting shared library raises the last two
        return first_line(error)
    return None


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: "2.15.0+cu132" -> (2, 15, 0)."""
    found = []
    for part in version.partition("+")[0].split("."):
        if not part.isdigit():
            break
        found.append(int(part))
    return tuple(found)


def first_line(error: BaseException) -> str:
    """The first line of what an exception says."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
