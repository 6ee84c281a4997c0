"""Latency of a stream's maps, and how near they come to those of the whole video: `python benchmarks/live.py`.

Some simulated videos are predicted as a whole, then pushed frame by frame through `Model.live` with a growing
lookahead, up to the one from which both are equal.
"""

import argparse
from datetime import date
from pathlib import Path

import numpy as np
import torch

import saliency
from saliency.datasets.mini import Mini
from saliency.inference.model import Model
from saliency.inference.zoo import list_models
from saliency.metrics.cc import cc
from saliency.runtime.environment import environment


def rows(name: str, videos: list[np.ndarray], fps: float) -> list[str]:
    """Return the lines of the table of a model."""
    model = saliency.load_model(name, device="cpu", backend="torch")
    future = max(model.input.offsets[-1], 0)
    whole = torch.from_numpy(
        np.stack([m.values for video in videos for m in model.predict(video, size="model", batch_size=1)])
    )
    return [row(model, lookahead, videos, whole, fps) for lookahead in sorted({0, future // 2, future})]


def row(model: Model, lookahead: int, videos: list[np.ndarray], whole: torch.Tensor, fps: float) -> str:
    """Return the line of a model and a lookahead."""
    maps, computing = [], []
    for video in videos:
        live = model.live(lookahead=lookahead, size="model")
        found = [live.push(frame, time=i / fps) for i, frame in enumerate(video)]
        maps += [m.values for m in (*found, *live.finish()) if m is not None]
        computing.append(live.latency.computing or 0.0)
    same = cc(torch.from_numpy(np.stack(maps)), whole).numpy()
    waiting, work = 1000 * lookahead / fps, 1000 * np.mean(computing)
    return (
        f"| {model.name} | {lookahead} | {waiting:.0f} | {work:.0f} | {waiting + work:.0f} | {same.mean():.4f} | "
        f"{np.percentile(same, 5):.4f} | {same.min():.4f} |"
    )


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=[entry.name for entry in list_models() if entry.path])
    parser.add_argument("--videos", type=int, default=3)
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--out", type=Path, default=Path(f"benchmarks/results/{date.today()}-live.md"))
    arguments = parser.parse_args()
    videos, fps = [], 30.0
    for video in Mini().videos("test")[: arguments.videos]:
        with video.open() as source:
            videos.append(source.read(range(min(arguments.frames, len(source)))))
            fps = source.fps
    lines = [row for name in arguments.models for row in rows(name, videos, fps)]
    hardware = environment()["hardware"]
    machine = ", ".join(f"{what}: {value}" for what, value in hardware.items()) if isinstance(hardware, dict) else ""
    text = "\n".join(
        [
            f"# Maps of a stream, {date.today()}",
            "",
            f"`python benchmarks/live.py --videos {arguments.videos} --frames {arguments.frames}`; "
            f"{sum(map(len, videos))} frames of {len(videos)} simulated videos, {videos[0].shape[2]}x"
            f"{videos[0].shape[1]} pixels, {fps:g} frames a second; PyTorch {torch.__version__}, "
            f"{torch.get_num_threads()} thread(s); {machine}.",
            "Waiting: for the lookahead to arrive. Computing: one map at the model's size, resizing of the map",
            "included. CC: between the stream's map and that of the whole video, over all frames.",
            "",
            "| model | lookahead, frames | waiting, ms | computing, ms | together, ms "
            "| mean CC | 5th percentile | lowest |",
            "|---|---:|---:|---:|---:|---:|---:|---:|",
            *lines,
            "",
        ]
    )
    print(text)
    arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
