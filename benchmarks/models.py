"""Time and memory of the video models, in the plain form and in ours: `python benchmarks/models.py`.

Every measurement runs in a process of its own, so that peak memory belongs to it alone. On a CPU both wall time and CPU
time are taken; CPU time is what to compare when other programs run. The plain form is what the published code does:
BatchNorm as layers, and attention that stores its N x N matrices and a mask for every window (torchvision's function).
Roofline: on a CUDA device the bound by memory traffic of fused kernels on an H100, in bf16 (its own measurement of 798
TFLOP/s and 3.0 TB/s); on a CPU the speed of a large matrix product on the same threads, measured in the same process.
"""

import datetime
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.video.swin_transformer import shifted_window_attention_3d

from saliency.backbones.video_swin import Size3, WindowAttention
from saliency.commands.main import exit_with
from saliency.inference.folding import for_inference
from saliency.models.stsa_net import STSANetConfig
from saliency.models.tmfi_net import TMFINetConfig
from saliency.models.vinet_a import ViNetAConfig
from saliency.models.vinet_s import ViNetSConfig
from saliency.runtime.environment import environment
from saliency.types import ModelConfig

RESULTS = Path(__file__).parent / "results"
CONFIGS: dict[str, ModelConfig] = {
    "ViNet-S": ViNetSConfig(),
    "ViNet": ViNetSConfig(groups=(1, 1, 1, 1, 1)),
    "ViNet-A": ViNetAConfig(),
    "STSA-Net": STSANetConfig(),
    "TMFI-Net": TMFINetConfig(),
}
FUSED_H100 = {"ViNet-S": 2530, "ViNet-A": 1155, "TMFI-Net": 833}
"""Maps per second at the traffic bound of fused kernels; TMFI-Net with attention that never stores its windows."""
FORMS = {"forward": ("plain", "ours", "ours, for_inference"), "train step": ("plain", "ours")}
WITH_ATTENTION = ("TMFI-Net",)
"""In the other models the plain form and ours are the same operations until BatchNorm is folded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to measure.

    Attributes:
        models: names of models.
        device: ``cpu`` or ``cuda``.
        batch: clips at once.
        rounds: measurements of a forward pass, after one that does not count.
        train_rounds: measurements of a training step (forward and backward), after one; 0 leaves training out.
        threads: CPU threads.
        bf16: autocast to bfloat16.
        output: Markdown file to write; default benchmarks/results/<date>-models.md.
        measure: for the program's own use: one measurement, as JSON.
    """

    models: tuple[str, ...] = tuple(CONFIGS)
    device: str = "cpu"
    batch: int = 1
    rounds: int = 3
    train_rounds: int = 1
    threads: int = 1
    bf16: bool = False
    output: Path | None = None
    measure: str | None = None


def plain_attention(model: nn.Module) -> None:
    """Replace window attention by the one that stores its matrices, with the same weights."""
    for module in model.modules():
        if isinstance(module, WindowAttention):
            module.forward = _plain(module)  # pyright: ignore[reportAttributeAccessIssue]


def _plain(attention: WindowAttention) -> Callable[..., Tensor]:
    def forward(x: Tensor, window: Size3, shift: Size3, masks: Tensor | None) -> Tensor:
        bias = attention.bias(window[0] * window[1] * window[2]).unsqueeze(0)
        return shifted_window_attention_3d(
            x,
            attention.qkv.weight,
            attention.proj.weight,
            bias,
            list(window),
            attention.heads,
            list(shift),
            qkv_bias=attention.qkv.bias,
            proj_bias=attention.proj.bias,
        )

    return forward


def measure(options: Options, name: str, mode: str, form: str) -> dict[str, Any]:
    """Time one form of one model; times in ms, memory in MiB above the built model."""
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    config = CONFIGS[name]
    model = config.build().to(device)
    model = for_inference(model) if form.endswith("for_inference") else model.train(mode != "forward")
    if form == "plain":
        plain_attention(model)
    clip = torch.randn(options.batch, 3, config.input.length, *config.input.size, device=device)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=options.bf16):
            maps = model(clip)
        if mode != "forward":
            maps.float().log().mean().backward()
        if device.type == "cuda":
            torch.cuda.synchronize()

    before = _reset_memory(device)
    wall, cpu = [], []
    with torch.set_grad_enabled(mode != "forward"):
        for _ in range(1 + (options.rounds if mode == "forward" else options.train_rounds)):
            start, start_cpu = time.perf_counter(), time.process_time()
            step()
            wall.append(1e3 * (time.perf_counter() - start))
            cpu.append(1e3 * (time.process_time() - start_cpu))
    return {
        "wall": min(wall[1:]),
        "cpu": min(cpu[1:]),
        "memory": _peak_memory(device) - before,
        "peak_gflops": _matmul_gflops() if device.type == "cpu" else None,
    }


