"""Samples per second and peak memory of training: the published way against ours.

    python benchmarks/train.py                                  batch 1 on this machine, some minutes on 2 cores
    python benchmarks/train.py --batch 8 --steps 20 --warmup 5 --threads 8       on a GPU

Cases: each full-size model alone, and the tri-KD step of the three together, at their native sizes on the real video
that comes with the project. Every measurement is the trainer's own step, fed by its own loader, in a process of its
own, so that peak memory belongs to one case.

- published: float32 in eager mode; window attention that stores its matrices and a mask for every window; Adam that is
  not fused; PNG frames opened with Pillow and resized, scaled and normalised as float32 for every model and frame.
- ours: scaled_dot_product_attention, fused Adam, uint8 frames of the union of all models' clips from the memory-mapped
  cache, normalised on the device; bf16 autocast on a GPU (on a CPU float32, see `--precision`), channels_last_3d and
  torch.compile where asked for.
- ours, checkpointing: the same with `checkpoint_activations`.

The loader alone is measured too, as what a loader process computes for one sample.
"""

# ruff: noqa: E402
import datetime
import json
import os
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

REPO = Path(__file__).parents[1]
sys.path.insert(0, str(REPO))  # the pieces shared with the other benchmarks

import torch
import tyro
from torch import Tensor
from torch.profiler import ProfilerActivity

from benchmarks.data import THREE, TMFI, VINET_A, PublishedSamples, commit, lay_out
from benchmarks.models import plain_attention
from saliency.commands.main import exit_with, set_up_process
from saliency.config.load import load_run
from saliency.config.run import Run, Samples, Stage
from saliency.data.targets import below, draws
from saliency.data.video import AnnotatedVideo, Drawing, VideoSamples
from saliency.distillation.bi_kd import BiKD
from saliency.distillation.control import TaskOnly
from saliency.io.transforms import resize_map
from saliency.runtime.distributed import World, pick_device
from saliency.runtime.environment import environment
from saliency.runtime.interrupt import StopRequest
from saliency.training.learners import Progress, Trained, make_learners
from saliency.training.logbook import Logbook
from saliency.training.meters import Meter
from saliency.training.samples import RunSamples
from saliency.training.trainer import Trainer
from saliency.types import Batch, InputSpec, SaliencyTarget

