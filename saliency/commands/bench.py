"""Measure how fast this machine predicts: `saliency bench clip.mp4`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from saliency.commands.arguments import parse
from saliency.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from saliency.inference.ways import Measured

LOAD = Path("/proc/loadavg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Measure every model, backend and precision that is at hand on this machine: maps per second, memory, and how near
    each comes to PyTorch in fp32.

    Attributes:
        source: a video whose first frames are used; default: a rendered scene.
        weights: models by name, or weights files; default: all whose weights are on this machine.
        frames: how many frames of the video.
        seconds: of each measurement.
        batch_size: clips computed at once.
        threads: of the CPU; default: as many as PyTorch takes.
        device: auto, cpu, cuda, cuda:1, ...
    """  # noqa: D205

    source: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="VIDEO")] = None
    weights: tuple[str, ...] = ()
    frames: int = 48
    seconds: float = 5.0
    batch_size: int = 4
    threads: int | None = None
    device: str = "auto"


def main(words: Sequence[str]) -> int:
    """Run the tool."""
    arguments = parse(Arguments, words, command="bench")
    for name in ("frames", "seconds", "batch_size", "threads"):
        value = getattr(arguments, name)
        if value is not None and value <= 0:
            raise InputError(f"--{name.replace('_', '-')} must be above 0, got {value}")
    from saliency.inference.model import load_model
    from saliency.inference.ways import best, in_threads, measure, ways
    from saliency.inference.zoo import list_models
    from saliency.runtime.environment import environment
    from saliency.runtime.progress import progress_bar

    frames = read(arguments.source, arguments.frames)
    threads, chosen = in_threads(arguments.threads), ways(arguments.device)
    names = arguments.weights or tuple(entry.name for entry in list_models() if entry.path is not None)
    measured: list[Measured] = []
    with progress_bar("ways", len(names) * len(chosen)) as advance:
        for name in names:
            with load_model(name, device=arguments.device) as model:
                for one in measure(model, frames, chosen, seconds=arguments.seconds, batch_size=arguments.batch_size):
                    measured.append(one)
                    advance(1)
    hardware = environment()["hardware"]
    print(f"{hardware}, {threads} threads, frames of {frames.shape[1]}x{frames.shape[2]}")
    if (load := busy()) is not None:
        print(f"other programs are busy here (load {load:.1f}): trust the CPU's time more than maps/s")
    show(measured)
    for name in dict.fromkeys(one.model for one in measured):
        chosen_way = best([one for one in measured if one.model == name])
        compute = chosen_way.compute
        print(
            f"{name}: take --backend {compute.backend} --precision {compute.precision} ({chosen_way.rate:.1f} maps/s)"
        )
    return 0


def read(source: Path | None, count: int) -> "np.ndarray":
    """Return the first frames of a video, or of a rendered scene, uint8 (n, H, W, 3)."""
    import numpy as np

    if source is None:
        from saliency.data.mini_scenes import make_shots, render

        shots = make_shots(np.random.default_rng(0), max(count, 16), (360, 640))
        return np.stack([render(shot, i, (360, 640)) for shot in shots for i in range(len(shot))][:count])
    from saliency.io.frames import open_frames

    with open_frames(source) as frames:
        return frames.read(range(min(count, len(frames))))


def busy() -> float | None:
    """Return the load of the machine where it is more than this program makes; None where nobody keeps it."""
    import os

    if not LOAD.is_file():
        return None
    load = float(LOAD.read_text(encoding="utf-8").split()[0])
    return load if load > (os.cpu_count() or 1) + 1 else None


def show(measured: "Sequence[Measured]") -> None:
    """Print the table."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE)
    table.add_column("model", overflow="fold")
    table.add_column("computed", no_wrap=True)
    for heading in ("maps/s", "CPU ms", "ready in", "memory", "CC", "difference"):
        table.add_column(heading, justify="right")
    for one in measured:
        table.add_row(
            one.model,
            f"{one.compute.backend} {one.compute.precision}",
            f"{one.rate:.2f}",
            f"{1000 * one.cpu:.1f}",
            f"{one.ready:.1f} s",
            f"{one.memory / 2**20:.0f} MiB",
            f"{one.cc:.5f}",
            f"{one.difference:.1e}",
        )
    console = Console(markup=False)
    if not console.is_terminal:
        console.width = 120  # a file or pipe has no width to keep to, and broken numbers cannot be read
    console.print(table)
