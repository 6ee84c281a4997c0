"""One GPU, measured in under nine minutes: parity, maps per second, a Bi-KD step, exact resume, decoding.

    python benchmarks/gpu.py                          # on a GPU
    python benchmarks/gpu.py --device cpu --tiny      # the same work on small models, as a test runs it

Needs PyTorch and this checkout; what is not there (torchcodec, a compiler for Triton) is named in the table, and so is
what the time did not allow. Parity is against the CPU in fp32 with TF32 off.
"""

# ruff: noqa: E402
import copy
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

REPO = Path(__file__).parents[1]
sys.path.insert(0, str(REPO))

import torch
import tyro
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from saliency.commands.main import exit_with
from saliency.distillation.bi_kd import BiKD
from saliency.inference.folding import for_inference
from saliency.models.tmfi_net import TMFINetConfig
from saliency.models.vinet_a import ViNetAConfig
from saliency.models.vinet_s import ViNetSConfig
from saliency.runtime import memory
from saliency.tasks.saliency import SaliencyTask
from saliency.training.checkpoint import Checkpoint, load, save
from saliency.types import InputSpec, SaliencyTarget

RESULTS = REPO / "benchmarks" / "results"
PEAKS = {"H100": (67e12, 989e12), "H200": (67e12, 989e12), "A100": (19.5e12, 312e12)}
"""Part of the GPU's name -> its FLOP/s in fp32 and in bf16 (dense), as its maker states them for the SXM card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to measure.

    Attributes:
        device: cuda, or cpu.
        tiny: small models and one repetition, to try all of it.
        batches: clips computed at once.
        seconds: of each measurement.
        minutes: of everything.
        out: file of the results; default benchmarks/results/DATE-gpu.json. A page lies beside it.
    """

    device: str = "cuda"
    tiny: bool = False
    batches: tuple[int, ...] = (1, 8, 32)
    seconds: float = 1.5
    minutes: float = 8.5
    out: Path | None = None


@dataclass(slots=True)
class Session:
    """One run of this benchmark.

    Attributes:
        options: what to measure.
        device: where.
        end: of the time, on the clock of `time.perf_counter`.
        result: what was found, JSON data.
    """

    options: Options
    device: torch.device
    end: float
    result: dict[str, Any] = field(default_factory=dict)

    def left(self) -> float:
        """Seconds that are left."""
        return self.end - time.perf_counter()

    def part(self, name: str, work: Callable[[], Any], reserve: float = 0.0) -> None:
        """Do one part; an error or a lack of time is a result, too.

        Args:
            name: of the part.
            work: does it.
            reserve: seconds that the parts after it need.
        """
        begun = time.perf_counter()
        try:
            self.result[name] = work() if self.left() > reserve else "no time was left"
        except Exception as error:
            self.result[name] = f"failed: {' '.join(str(error).split())[:200]}"
        self.result.setdefault("seconds", {})[name] = round(time.perf_counter() - begun, 1)
        print(name, json.dumps(self.result[name])[:300], flush=True)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def configs(tiny: bool) -> dict[str, Any]:
    """The three models."""
    if not tiny:
        return {"ViNet-S": ViNetSConfig(), "ViNet-A": ViNetAConfig(), "TMFI-Net": TMFINetConfig()}
    spec = InputSpec(length=8, size=(32, 64))
    return {
        "ViNet-S": ViNetSConfig(input=spec, width=0.125),
        "ViNet-A": ViNetAConfig(input=spec, width=0.125),
        "TMFI-Net": TMFINetConfig(input=spec, embed_dim=24, depths=(1, 1, 2, 1)),
    }


def built(config: Any) -> nn.Module:
    """A model with random weights, the same each time."""
    torch.manual_seed(0)
    return config.build()


def clips(config: Any, batch: int, device: torch.device) -> Tensor:
    """Random normalised clips (B, 3, T, H, W)."""
    spec = config.input
    return torch.randn(batch, 3, spec.length, *spec.size, generator=torch.Generator().manual_seed(1)).to(device)


def parity(session: Session) -> dict[str, float]:
    """Largest difference from the CPU, as a share of the map's peak."""
    found = {}
    for name, config in configs(session.options.tiny).items():
        model, x = built(config).eval(), clips(config, 1, torch.device("cpu"))
        with torch.no_grad():
            wanted = model(x)
            maps = model.to(session.device)(x.to(session.device)).cpu()
        found[name] = float((maps - wanted).abs().max() / wanted.max())
    return found