RESULTS = REPO / "benchmarks" / "results"
TRI_KD = REPO / "configs" / "dhf1k_tmfi_vinet.py"
CASES = {
    "TMFI-Net": ("tmfi_net",),
    "ViNet-S": ("vinet_s",),
    "ViNet-A": ("vinet_a",),
    "tri-KD": ("tmfi_net", "vinet_s", "vinet_a"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a case is trained.

    Attributes:
        published: the published loader, attention and optimizer.
        checkpointing: activations of the blocks are computed twice.
    """

    published: bool = False
    checkpointing: bool = False


PARTS = (
    ("convolution_backward", "convolutions backward"),
    ("conv", "convolutions forward"),
    ("attention", "attention"),
    ("mm", "matrix products"),
    ("pool", "pooling"),
    ("norm", "norms"),
    ("softmax", "attention"),
    ("upsample", "upsampling"),
    ("adam", "optimizer"),
    ("copy", "copies"),
    ("cat", "copies"),
)
"""What is in the name of an operation -> the part of a step; the first that fits counts."""

WAYS = {"published": Way(published=True), "ours": Way(), "ours, checkpointing": Way(checkpointing=True)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to measure.

    Attributes:
        cases: of `CASES`.
        ways: of `WAYS`.
        device: auto, cpu or cuda.
        batch: samples of a step.
        steps: measured steps.
        warmup: steps before them.
        workers: loader processes; default 0 on a CPU, 4 (the published scripts' number) on a GPU.
        threads: CPU threads of the main process.
        precision: of our way; default bf16 on a GPU, fp32 on a CPU: there oneDNN's bf16 kernels for AMX (torch 2.15)
            corrupt memory in the weight gradient of a decoder convolution. With ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16
            in the environment bf16 works.
        channels_last: memory format of our way.
        compile: torch.compile in our way; use a warmup of some steps.
        loader_samples: samples of the measurement of the loader alone; 0 leaves it out.
        profile: one step more of our ways, to say which operations take its time.
        output: Markdown file to write; default benchmarks/results/<date>-train.md.
        measure: for the program's own use: one measurement, as JSON.
    """

    cases: tuple[str, ...] = tuple(CASES)
    ways: tuple[str, ...] = tuple(WAYS)
    device: str = "auto"
    batch: int = 1
    steps: int = 1
    warmup: int = 1
    workers: int | None = None
    threads: int = 2
    precision: Literal["fp32", "bf16", "fp16"] | None = None
    channels_last: bool = False
    compile: bool = False
    loader_samples: int = 20
    profile: bool = True
    output: Path | None = None
    measure: str | None = None


class PublishedTraining:
    """The samples of the published loader for the trainer: float32 clips of every model, made in the worker."""

    def __init__(
        self, video: AnnotatedVideo, images: Path, views: Mapping[str, InputSpec], grid: tuple[int, int]
    ) -> None:
        self.samples = PublishedSamples(video, images, dict(views), LENGTH)
        self.grid = grid

    def __len__(self) -> int:
        return LENGTH

    def __getitem__(self, key: tuple[int, int, int]) -> dict[str, Any]:
        return self.samples.at(below(next(draws(key)), self.samples.video.num_frames))  # the frame that ours draws

    def prepare(self, samples: list[dict[str, Any]], device: torch.device) -> Batch[SaliencyTarget]:
        """Stack, move, and bring the axes into the models' order."""
        inputs: dict[str, Tensor] = {}
        for name in self.samples.views:
            clips = torch.stack([sample["clips"][name] for sample in samples])  # (B, T, 3, h, w)
            inputs[name] = clips.to(device, non_blocking=True).permute(0, 2, 1, 3, 4)
        maps = [resize_map(sample["density"].to(device, non_blocking=True), self.grid) for sample in samples]
        density = torch.stack(maps)
        return Batch(
            inputs=inputs,
            target=SaliencyTarget(density=density, fixations=torch.zeros_like(density, dtype=torch.bool)),
            ids=["" for _ in samples],
        )


LENGTH = 10_000
"""Samples in an epoch; more than any measurement takes."""


class PublishedAdam(torch.optim.Adam):
    """Adam as the published scripts make it; our trainer's guard against non-finite steps needs a fused one."""

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move the weights."""
        self.found_inf = self.grad_scale = None
        return super().step(closure)


def main() -> None:
    """Measure everything asked for and write the tables."""
    options = tyro.cli(Options, description=__doc__)
    if options.measure is not None:
        case, way, root = json.loads(options.measure)
        sys.stdout.write(json.dumps(measure(options, case, WAYS[way], Path(root))) + "\n")
        return
    gpu = pick_device(options.device).type == "cuda"
    workers = options.workers if options.workers is not None else (4 if gpu else 0)
    options = replace(options, workers=workers, precision=options.precision or ("bf16" if gpu else "fp32"))
    rows: list[str] = []
    shares: list[str] = []
    with tempfile.TemporaryDirectory(prefix="saliency-bench-") as name:
        root = Path(name)
        video = lay_out(root)
        loader = loader_rows(root, video, options.loader_samples) if options.loader_samples else []
        print("\n".join(loader), flush=True)
        for case in options.cases:
            first: dict[str, Any] | None = None
            for way in options.ways:
                found = in_own_process(options, case, way, root)
                first = first or found
                rows.append(row(case, way, found, first))
                print(rows[-1], flush=True)
                if "parts" in found:
                    shares.append(f"| {case} | {way} | {', '.join(found['parts'])} |")
                    print(shares[-1], flush=True)
    path = options.output or RESULTS / f"{datetime.date.today()}-train.md"
    path.write_text(page(options, rows, shares, loader), encoding="utf-8")


def row(case: str, way: str, found: dict[str, Any], first: dict[str, Any]) -> str:
    """One line of the table."""
    if "failed" in found:
        return f"| {case} | {way} | {found['failed']} | | | | |"
    speed = 1 / found["wall"]
    cpu, times = "-", "-"
    if found["cpu"] is not None:
        cpu = f"{found['cpu']:.1f}"
    if "failed" not in first:
        key = "wall" if found["cpu"] is None else "cpu"
        times = f"{first[key] / found[key]:.2f}"
    return f"| {case} | {way} | {speed:.3g} | {cpu} | {times} | {found['memory']:.2f} | {found['loss']:.4f} |"


# One measurement


def measure(options: Options, case: str, way: Way, root: Path) -> dict[str, Any]:
    """Train some steps; seconds per sample (wall, and on a CPU computed), peak memory in GiB."""
    torch.set_num_threads(options.threads)
    device = pick_device(options.device)
    run = make_run(options, CASES[case], way)
    video = the_video(root)
    views = {name: learner.model.input for name, learner in run.learners.items()}
    grid: tuple[int, int] = getattr(run.data, "grid")  # noqa: B009  # saliency data have one
    training: Samples
    if way.published:
        training = PublishedTraining(video, root / "png", views, grid)
    else:
        training = VideoSamples([video], views, grid, drawing=Drawing(clips_per_video=LENGTH), cache=root / "raw")
    (stage,) = run.stages
    world = World(rank=0, size=1, device=device)
    logbook = Logbook(root / "unused", main=False)
    trainer = Trainer(run, root / "unused", world, StopRequest(), logbook, RunSamples(training, training))
    learners = make_learners(run, stage, root / "unused", world, None, Progress())
    if way.published:
        for learner in learners:
            make_published(learner)
    steps = trainer._steps(stage, 0)
    parts = iter(trainer._loader(training, steps, options.workers or 0))
    meter = Meter([learner.name for learner in learners], device)

    wall, cpu = 0.0, 0.0
    for number in range(options.warmup + options.steps):
        if number == options.warmup:
            synchronise(device)
            wall, cpu = -time.perf_counter(), -time.process_time()
        trainer._step(stage, learners, parts, steps, number, meter)
    synchronise(device)
    wall, cpu = wall + time.perf_counter(), cpu + time.process_time()
    samples = options.steps * options.batch
    losses = meter.read(world)
    memory = peak_memory(device)
    found: dict[str, Any] = {}
    if options.profile and not way.published:
        kinds = {ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])}
        with torch.profiler.profile(activities=list(kinds)) as profile:
            trainer._step(stage, learners, parts, steps, options.warmup + options.steps, meter)
            synchronise(device)
        found["parts"] = largest_parts(profile, on_gpu=device.type == "cuda")
    return found | {
        "wall": wall / samples,
        "cpu": cpu / samples if device.type == "cpu" else None,
        "memory": memory / 2**30,
        "loss": statistics.fmean(value for name, value in losses.items() if name.startswith("loss/")),
    }


def largest_parts(profile: torch.profiler.profile, *, on_gpu: bool, count: int = 5) -> list[str]:
    """Name the operations that take most of a step, with their shares."""
    seconds: Counter[str] = Counter()
    for row in profile.key_averages():
        taken = row.self_device_time_total if on_gpu else row.self_cpu_time_total
        seconds[next((part for words, part in PARTS if words in row.key), "other")] += taken
    total = sum(seconds.values()) or 1
    return [f"{part} {100 * taken / total:.0f} %" for part, taken in seconds.most_common(count)]


def make_run(options: Options, models: tuple[str, ...], way: Way) -> Run:
    """Return the full-size run of a case, from random weights."""
    run = load_run(TRI_KD)
    learners = {}
    for name in models:
        learner = run.learners[name]
        model = replace(learner.model, checkpoint_activations=way.checkpointing)  # pyright: ignore[reportArgumentType]
        learners[name] = replace(learner, model=model, init="scratch")
    ours = not way.published
    train = replace(
        run.train,
        batch_size=options.batch,
        device=options.device,
        precision=(options.precision or "fp32") if ours else "fp32",
        channels_last=options.channels_last and ours,
        compile=options.compile and ours,
    )
    stage = Stage(name="step", epochs=1, lr=1e-6, distiller=BiKD() if len(models) > 1 else TaskOnly())
    return replace(run, learners=learners, stages=(stage,), train=train)


def make_published(learner: Trained) -> None:
    """Give a learner the published attention and optimizer."""
    plain_attention(learner.model)
    assert learner.optimizer is not None
    (group,) = learner.optimizer.param_groups
    learner.optimizer = PublishedAdam(group["params"], lr=group["lr"], weight_decay=group["weight_decay"])
    learner.optimizer.param_groups[0]["initial_lr"] = group["lr"]


def the_video(root: Path) -> AnnotatedVideo:
    """Return the video that `lay_out` put there."""
    from saliency.datasets.dhf1k import DHF1K

    return DHF1K(root=root, splits={"train": "2"}, may_be_empty=True).videos("train")[0]


def synchronise(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(device: torch.device) -> int:
    """Bytes: on a GPU what tensors took at most, on a CPU the whole process with its libraries."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 2**10


def in_own_process(options: Options, case: str, way: str, root: Path) -> dict[str, Any]:
    """Run one measurement; a failure (memory) is a result too."""
    command = [sys.executable, __file__, "--measure", json.dumps([case, way, str(root)])]
    for name in ("device", "batch", "steps", "warmup", "workers", "threads", "precision"):
        command += [f"--{name}", str(getattr(options, name))]
    command += ["--profile" if options.profile else "--no-profile"]
    command += [f"--{name.replace('_', '-')}" for name in ("channels_last", "compile") if getattr(options, name)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    if done.returncode == -9 or "OutOfMemory" in done.stderr or "not enough memory" in done.stderr:
        return {"failed": "out of memory"}
    sys.stderr.write(done.stderr)
    raise RuntimeError(f"{case}, {way}: exit status {done.returncode}")


# The loader alone


def loader_rows(root: Path, video: AnnotatedVideo, count: int) -> list[str]:
    """CPU seconds for a sample, for two views (TMFI-Net and ViNet-A) and three."""
    torch.set_num_threads(1)
    rows = []
    for title, views in (("two", {"tmfi_net": TMFI, "vinet_a": VINET_A}), ("three", THREE)):
        grid = VINET_A.size
        published = PublishedTraining(video, root / "png", views, grid)
        ways: dict[str, Any] = {"PNG, Pillow, float32 (published)": published}
        for name, cache in (("AVI", "none"), ("JPEG tar", root / "jpeg"), ("memory-mapped pixels", root / "raw")):
            ways[name] = VideoSamples([video], views, grid, drawing=Drawing(clips_per_video=LENGTH), cache=cache)  # type: ignore[arg-type]
        first: tuple[float, float] | None = None
        for name, samples in ways.items():
            found = loader_time(samples, max(4, count // 4) if name.startswith("PNG") else count)
            first = first or found
            rows.append(
                f"| {title} | {name} | {1 / found[0]:.1f} | {first[0] / found[0]:.1f} "
                f"| {1 / found[1]:.1f} | {first[1] / found[1]:.1f} |"
            )
    return rows


def loader_time(samples: Any, count: int) -> tuple[float, float]:
    """CPU seconds for a sample: what a loader process does, and that with what the device does otherwise."""
    device = torch.device("cpu")
    samples.prepare([samples[(0, 1, 0)]], device)  # opens what is kept open
    loading, preparing = [], []
    for i in range(count):
        start = time.process_time()
        sample = samples[(0, 0, i)]
        middle = time.process_time()
        samples.prepare([sample], device)
        loading.append(middle - start)
        preparing.append(time.process_time() - middle)
    load = statistics.median(loading)
    return load, load + statistics.median(preparing)


def page(options: Options, rows: list[str], shares: list[str], loader: list[str]) -> str:
    """Return the results as Markdown."""
    found = environment()
    device = pick_device(options.device)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    ours = f"{options.precision}{', channels_last_3d' if options.channels_last else ''}"
    gpu = device.type == "cuda"
    lines = [
        "# Training: samples per second and peak memory",
        "",
        f"- date {datetime.date.today()}, commit {commit()}",
        f"- command `{shlex.join(['python', 'benchmarks/train.py', *sys.argv[1:]])}`",
        f"- {device.type}, batch {options.batch}, {options.steps} measured step(s) after {options.warmup}, "
        f"{options.threads} thread(s), {options.workers} loader process(es), native sizes, random weights",
        f"- published: float32; ours: {ours}{', compiled' if options.compile else ''}",
        f"- versions: {found['versions']}",
        f"- hardware: {found['hardware']}",
        f"- load averages at the end (1, 5, 15 minutes): {load}",
        "",
        "A step is loading, forward, loss, transfer, backward and optimizer. "
        + (
            "Times the published way: of the wall time. Memory: what tensors took at most on the GPU."
            if gpu
            else "Times the published way: of CPU time, since other programs share the machine and slow the wall "
            "clock. Memory: the whole process at its peak, libraries (0.5 GiB), weights and Adam's state included."
        ),
        "",
        "| case | way | samples/s | CPU s a sample | times published | peak GiB | loss |",
        "|---|---|---:|---:|---:|---:|---:|",
        *rows,
    ]
    if shares:
        lines += [
            "",
            "What a step's time goes into, the largest parts as PyTorch's profiler counts them.",
            "",
            "| case | way | parts |",
            "|---|---|---|",
            *shares,
        ]
    if loader:
        lines += [
            "",
            "The loader alone, samples per CPU second of one process: what a loader process does for one sample, and",
            "that together with resizing and normalising on the CPU, which the device does in ours.",
            "",
            "| views | from | in the loader | times published | with normalisation | times published |",
            "|---|---|---:|---:|---:|---:|",
            *loader,
        ]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    set_up_process()  # as every command does
    exit_with(main)
