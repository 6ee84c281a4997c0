"""How near maps drawn between every N-th frame come to those of every frame: `python benchmarks/every_nth.py`.

Every frame of some simulated videos (moving things, panning cameras, hard cuts) is predicted once with the default
model; then each N-th map and the last one are kept, the others drawn in proportion to time as `--every N` does, and
compared with the predicted ones by their correlation.
"""

import argparse
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import torch

import saliency
from saliency.datasets.mini import Mini
from saliency.inference.thinning import Thinned
from saliency.metrics.cc import cc
from saliency.runtime.environment import environment

STEPS = (2, 4, 8, 16)


class Kept:
    """Hands out maps that were made before."""

    def __init__(self, maps: list[torch.Tensor]) -> None:
        self._maps = maps

    def maps(self, source: object, *, every: int = 1) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield each `every`-th map and the last one."""
        last = len(self._maps) - 1
        for number in sorted({*range(0, len(self._maps), every), last}):
            yield number, self._maps[number]


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=3)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--out", type=Path, default=Path(f"benchmarks/results/{date.today()}-every-nth.md"))
    arguments = parser.parse_args()
    model = saliency.load_model(device="cpu")
    found: dict[int, list[torch.Tensor]] = {step: [] for step in STEPS}
    count = 0
    for video in Mini().videos("test")[: arguments.videos]:
        with video.open() as source:
            frames = source.read(range(min(arguments.frames, len(source))))
        every = [torch.from_numpy(m.values) for m in model.predict(frames, size="model")]
        count += len(every)
        for step in STEPS:
            drawn = torch.stack([m for _, m in Thinned(Kept(every), step).maps(None)])
            found[step].append(cc(drawn, torch.stack(every)))
    hardware = environment()["hardware"]
    machine = ", ".join(f"{what}: {value}" for what, value in hardware.items()) if isinstance(hardware, dict) else ""
    lines = [
        f"# Maps drawn between every N-th frame, {date.today()}",
        "",
        f"`python benchmarks/every_nth.py --videos {arguments.videos} --frames {arguments.frames}`; model "
        f"{model.name}, {count} frames of {arguments.videos} simulated videos at 30 frames a second; {machine}.",
        "CC between the map that `--every N` draws and the one that the model predicts, over all frames (those that",
        "are predicted anyway among them). One frame in N at 30 frames a second is as far apart as one in 2 N at 60.",
        "",
        "| N | mean CC | 5th percentile | lowest |",
        "|---:|---:|---:|---:|",
    ]
    for step, parts in found.items():
        values = torch.cat(parts).numpy()
        lines.append(f"| {step} | {values.mean():.4f} | {np.percentile(values, 5):.4f} | {values.min():.4f} |")
    text = "\n".join(lines) + "\n"
    print(text)
    arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
