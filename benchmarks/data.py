"""Data loading against the way of the published loaders: what a training sample costs on the CPU.

    python benchmarks/data.py            about 10 minutes, writes benchmarks/results/<date>-data.{json,md}
    python benchmarks/data.py --samples 500 --rounds 3 --no-write

It needs the real video: saliency data get dhf1k-002.

The published way: frames extracted as PNG; for every model and frame Pillow opens the file, Resize, ToTensor,
Normalize, float32 in the worker. Ours: the original AVI, a JPEG tar or raw pixels, uint8 out of the worker, one
decode for all models, resize and normalisation on the batch. Numbers are CPU time (user + system) of all
processes, so other load on the machine matters less; the ways take turns in every round.
"""

import gc
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from saliency.data.targets import Key
from saliency.data.video import AnnotatedVideo, Drawing, VideoSamples, collate
from saliency.datasets.dhf1k import DHF1K, frame_counts, gaze_files, gaze_points
from saliency.gaze.recording import DHF1K_SIGMA
from saliency.io import frame_cache
from saliency.io.data_folder import find_data
from saliency.io.maps import read_density
from saliency.io.transforms import resize_frames
from saliency.preparation.extract import extract_frames, write_ground_truth
from saliency.runtime.environment import environment
from saliency.training.sampler import epoch_order
from saliency.types import InputSpec

RESULTS = Path(__file__).parent / "results"

TMFI = InputSpec()
VINET_S = InputSpec()
VINET_A = InputSpec(
    size=(256, 456), stride=2, target="middle", shift=1, mean=(0.45, 0.45, 0.45), std=(0.225, 0.225, 0.225)
)
ONE = {"tmfi_net": TMFI}
TWO = {"tmfi_net": TMFI, "vinet_a": VINET_A}
THREE = {"tmfi_net": TMFI, "vinet_s": VINET_S, "vinet_a": VINET_A}
TARGETS = {"avi": 6.0, "jpeg tar": 12.0, "raw": 50.0}
"""How many times cheaper than the published way the decoding part should be."""
LOADER_TARGET = 8.0
"""The same of the loader alone, with two views and the best cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What to measure.

    Attributes:
        rounds: repetitions of the decoding part; medians are reported.
        batches: batches of four samples per way of loading.
        samples: samples of the memory test.
        workers: loader processes.
        write: write the result files.
    """

    rounds: int = 11
    batches: int = 10
    samples: int = 10_000
    workers: int = 2
    write: bool = True


class PublishedSamples(Dataset[dict[str, Any]]):
    """The published way: PNG frames, per model and frame Pillow -> Resize -> ToTensor -> Normalize."""

    def __init__(self, video: AnnotatedVideo, images: Path, views: dict[str, InputSpec], length: int) -> None:
        self.video, self.images, self.views, self.length = video, images, views, length
        self.transforms = {
            name: transforms.Compose(
                [transforms.Resize(spec.size), transforms.ToTensor(), transforms.Normalize(spec.mean, spec.std)]
            )
            for name, spec in views.items()
        }

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.at(index * 37 % self.video.num_frames)

    def at(self, target: int) -> dict[str, Any]:
        """The sample of a target frame."""
        return {
            "clips": {name: self.clip(name, target) for name in self.views},
            "density": torch.from_numpy(read_density(self.video.maps / f"{target + 1:04d}.png")),  # type: ignore[attr-defined]
        }

    def clip(self, name: str, target: int) -> Tensor:
        """(T, 3, h, w) float32."""
        frames = []
        for i in self.views[name].frames(target, self.video.num_frames):
            with Image.open(self.images / f"{i + 1:04d}.png") as image:
                frames.append(self.transforms[name](image.convert("RGB")))
        return torch.stack(frames)


def main() -> None:
    """Measure and write."""
    arguments = tyro.cli(Arguments, description=__doc__)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="saliency-bench-") as name:
        root = Path(name)
        video = lay_out(root)
        result: dict[str, Any] = {
            "command": " ".join(["python", "benchmarks/data.py", *sys.argv[1:]]),
            "commit": commit(),
            "date": date.today().isoformat(),
            "environment": environment(),
            "load_average": os.getloadavg(),
        }
        result["decode"] = decode_part(root, video, arguments.rounds)
        report("decode", result["decode"])
        result["loader"] = loading(root, video, arguments, {"two models": TWO}, prepare=False)
        report("loader", result["loader"])
        result["samples"] = loading(root, video, arguments, {"one model": ONE, "three models": THREE}, prepare=True)
        report("samples", result["samples"])
        result["memory"] = memory(root, video, arguments)
        report("memory", result["memory"])
    if arguments.write:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{result['date']}-data.json"
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        path.with_suffix(".md").write_text(markdown(result), encoding="utf-8")


