"""What Bi-KD costs: one step of K models that teach each other beside K steps of one model each.

    python benchmarks/transfer.py                                            the small models, on this machine
    python benchmarks/transfer.py --config configs/dhf1k_tmfi_vinet.py --device cuda

Both do the same forward, loss, backward and optimizer step on the same clips; the transfer adds the choice of the
teachers, K divergences and their gradients. The two are measured in turns, on a CPU by the time this process computed
(a busy machine slows both alike), on a GPU by its clock; the median of the rounds counts. Memory is the highest a
step reaches above what is held before it: tensors on a GPU, resident pages of this process on a CPU (Linux only).
"""

import ctypes
import datetime
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from saliency.commands.main import exit_with
from saliency.config.load import load_run
from saliency.config.run import Run, Stage
from saliency.distillation.base import Distiller, combine
from saliency.distillation.bi_kd import BiKD
from saliency.distillation.control import TaskOnly
from saliency.runtime.distributed import pick_device
from saliency.runtime.environment import environment
from saliency.training.optimization import make_optimizer
from saliency.types import SaliencyTarget

REPO = Path(__file__).parents[1]
READS = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to measure.

    Attributes:
        config: its saliency models are measured.
        batch: clips of a step.
        rounds: measurements of each kind.
        device: auto, cpu or cuda.
        threads: CPU threads.
        output: Markdown file to write; default benchmarks/results/<date>-transfer.md.
    """

    config: Path = REPO / "configs/mini_tmfi_vinet.py"
    batch: int = 4
    rounds: int = 15
    device: str = "auto"
    threads: int = 1
    output: Path | None = None


@dataclass(slots=True)
class Learner:
    """A model, its optimizer and its clips."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    clip: Tensor


class Reads(TorchDispatchMode):
    """Counts the operations that bring a value to the host, which makes a GPU wait."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # noqa: ANN001, ANN204  # torch's signature
        name = func.overloadpacket.__name__
        if name.startswith(READS):
            self.found.append(name)
        return func(*args, **(kwargs or {}))


def main() -> None:
    """Measure, print and write the table."""
    options = tyro.cli(Options, description=__doc__)
    torch.set_num_threads(options.threads)
    device = pick_device(options.device)
    config = load_run(options.config)
    learners, target = prepare(config, options.batch, device)

    def together() -> None:
        step(config, learners, target, BiKD())

    def apart() -> None:
        for name, learner in learners.items():
            step(config, {name: learner}, target, TaskOnly())

    reads = Reads()
    with reads:
        together()
    apart()
    seconds: dict[Callable[[], None], list[float]] = {together: [], apart: []}
    for _ in range(options.rounds):
        for kind in (together, apart):
            seconds[kind].append(measure(kind, device))
    memory = [extra_memory(kind, device) for kind in (together, apart)]
    text = report(options, config, seconds[together], seconds[apart], reads.found, memory, device)
    print(text)
    output = options.output or REPO / f"benchmarks/results/{datetime.date.today()}-transfer.md"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text)


def prepare(config: Run, batch: int, device: torch.device) -> tuple[dict[str, Learner], SaliencyTarget]:
    """Build the models of a config with random clips and one ground truth on the config's grid."""
    torch.manual_seed(0)
    learners = {}
    for name, learner in config.learners.items():
        model = learner.model.build("scratch").to(device).train()
        assert learner.optimizer is not None
        spec = learner.model.input
        clip = torch.randn(batch, 3, spec.length, *spec.size, device=device)
        learners[name] = Learner(model, make_optimizer(learner.optimizer, model, Stage(name="step", epochs=1)), clip)
    density = torch.rand(batch, *getattr(config.data, "grid"), device=device)  # noqa: B009  # saliency data have one
    return learners, SaliencyTarget(density, density > 0.99)


def step(config: Run, learners: dict[str, Learner], target: SaliencyTarget, distiller: Distiller) -> None:
    """One training step, as the trainer does it."""
    task = config.task
    preds = {name: task.align(learner.model(learner.clip), target) for name, learner in learners.items()}
    losses = {name: task.loss(pred, target) for name, pred in preds.items()}
    rankings = {name: task.ranking(preds[name], target, loss.detach()) for name, loss in losses.items()}
    compared = {name: task.comparable(pred) for name, pred in preds.items()}
    combine(losses, distiller(compared, rankings, task.divergence)).backward()
    for learner in learners.values():
        learner.optimizer.step()
        learner.optimizer.zero_grad(set_to_none=True)


def measure(call: Callable[[], None], device: torch.device) -> float:
    """Seconds of one call."""
    if device.type != "cuda":
        start = time.process_time()
        call()
        return time.process_time() - start
    torch.cuda.synchronize(device)
    start = time.perf_counter()
    call()
    torch.cuda.synchronize(device)
    return time.perf_counter() - start


def extra_memory(call: Callable[[], None], device: torch.device) -> int | None:
    """Bytes a call needs at its peak above what is held before it; None where that cannot be measured."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():
        return None
    ctypes.CDLL(None).malloc_trim(0)  # what earlier steps freed goes back to the system first
    reset.write_text("5")  # the peak starts anew

    def pages(name: str) -> int:
        return 1024 * int(next(line for line in status.read_text().splitlines() if line.startswith(name)).split()[1])

    before = pages("VmRSS")
    call()
    return pages("VmHWM") - before


def report(
    options: Options,
    config: Run,
    together: list[float],
    apart: list[float],
    reads: list[str],
    memory: list[int | None],
    device: torch.device,
) -> str:
    """Return the results as Markdown."""
    one, many = statistics.median(together), statistics.median(apart)
    ratios = sorted(a / b for a, b in zip(together, apart, strict=True))
    low, high = ratios[len(ratios) // 10], ratios[-1 - len(ratios) // 10]
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=REPO, capture_output=True, text=True).stdout
    k = len(config.learners)
    lines = [
        f"# Cost of Bi-KD between {k} models, {datetime.date.today()}",
        "",
        f"`{shlex.join(['python', *sys.argv])}` at {commit.strip()}",
        "",
        f"{', '.join(config.learners)} of `{options.config.name}`, batch {options.batch}, {options.rounds} rounds, "
        f"{options.threads} thread(s), {device.type}.",
        "",
        "| | median seconds |",
        "|---|---|",
        f"| one step of {k} models with Bi-KD | {one:.3f} |",
        f"| {k} separate steps without transfer | {many:.3f} |",
        f"| overhead | {100 * (one / many - 1):+.1f} % (of single rounds: {100 * (low - 1):+.1f} to "
        f"{100 * (high - 1):+.1f} % in 80 %) |",
        "",
        f"Values read back to the host inside a step: {len(reads)} {sorted(set(reads)) or ''}".rstrip() + ".",
    ]
    if memory[0] is not None and memory[1] is not None:
        own = "GPU memory" if device.type == "cuda" else "memory of the process"
        lines += [
            "",
            f"Peak {own} above what is held before the step: {memory[0] / 2**20:.0f} MiB together, "
            f"{memory[1] / 2**20:.0f} MiB apart. The K graphs of one step are held at once; apart, one at a time.",
        ]
    lines += ["", "## Environment", ""]
    lines += [f"- {name}: {value}" for name, value in environment().items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    exit_with(main)
