"""What scoring costs: a whole video with one map and with a map for each frame, and six metrics of its frames.

    SALIENCY_DATA=FOLDER python benchmarks/scoring.py [--out FILE.json]

Prints CPU seconds of this version; run it from two checkouts to compare them. One thread; the centre prior of the
embedded data's training split is scored on the real video (``saliency data get dhf1k-002``).
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from saliency.commands.evaluate import main as run_evaluate
from saliency.data.video import AnnotatedVideo
from saliency.datasets.mini import Mini
from saliency.evaluation.baselines import centre_prior
from saliency.evaluation.protocols import CANONICAL
from saliency.evaluation.settings import EvaluationSettings
from saliency.evaluation.video_run import evaluate
from saliency.io.transforms import resize_map
from saliency.metrics.frame import STANDARD, score
from saliency.runtime.environment import environment

FRAMES = 40
"""Frames on which the metrics alone are measured."""


class Moving:
    """A map that is another one for each frame, as a model's are."""

    name = "moving"

    def __init__(self, fixed: Tensor) -> None:
        self.fixed = fixed

    def maps(self, video: AnnotatedVideo, frames: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
        """Yield the map, moved on by one row each frame."""
        for frame in frames:
            yield frame, self.fixed.roll(frame, 0)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = Mini()
    prior = centre_prior(data.videos("train"))
    videos = data.videos("real")
    settings = EvaluationSettings(protocol=CANONICAL.with_shuffled("video"), dataset="real")

    began = time.process_time()
    result = evaluate(prior, videos, settings, threads=1)
    fixed = time.process_time() - began
    began = time.process_time()
    evaluate(Moving(prior.map), videos, settings, threads=1)
    moving = time.process_time() - began
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        run_evaluate(
            ["--data", "real", "--shuffled", "video", "--baselines", "centre-prior", "--device", "cpu", "--out", folder]
        )
        command = time.process_time() - began

    others = torch.rand(2000, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor(videos[0].size)
    truths = [
        (torch.from_numpy(videos[0].density(i).copy()), torch.from_numpy(videos[0].fixations(i)))
        for i in range(0, len(result.rows), len(result.rows) // FRAMES)
    ]
    pred = resize_map(prior.map, videos[0].size)
    times = []
    for density, fixations in truths:
        began = time.process_time()
        score(pred, density, fixations, [others.long()], names=STANDARD)
        times.append(time.process_time() - began)

    found = {
        "command": "benchmarks/scoring.py",
        "environment": environment(),
        "load_average": round(os.getloadavg()[0], 1),
        "frames": len(result.rows),
        "evaluation_cpu_s": round(fixed, 2),
        "evaluation_of_a_map_a_frame_cpu_s": round(moving, 2),
        "command_with_scores_over_time_cpu_s": round(command, 2),
        "six_metrics_cpu_ms": round(sorted(times)[len(times) // 2] * 1000, 2),
        "means": result.means(),
    }
    print(json.dumps(found, indent=1))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
