"""Short clips one by one and together: `python benchmarks/many.py --clips 60`. Processor seconds, on one thread."""

import argparse
import tempfile
import time
from pathlib import Path

import torch

import saliency
from saliency.inference.journal import Journal
from saliency.inference.many import Work, packs, run_jobs
from saliency.io.stamped import Recipe, write_stamped

RECIPE = Recipe(codec="libx264", suffix=".mp4", options={"preset": "ultrafast"}, size=(360, 640))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--model", default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    predictor = saliency.load_model(arguments.model, device="cpu").predictor(arguments.batch)
    with tempfile.TemporaryDirectory() as folder:
        clips = [Path(folder, f"{i}.mp4") for i in range(arguments.clips)]
        for clip in clips:
            write_stamped(clip, RECIPE, arguments.frames)
        work = Work(out=Path(folder, "out"))
        jobs = Journal(work.out).claim(clips)
        for _ in run_jobs(jobs[:1], predictor, work, explain=str):
            pass  # warm
        for name, rows in (("one by one", [[job] for job in jobs]), ("together", packs(jobs))):
            wall, cpu = time.perf_counter(), time.process_time()
            frames = sum(outcome.frames for row in rows for outcome in run_jobs(row, predictor, work, explain=str))
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            print(
                f"{name}: {len(jobs)} clips of {arguments.frames} frames, batch {arguments.batch}: "
                f"{cpu:.1f} processor s ({cpu / len(jobs):.3f} a clip), {frames / cpu:.2f} frames a processor s, "
                f"{wall:.1f} s"
            )


if __name__ == "__main__":
    main()
