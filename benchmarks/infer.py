"""From a video file to maps as files: today's ways beside the earlier and the reference way, and the limit.

    python benchmarks/infer.py --maps 2                  # every model, on one thread
    python benchmarks/infer.py --models real_gaze --maps 60 --threads 2
    python benchmarks/infer.py --models ViNet-S --maps 16     # whose PyTorch way shares work between maps

Ways, each from the file to 8-bit PNG maps of the video's size:

* reference: the frames of every window are read again from PNG files with Pillow, one clip at a time, fp32;
* earlier: one pass over the file, the model as it was trained (BatchNorms apart, PyTorch's own layers), fp32;
* ours: `saliency.inference.predictor.Predictor` with each backend and precision that is at hand;
* limit: decode the file and encode it again, without any model.

What is counted is the CPU time of the process over all threads, the least of `--repeats` runs that take turns: on a
shared machine wall-clock time says more about the neighbours. The weights of the large models are random, which
changes no time.
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import torch
import tyro
from PIL import Image

from saliency.commands.bench import read
from saliency.commands.main import exit_with, set_up_process
from saliency.inference.backends.base import CPU, TORCH, Network
from saliency.inference.backends.pytorch import TorchNetwork
from saliency.inference.engine import Engine
from saliency.inference.predictor import Predictor
from saliency.inference.ways import in_threads, ways
from saliency.inference.zoo import open_model, resolve
from saliency.io.frames import open_frames
from saliency.io.transforms import make_clip, resize_map
from saliency.io.video_writer import VideoWriter
from saliency.models.tmfi_net import TMFINetConfig
from saliency.models.vinet_a import ViNetAConfig
from saliency.models.vinet_s import ViNetSConfig
from saliency.runtime.environment import environment
from saliency.types import InputSpec

RESULTS = Path(__file__).parent / "results"
BATCH = 4
"""Clips of our ways at once, the default of the commands."""
FULL_SIZE = {"ViNet-S": ViNetSConfig, "ViNet-A": ViNetAConfig, "TMFI-Net": TMFINetConfig}


class AsTrained:
    """The engine of the earlier way: the model as it is."""

    def __init__(self, model: torch.nn.Module, spec: InputSpec) -> None:
        self.model, self.spec = model.eval(), spec

    compute = TORCH
    together = False

    def expect(self, size: tuple[int, int], maps: int | None) -> None:
        """Nothing is to be chosen."""

    def network(self, size: tuple[int, int], batch_size: int = 1) -> Network:
        """The same for every video of this benchmark."""
        plain = torch.nn.Sequential(self.model)  # one clip at a time
        return TorchNetwork(plain, replace(self.spec, size=size, keep_shape=False), CPU)


def save(small: torch.Tensor, size: tuple[int, int], path: Path) -> None:
    """Write a map as PNG, its maximum white."""
    values = resize_map(small, size).numpy()
    Image.fromarray((255 * values / values.max()).astype(np.uint8)).save(path)


def in_one_pass(predictor: Predictor, clip: Path, count: int, out: Path) -> list[np.ndarray]:
    """The earlier way and ours."""
    maps = []
    with open_frames(clip) as frames:
        for number, small in predictor.maps(frames, range(count)):
            save(small, frames.size, out / f"{number:04d}.png")
            maps.append(small.numpy())
    return maps


def by_window(model: torch.nn.Module, spec: InputSpec, folder: Path, count: int, out: Path) -> list[np.ndarray]:
    """The reference way."""
    files, maps = sorted(folder.glob("*.png")), []
    for target in range(count):
        pictures = []
        for index in spec.frames(target, len(files)):
            with Image.open(files[index]) as picture:
                size = picture.height, picture.width
                small = picture.convert("RGB").resize(spec.size[::-1], Image.Resampling.BILINEAR)
                pictures.append(torch.from_numpy(np.array(small)).permute(2, 0, 1))
        with torch.no_grad():
            found = model(make_clip(torch.stack(pictures), spec)[None])[0]
        save(found, size, out / f"{target:04d}.png")
        maps.append(found.numpy())
    return maps


def limit(clip: Path, count: int, out: Path) -> list[np.ndarray]:
    """Decode and encode."""
    with open_frames(clip) as frames, VideoWriter(out / "limit.mp4", size=frames.size, fps=frames.fps) as writer:
        for frame in frames.iterate(0, count):
            writer.write(frame)
    return []


def measured(works: dict[str, Callable[[], list[np.ndarray]]], count: int, repeats: int) -> dict[str, dict[str, float]]:
    """CPU and wall seconds a map, and agreement with the earlier way."""
    least: dict[str, dict[str, float]] = {}
    exact: list[np.ndarray] = []
    for turn in range(repeats):
        for name, work in works.items():
            cpu, wall = time.process_time(), time.perf_counter()
            maps = work()
            row = {"cpu_s": (time.process_time() - cpu) / count, "wall_s": (time.perf_counter() - wall) / count}
            if name == "earlier":
                exact = maps
            elif turn == 0 and maps and exact:
                pairs = list(zip(maps, exact, strict=True))
                row["cc"] = min(float(np.corrcoef(a.ravel(), b.ravel())[0, 1]) for a, b in pairs)
                row["difference"] = max(float(np.abs(a - b).max() / b.max()) for a, b in pairs)
            known = least.setdefault(name, row)
            for key in ("cpu_s", "wall_s"):
                known[key] = min(known[key], row[key])
            print(f"  {name}: {row['cpu_s']:.4g} CPU s a map", flush=True)
    return least


def main(
    models: tuple[str, ...] = ("real_gaze", *FULL_SIZE),
    maps: int = 2,
    repeats: int = 3,
    threads: int = 1,
    clip: Path | None = None,
    out: Path | None = None,
) -> int:
    """Measure.

    Args:
        models: `real_gaze`, ViNet-S, ViNet-A, TMFI-Net.
        maps: of each run.
        repeats: runs of each way.
        threads: of the CPU.
        clip: a video; default: a rendered scene of 360x640.
        out: result; default: benchmarks/results/DATE-infer-MODELS.json.
    """
    in_threads(threads)
    result = {"date": str(date.today()), "load": os.getloadavg()[0], "threads": threads, "maps": maps, **environment()}
    result["cpu"] = result["hardware"]["cpu"]
    head = ["git", "rev-parse", "--short", "HEAD"]
    result["commit"] = subprocess.run(head, capture_output=True, text=True, check=True).stdout.strip()
    result["models"], result["claims"] = {}, []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        pictures = read(clip, maps + 8)
        clip = folder / "clip.mp4"
        (folder / "png").mkdir()
        with VideoWriter(clip, size=pictures.shape[1:3], fps=30.0) as writer:
            for frame in pictures:
                writer.write(frame)
        with open_frames(clip) as frames:  # what the reference reads is what the file shows
            for i, frame in enumerate(frames.iterate()):
                Image.fromarray(frame).save(folder / "png" / f"{i:04d}.png")
        for name in models:
            print(name, flush=True)
            rows = of_model(name, clip, folder, maps, repeats)
            result["models"][name] = rows
            result["claims"] += claims(name, rows)
    file = out or RESULTS / f"{result['date']}-infer-{'-'.join(models)}.json"
    file.write_text(json.dumps(result, indent=1), encoding="utf-8")
    file.with_suffix(".md").write_text(page(result), encoding="utf-8")
    print(page(result))
    return 0


def of_model(name: str, clip: Path, folder: Path, maps: int, repeats: int) -> dict[str, dict[str, float]]:
    """Every way of one model."""
    torch.manual_seed(0)
    if name in FULL_SIZE:
        config = FULL_SIZE[name]()
        model, spec, sha256 = config.build().eval(), config.input, f"random-{name}"
    else:
        loaded = open_model(resolve(name))
        model, spec, sha256 = loaded.model.eval(), loaded.config.input, loaded.sha256
    with open_frames(clip) as frames:
        size = frames.size
    fixed = AsTrained(model, spec).network(spec.fitted(size).size).spec
    out = folder / "out"
    out.mkdir(exist_ok=True)
    works: dict[str, Callable[[], list[np.ndarray]]] = {
        "earlier": lambda: in_one_pass(Predictor(AsTrained(model, spec), 4), clip, maps, out),  # type: ignore[arg-type]
        "reference": lambda: by_window(model, fixed, folder / "png", maps, out),
    }
    for compute in ways("cpu"):
        predictor = Predictor(Engine(model, spec, compute, sha256), BATCH)
        predictor.engine.network(spec.fitted(size).size, BATCH)  # graphs are made before
        works[f"{compute.backend} {compute.precision}"] = lambda p=predictor: in_one_pass(p, clip, maps, out)
    works["limit"] = lambda: limit(clip, maps, out)
    return measured(works, maps, repeats)


def claims(name: str, rows: dict[str, dict[str, float]]) -> list[dict[str, object]]:
    """What README says: the exact ways, and bf16 where it is faster."""
    usual = "every window read again"
    chosen = [way for way in ("torch fp32", "openvino fp32") if way in rows]
    if "openvino bf16" in rows and rows["openvino bf16"]["cpu_s"] < rows["openvino fp32"]["cpu_s"]:
        chosen.append("openvino bf16")
    return [
        {
            "name": f"a map of {name}, file to PNG",
            "usual": usual,
            "usual_value": rows["reference"]["cpu_s"],
            "ours": way,
            "ours_value": rows[way]["cpu_s"],
            "unit": "CPU s",
        }
        for way in chosen
    ]


def page(result: dict) -> str:
    """The result as Markdown."""
    lines = [
        f"# From a file to maps, {result['date']}",
        "",
        f"{result['cpu']}, {result['threads']} thread(s), load of the machine {result['load']:.1f}, commit "
        f"{result['commit']}, torch {result['versions']['torch']}. CPU seconds a map, least of the runs; ratios "
        "against the earlier way; agreement with it. Made by `python benchmarks/infer.py`.",
    ]
    for name, rows in result["models"].items():
        lines += ["", f"## {name}", "", "| way | CPU s a map | against earlier | CC | difference |"]
        lines += ["|---|---:|---:|---:|---:|"]
        for way, row in rows.items():
            agreed = (f"{row['cc']:.6f}", f"{row['difference']:.1e}") if "cc" in row else ("–", "–")
            ratio = rows["earlier"]["cpu_s"] / row["cpu_s"]
            lines.append(f"| {way} | {row['cpu_s']:.4g} | {ratio:.2f} x | {agreed[0]} | {agreed[1]} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    set_up_process()  # as every command does
    exit_with(lambda: tyro.cli(main))