def _reset_memory(device: torch.device) -> float:
    """Forget the peak that building the model left; return what is in use, in MiB."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")  # Linux: resets VmHWM
    return _peak_memory(device)


def _peak_memory(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 2**10


def _matmul_gflops(size: int = 1536) -> float:
    """GFLOP per CPU second of a float32 matrix product: what this machine can do at best."""
    a = torch.randn(size, size)
    times = []
    for _ in range(5):
        start = time.process_time()
        torch.mm(a, a)
        times.append(time.process_time() - start)
    return 2e-9 * size**3 / min(times)


def count(name: str) -> tuple[int, float]:
    """Return parameters and GFLOP (two for a multiplication and addition) of one clip; no arithmetic is done."""
    with torch.device("meta"):
        config = CONFIGS[name]
        model = config.build()
        plain_attention(model)  # the counter knows matrix products; the fused attention counts the same
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model.eval()(torch.empty(1, 3, config.input.length, *config.input.size))
    return sum(p.numel() for p in model.parameters()), counter.get_total_flops() / 1e9


def main() -> None:
    """Measure everything asked for and write the table."""
    options = tyro.cli(Options)
    if options.measure is not None:
        name, mode, form = json.loads(options.measure)
        sys.stdout.write(json.dumps(measure(options, name, mode, form)) + "\n")
        return
    rows = []
    for name in options.models:
        parameters, gflop = count(name)
        for mode, forms in FORMS.items():
            if mode != "forward" and options.train_rounds == 0:
                continue
            first: dict[str, Any] | None = None
            for form in forms:
                if form == "ours" and name not in WITH_ATTENTION:
                    continue
                found = _in_own_process(options, name, mode, form)
                first = first or found
                key = "wall" if options.device == "cuda" else "cpu"
                work = gflop * options.batch * (1 if mode == "forward" else 3)
                rows.append(
                    f"| {name} | {parameters:,} | {gflop:.1f} | {mode} | {form} | {found['wall'] / options.batch:.0f} "
                    f"| {found['cpu'] / options.batch:.0f} | {first[key] / found[key]:.2f} | {found['memory']:.0f} "
                    f"| {_roofline(options, name, mode, found, work)} |"
                )
                print(rows[-1], flush=True)
    _write(options, rows)


def _in_own_process(options: Options, name: str, mode: str, form: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--measure", json.dumps([name, mode, form])]
    for field in ("device", "batch", "rounds", "train_rounds", "threads"):
        command += [f"--{field.replace('_', '-')}", str(getattr(options, field))]
    command += ["--bf16"] if options.bf16 else []
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _roofline(options: Options, name: str, mode: str, found: dict[str, Any], work: float) -> str:
    if found["peak_gflops"] is not None:
        return f"{100 * work / (found['cpu'] / 1e3) / found['peak_gflops']:.0f} %"
    if mode != "forward" or name not in FUSED_H100:
        return "-"
    return f"{100 * options.batch / (found['wall'] / 1e3) / FUSED_H100[name]:.0f} %"


def _write(options: Options, rows: list[str]) -> None:
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False, cwd=RESULTS
    ).stdout.strip()
    found = environment()
    today = datetime.date.today().isoformat()
    path = options.output or RESULTS / f"{today}-models.md"
    load = Path("/proc/loadavg").read_text().split()[0] if Path("/proc/loadavg").is_file() else "unknown"
    path.write_text(
        "\n".join(
            [
                "# Time and memory of the video models",
                "",
                f"- date {today}, commit {commit or 'unknown'}",
                f"- command `python benchmarks/models.py {shlex.join(sys.argv[1:])}`",
                f"- {options.device}, {options.threads} thread(s), batch {options.batch}, "
                f"{'bf16 autocast' if options.bf16 else 'float32'}, native input size, random weights",
                f"- versions: {found['versions']}",
                f"- hardware: {found['hardware']}",
                f"- load average at the end {load}",
                "",
                f"Milliseconds per clip (one map): the fastest of {options.rounds} forward passes or of "
                f"{options.train_rounds} training step(s),",
                "without what other programs on the machine add. Memory in MiB above the built model; a training step",
                "is a forward and a backward pass, counted as three times the GFLOP of a forward pass.",
                "",
                "| model | parameters | GFLOP | what | form | wall ms | CPU ms | times plain | peak MiB | roofline |",
                "|---|---:|---:|---|---|---:|---:|---:|---:|---:|",
                *rows,
                "",
            ]
        )
    )


if __name__ == "__main__":
    exit_with(main)