def speed(session: Session, name: str) -> list[dict[str, Any]]:
    """Maps per second of one model in every way."""
    config = configs(session.options.tiny)[name]
    model = for_inference(built(config)).to(session.device)
    flops = flops_of(model, clips(config, 1, session.device))
    rows = []
    for way in ("eager", "channels_last_3d", "CUDA graphs", "compile"):
        if way == "CUDA graphs" and session.device.type != "cuda":
            continue
        for precision in ("fp32", "bf16"):
            # compiling takes long: the largest batch alone shows what it brings
            for batch in session.options.batches[-1:] if way == "compile" else session.options.batches:
                rows.append(cell(session, model, clips(config, batch, session.device), way, precision))
                rows[-1] |= {"way": way, "precision": precision, "batch": batch}
                if rate := rows[-1].get("maps_s"):
                    rows[-1]["tflop_s"] = rate * flops / 1e12
                    rows[-1]["roofline"] = share(session, rate * flops, precision)
    return rows


def cell(session: Session, model: nn.Module, x: Tensor, way: str, precision: str) -> dict[str, Any]:
    """One measurement."""
    need = 60.0 if way == "compile" and not session.options.tiny else 4 * session.options.seconds
    if session.left() < need:
        return {"failed": "no time was left"}
    try:
        half = torch.autocast(session.device.type, torch.bfloat16) if precision == "bf16" else nullcontext()
        if way == "channels_last_3d":
            model = copy.deepcopy(model).to(memory_format=torch.channels_last_3d)
            x = x.contiguous(memory_format=torch.channels_last_3d)
        if way == "compile":
            model = torch.compile(model, dynamic=False, backend="eager" if session.options.tiny else "inductor")  # pyright: ignore[reportAssignmentType]
        memory.reset_peak(session.device)
        with torch.no_grad(), half:
            run = graphed(model, x) if way == "CUDA graphs" else lambda: model(x)
            seconds = timed(run, session)
        return {"maps_s": len(x) / seconds, "memory": memory.peak(session.device)}
    except Exception as error:  # out of memory, no compiler: the other cells go on
        return {"failed": " ".join(str(error).split())[:120]}
    finally:
        if way == "compile":
            torch.compiler.reset()


def graphed(model: nn.Module, x: Tensor) -> Callable[[], None]:
    """Record a forward pass once; what is returned replays it."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            model(x)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        model(x)
    return graph.replay


def timed(run: Callable[[], Any], session: Session) -> float:
    """Seconds of one call, after two that warm up."""
    for _ in range(1 if session.options.tiny else 2):
        run()
    synchronise(session.device)
    calls, begun = 0, time.perf_counter()
    while True:
        run()
        synchronise(session.device)
        calls += 1
        if (passed := time.perf_counter() - begun) >= session.options.seconds:
            return passed / calls


def flops_of(model: nn.Module, x: Tensor) -> int:
    """Floating-point operations of one map."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x)
    return counter.get_total_flops()


def share(session: Session, flop_s: float, precision: str) -> float | None:
    """Share of what the GPU can do at most; None where that is not known."""
    name = session.result["hardware"]
    peak = next((peaks[precision == "bf16"] for known, peaks in PEAKS.items() if known in name), None)
    return None if peak is None else flop_s / peak


class Trio:
    """Three models that teach each other by Bi-KD on random clips."""

    def __init__(self, session: Session, *, batch: int, checkpointing: bool, half: bool) -> None:
        tiny = session.options.tiny
        self.device, self.half = session.device, half
        chosen = {n: replace(c, checkpoint_activations=checkpointing) for n, c in configs(tiny).items()}
        self.models = {name: built(config).train().to(self.device) for name, config in chosen.items()}
        self.optimizers = {name: torch.optim.AdamW(m.parameters(), lr=1e-5) for name, m in self.models.items()}
        self.inputs = {name: clips(config, batch, self.device) for name, config in chosen.items()}
        size = next(iter(chosen.values())).input.size
        density = torch.rand(batch, *size, generator=torch.Generator().manual_seed(2))
        self.target = SaliencyTarget(density.to(self.device), (density > 0.999).to(self.device))
        self.task, self.distiller = SaliencyTask(), BiKD()

    def step(self, number: int) -> Tensor:
        """One step; returns its loss."""
        torch.manual_seed(number)  # of dropout: a function of the step, as in training
        preds = {}
        for name, model in self.models.items():
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                preds[name] = self.task.align(model(self.inputs[name]), self.target)
        losses = {name: self.task.loss(pred, self.target) for name, pred in preds.items()}
        transfer = self.distiller(preds, losses, self.task.divergence)
        loss = (torch.stack(list(losses.values())).sum(0) + transfer.loss).mean()
        loss.backward()
        for optimizer in self.optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    def state(self) -> Checkpoint:
        """What training goes on from."""
        models = {name: model.state_dict() for name, model in self.models.items()}
        return Checkpoint(
            models=models, optimizers={name: o.state_dict() for name, o in self.optimizers.items()}, progress={}
        )

    def restore(self, state: Checkpoint) -> None:
        """Go back to a state."""
        for name, model in self.models.items():
            model.load_state_dict(state.models[name])
            self.optimizers[name].load_state_dict(state.optimizers[name])