def lay_out(root: Path) -> AnnotatedVideo:
    """Lay the real video out: AVI, maps, PNG frames, frame cache."""
    (root / "video").mkdir()
    given = find_data("dhf1k-002", "dhf1k_002", "video/002.AVI")
    shutil.copy(given / "video" / "002.AVI", root / "video" / "002.AVI")
    points = gaze_points(gaze_files(given / "exportdata_train", 2), (360, 640), frame_counts()[1])
    write_ground_truth(points, (360, 640), float(DHF1K_SIGMA), root / "annotation" / "0002")
    video = DHF1K(root=root, splits={"train": "2"}, may_be_empty=True).videos("train")[0]
    extract_frames(video, root / "png")
    for spec in (TMFI, VINET_A):
        for kind in ("raw", "jpeg"):
            frame_cache.build(root / kind, video.id, video.open, video.sources(), spec.size, kind)
    return video


def decode_part(root: Path, video: AnnotatedVideo, rounds: int) -> dict[str, Any]:
    """CPU milliseconds for one clip of 32 frames at 224x384, in one process."""
    published = PublishedSamples(video, root / "png", ONE, 1)
    raw, jpeg = (frame_cache.FrameCache(root / kind) for kind in ("raw", "jpeg"))
    sources = video.sources()

    def avi(target: int) -> None:
        with video.open() as source:
            resize_frames(torch.from_numpy(source.read(TMFI.frames(target, video.num_frames))), TMFI.size)

    def cached(cache: frame_cache.FrameCache, target: int) -> None:
        cache.read(video.id, TMFI.size, sources, TMFI.frames(target, video.num_frames))

    ways: dict[str, Callable[[int], object]] = {
        "published": lambda target: published.clip("tmfi_net", target),
        "avi": avi,
        "jpeg tar": lambda target: cached(jpeg, target),
        "raw": lambda target: cached(raw, target),
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(rounds + 1):
        for way, work in ways.items():
            repeats = {"published": 1, "avi": 3, "jpeg tar": 6, "raw": 20}[way]
            start = time.process_time()
            for k in range(repeats):
                work(100 + (turn * 131 + k * 47) % 600)
            if turn:  # the first warms the page cache
                times[way].append((time.process_time() - start) / repeats * 1e3)
    base = statistics.median(times["published"])
    return {
        way: {
            "cpu_ms": statistics.median(values),
            "times_cheaper": base / statistics.median(values),
            "target": TARGETS.get(way),
        }
        for way, values in times.items()
    }


def loading(
    root: Path, video: AnnotatedVideo, arguments: Arguments, models: dict[str, dict[str, InputSpec]], prepare: bool
) -> dict[str, Any]:
    """Samples per CPU second with workers: until the batch leaves the loader, or the models' normalised input."""
    found: dict[str, Any] = {}
    count = arguments.batches * 4
    for title, views in models.items():
        rows: dict[str, Any] = {}
        published = PublishedSamples(video, root / "png", views, count)
        rows["published"] = cpu_of(published, None, range(count), arguments.workers, lambda batch: batch)
        for way, cache in (("avi", "none"), ("jpeg tar", root / "jpeg"), ("raw", root / "raw")):
            ours = VideoSamples([video], views, VINET_A.size, drawing=Drawing(clips_per_video=count), cache=cache)  # type: ignore[arg-type]
            rows[way] = cpu_of(
                ours,
                collate,
                keys(count),
                arguments.workers,
                lambda batch, ours=ours: ours.prepare(batch, "cpu") if prepare else batch,
            )
        for row in rows.values():
            row["ratio"] = row["samples_per_cpu_second"] / rows["published"]["samples_per_cpu_second"]
        found[title] = rows
    return found


def keys(count: int) -> list[Key]:
    """The training keys of an epoch of `count` samples."""
    return [(0, 0, i) for i in epoch_order(0, 0, count)]


def cpu_of(
    samples: Dataset[Any],
    collate_fn: Callable[[list[Any]], Any] | None,
    chosen: Iterable[Any],
    workers: int,
    finish: Callable[[Any], object],
) -> dict[str, float]:
    """Load every key in batches of four and return samples per CPU second of all processes."""
    chosen = list(chosen)
    torch.set_num_threads(1)
    before, start = cpu_seconds(), time.perf_counter()
    loader = DataLoader(
        samples,
        batch_size=4,
        sampler=chosen,  # type: ignore[arg-type]
        num_workers=workers,
        collate_fn=collate_fn,
        multiprocessing_context="fork",  # a spawned worker would add the seconds of importing torch
    )
    for batch in loader:
        finish(batch)
    del loader
    gc.collect()  # joins the workers, whose time counts from then on
    used = cpu_seconds() - before
    return {
        "samples_per_cpu_second": len(chosen) / used,
        "samples_per_second": len(chosen) / (time.perf_counter() - start),
    }


def memory(root: Path, video: AnnotatedVideo, arguments: Arguments) -> dict[str, Any]:
    """Resident memory of the workers over many samples of the AVI."""
    spec = InputSpec(length=4)  # opening and seeking is where readers leak; few frames make it quick
    samples = VideoSamples([video], {"a": spec}, (224, 384), drawing=Drawing(clips_per_video=arguments.samples))
    loader = DataLoader(
        samples,
        batch_size=4,
        sampler=keys(arguments.samples),  # type: ignore[arg-type]
        num_workers=arguments.workers,
        collate_fn=collate,
        multiprocessing_context="fork",
    )
    batches = iter(loader)
    pids = [worker.pid for worker in batches._workers]  # type: ignore[attr-defined]
    seen: list[tuple[int, float]] = []
    for k, _ in enumerate(batches):
        if k % 25 == 0:
            seen.append((4 * k, sum(resident_mb(pid) for pid in pids) / len(pids)))
    rows = np.array([row for row in seen if row[0] >= arguments.samples // 10])  # after the warm-up
    slope = float(np.polyfit(rows[:, 0], rows[:, 1], 1)[0])
    return {
        "samples": arguments.samples,
        "first_mb_per_worker": float(rows[0, 1]),
        "last_mb_per_worker": float(rows[-1, 1]),
        "slope_mb_per_1000_samples": slope * 1000,
    }


def resident_mb(pid: int) -> float:
    """Resident memory of a process in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def cpu_seconds() -> float:
    """User and system time of this process and its ended children."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def commit() -> str:
    """The commit that is measured."""
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def report(title: str, values: object) -> None:
    """Print one part of the result."""
    print(title, json.dumps(values, indent=1))


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    hardware, versions = result["environment"]["hardware"], result["environment"]["versions"]
    lines = [
        "# Data loading against the way of the published loaders",
        "",
        f"`{result['command']}`, commit {result['commit']}, {result['date']}, {hardware['cpu']}, "
        f"{hardware['cores']} cores, load {result['load_average'][0]:.1f} before; "
        + ", ".join(f"{name} {version}" for name, version in versions.items()),
        "",
        "DHF1K's video 002 (640x360, mpeg4), page cache warm. CPU time of all processes. One video is read again "
        "and again, so its index is there: a worker's first clip of a video costs about 6 ms more. Other programs "
        "were running where the load says so; wall times suffer from them.",
        "",
        "Decoding part: one clip of 32 frames to uint8 224x384 (published: PNG, Pillow, Resize, ToTensor, Normalize).",
        "",
        "| way | CPU ms per clip | times cheaper | target |",
        "|---|---|---|---|",
    ]
    for way, row in result["decode"].items():
        target = f">= {row['target']:.0f}" if row["target"] else ""
        lines.append(f"| {way} | {row['cpu_ms']:.1f} | {row['times_cheaper']:.1f} | {target} |")
    lines += ["", f"The loader alone, until a batch of four arrives (target: raw >= {LOADER_TARGET:.0f} times):", ""]
    lines += rates(result["loader"])
    lines += ["", "Whole samples, from the file to every model's normalised float32 input, batches of four:", ""]
    lines += rates(result["samples"])
    found = result["memory"]
    lines += [
        "",
        f"Memory: {found['samples']} samples from the AVI, resident MB per worker "
        f"{found['first_mb_per_worker']:.0f} -> {found['last_mb_per_worker']:.0f}, slope "
        f"{found['slope_mb_per_1000_samples']:+.3f} MB per 1000 samples after the first tenth.",
        "",
    ]
    return "\n".join(lines)


def rates(found: dict[str, Any]) -> list[str]:
    """A table of samples per second of CPU and of wall time."""
    lines = ["| models | way | samples / CPU s | samples / s | times the published way |", "|---|---|---|---|---|"]
    for models, rows in found.items():
        for way, row in rows.items():
            lines.append(
                f"| {models} | {way} | {row['samples_per_cpu_second']:.2f} | {row['samples_per_second']:.2f} "
                f"| {row['ratio']:.1f} |"
            )
    return lines


if __name__ == "__main__":
    main()
