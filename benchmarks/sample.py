"""What a whole training sample costs: from the files to a model's normalised input and its target, on a CPU.

    SALIENCY_DATA=FOLDER python benchmarks/sample.py [--out FILE.json]

The published way: a PNG file for each frame, opened with Pillow, resized, normalised as float32, stacked; the density.
Ours: `VideoSamples` from a raw frame cache and its `prepare`; density and fixations. In turns in one process, one
thread, CPU time; the real video (``saliency data get dhf1k-002``). Run it from two checkouts to compare them.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from saliency.commands.main import set_up_process

set_up_process()  # as every command does, before PyTorch is loaded

import torch  # noqa: E402
from data import ONE, THREE, VINET_A, PublishedSamples, lay_out  # noqa: E402

from saliency.data.targets import below, draws  # noqa: E402
from saliency.data.video import Drawing, VideoSamples  # noqa: E402
from saliency.io.transforms import resize_map  # noqa: E402
from saliency.runtime.environment import environment  # noqa: E402

BATCH = 4
ROUNDS = 8
LENGTH = 10_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, object] = {
        "command": "benchmarks/sample.py",
        "environment": environment(),
        "load_average": [round(value, 1) for value in os.getloadavg()],
    }
    with tempfile.TemporaryDirectory(prefix="saliency-bench-") as name:
        root = Path(name)
        video = lay_out(root)
        for title, views in (("one model", ONE), ("three models", THREE)):
            drawing = Drawing(clips_per_video=LENGTH)
            ours = VideoSamples([video], views, VINET_A.size, drawing=drawing, cache=root / "raw")
            published = PublishedSamples(video, root / "png", views, LENGTH)

            def theirs(turn: int, published: PublishedSamples = published) -> None:
                for i in range(BATCH):
                    at = below(next(draws((0, 0, BATCH * turn + i))), published.video.num_frames)  # as ours draws
                    sample = published.at(at)
                    resize_map(sample["density"], VINET_A.size)

            def read(turn: int, ours: VideoSamples = ours) -> list[object]:
                return [ours[(0, 0, BATCH * turn + i)] for i in range(BATCH)]

            def whole(turn: int, ours: VideoSamples = ours, read: Callable[..., list] = read) -> None:
                ours.prepare(read(turn), "cpu")

            found[title] = take_turns({"published": theirs, "ours": whole, "ours, reading alone": read})
    print(json.dumps(found, indent=1))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def take_turns(ways: dict[str, Callable[[int], object]]) -> dict[str, dict[str, float]]:
    """CPU milliseconds a sample of each way, the fewest and the median of the rounds, and how many times cheaper."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(ROUNDS + 1):
        for way, work in ways.items():
            began = time.process_time()
            work(turn)
            if turn:  # the first warms the page cache
                times[way].append((time.process_time() - began) / BATCH * 1000)
    usual = times["published"]
    return {
        way: {
            "fewest_cpu_ms": round(min(spent), 2),
            "median_cpu_ms": round(statistics.median(spent), 2),
            "times_cheaper_fewest": round(min(usual) / min(spent), 1),
            "times_cheaper_median": round(statistics.median(usual) / statistics.median(spent), 1),
        }
        for way, spent in times.items()
    }


if __name__ == "__main__":
    main()