def training(session: Session) -> dict[str, Any]:
    """Samples per second and peak memory of a tri-Bi-KD step."""
    found = {}
    batch = 2 if session.options.tiny else 4
    for name, checkpointing, half in (
        ("fp32", False, False),
        ("bf16", False, True),
        ("bf16, activations again", True, True),
    ):
        memory.reset_peak(session.device)
        try:
            trio = Trio(session, batch=batch, checkpointing=checkpointing, half=half and session.device.type == "cuda")
            seconds = timed(lambda trio=trio: trio.step(0), session)
            found[name] = {"samples_s": batch / seconds, "memory": memory.peak(session.device), "batch": batch}
        except torch.OutOfMemoryError:
            found[name] = "out of memory"
    return found


def resume(session: Session) -> str:
    """Three steps, against one step, a checkpoint on the disk, and two steps from it."""
    trio = Trio(session, batch=1, checkpointing=False, half=False)
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        trio.step(0)
        with tempfile.TemporaryDirectory() as scratch:
            save(Path(scratch) / "checkpoint", trio.state())
            straight = [float(trio.step(i)) for i in (1, 2)]
            end = {n: {k: v.clone() for k, v in m.state_dict().items()} for n, m in trio.models.items()}
            trio.restore(load(Path(scratch) / "checkpoint"))
            again = [float(trio.step(i)) for i in (1, 2)]
    finally:
        torch.use_deterministic_algorithms(before)
    same = all(torch.equal(v, end[n][k]) for n, m in trio.models.items() for k, v in m.state_dict().items())
    return "equal to the bit" if same and straight == again else f"differs: losses {straight} and {again}"


def decoding(session: Session) -> dict[str, Any] | str:
    """Frames per second of torchcodec on the GPU, if it is there."""
    try:
        from torchcodec.decoders import VideoDecoder  # pyright: ignore[reportMissingImports]
        from torchcodec.encoders import VideoEncoder  # pyright: ignore[reportMissingImports]
    except Exception as error:  # its libraries may be missing, too
        return f"torchcodec is not here ({type(error).__name__})"
    frames = torch.randint(0, 256, (48, 3, 360, 640), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "clip.mp4"
        VideoEncoder(frames, frame_rate=30).to_file(path)

        def run() -> None:
            for _ in VideoDecoder(str(path), device=session.options.device):
                pass

        return {"frames_s": len(frames) / timed(run, session)}


def synchronise(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def page(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = [
        f"# GPU, {result['date']}",
        "",
        f"{result['hardware']}, torch {result['torch']}, commit {result['commit']}.",
    ]
    lines += ["", "Largest difference from the CPU (fp32, TF32 off), share of the peak:"]
    lines += ["", f"`{json.dumps(result['parity'])}`", ""]
    lines += [
        "| model | way | precision | batch | maps/s | GiB | TFLOP/s | of the peak |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for name in configs(False):
        rows = result[f"speed of {name}"]
        for row in rows if isinstance(rows, list) else []:
            head = f"| {name} | {row['way']} | {row['precision']} | {row['batch']} |"
            if "failed" in row:
                lines.append(f"{head} {row['failed']} | | | |")
                continue
            roofline = "–" if row["roofline"] is None else f"{100 * row['roofline']:.0f} %"
            lines.append(
                f"{head} {row['maps_s']:.4g} | {row['memory'] / 2**30:.2f} | {row['tflop_s']:.3g} | {roofline} |"
            )
    for name in ("tri-Bi-KD", "resume", "decoding"):
        lines += ["", f"{name}: `{json.dumps(result[name])}`"]
    return "\n".join(lines) + "\n"


def main(options: Options) -> int:
    """Measure everything."""
    device = torch.device(options.device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    session = Session(options=options, device=device, end=time.perf_counter() + 60 * options.minutes)
    head = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=REPO
    )
    session.result |= {
        "date": str(date.today()),
        "commit": head.stdout.strip(),
        "hardware": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "torch": torch.__version__,
    }
    session.part("parity", lambda: parity(session))
    session.part("tri-Bi-KD", lambda: training(session))
    session.part("resume", lambda: resume(session))
    session.part("decoding", lambda: decoding(session))
    for name in configs(options.tiny):
        session.part(f"speed of {name}", lambda name=name: speed(session, name))
    out = options.out or RESULTS / f"{session.result['date']}-gpu.json"
    out.write_text(json.dumps(session.result, indent=1), encoding="utf-8")
    out.with_suffix(".md").write_text(page(session.result), encoding="utf-8")
    return 0


if __name__ == "__main__":
    exit_with(lambda: main(tyro.cli(Options, description=__doc__)))
