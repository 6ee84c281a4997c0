"""What the processor of this machine computes in."""

import functools
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")

BF16 = frozenset({"avx512_bf16", "amx_bf16", "bf16", "svebf16"})
FP16 = frozenset({"avx512_fp16", "amx_fp16", "asimdhp"})
"""Instructions, as Linux calls them on x86-64 and on Arm, that compute in a half precision."""


@functools.cache
def cpu_flags(cpuinfo: Path = CPUINFO) -> frozenset[str]:
    """Return the instruction sets of the CPU, as Linux names them; nothing on other systems."""
    if not cpuinfo.is_file():
        return frozenset()
    for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


def cpu_computes_in(precision: str) -> bool:
    """Return whether the CPU has instructions of its own for ``bf16`` or ``fp16``; ``fp32`` always."""
    return precision == "fp32" or bool(cpu_flags() & (BF16 if precision == "bf16" else FP16))
