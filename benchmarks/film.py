"""What a film costs beside the model: `python benchmarks/film.py`.

A moving picture with noise, made here, is read, painted with maps that cost nothing and written, with and without PNG
maps, at two sizes. The limit is reading the same file and encoding its frames with nothing painted on them; what
decoding and encoding alone take, with no frame turned into RGB, is measured beside it. Ways are taken in turn, round by
round, and the fewest CPU seconds and seconds of each are kept.
"""

import datetime
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import torch
import tyro
from av.video.frame import PictureType
from torch import Tensor

from saliency.commands.main import exit_with
from saliency.inference.outputs import outputs_in
from saliency.inference.predictor import Frames
from saliency.inference.render import render
from saliency.io.frames import open_frames
from saliency.io.video_writer import VideoWriter, encoding
from saliency.runtime.environment import environment

SIZES = ((360, 640), (1080, 1920))


class Drifting:
    """Maps (224, 384) of a spot that drifts, made before the clock runs."""

    def __init__(self) -> None:
        rows, columns = np.mgrid[:224, :384]
        spots = [np.exp(-((rows - 80 - i) ** 2 + (columns - 100 - 3 * i) ** 2) / 1800) for i in range(64)]
        self._maps = [torch.from_numpy(spot.astype(np.float32)) for spot in spots]

    def maps(self, source: Frames) -> Iterator[tuple[int, Tensor]]:
        """Yield the map of each frame."""
        for number, _ in enumerate(source.iterate()):
            yield number, self._maps[number % len(self._maps)]


def make_clip(path: Path, size: tuple[int, int], frames: int) -> None:
    """Write a picture that moves, with a camera's noise."""
    rng = np.random.default_rng(0)
    wide = cv2.resize(rng.integers(0, 256, (40, 72, 3), dtype=np.uint8), (size[1] + 4 * frames, size[0]))
    noise = rng.integers(0, 8, (*size, 3), dtype=np.uint8)
    with VideoWriter(path, 30, size) as writer:
        for i in range(frames):
            writer.write(cv2.add(np.ascontiguousarray(wide[:, 4 * i : 4 * i + size[1]]), np.roll(noise, 7 * i, axis=1)))


def again(clip: Path, folder: Path) -> None:
    """The limit: read and encode."""
    with open_frames(clip) as source, VideoWriter(folder / "again.mp4", source.fps, source.size) as writer:
        for frame in source.iterate():
            writer.write(frame)


def bare(clip: Path, folder: Path) -> None:
    """Decode and encode, and nothing else."""
    with av.open(str(clip)) as source, av.open(str(folder / "bare.mp4"), "w") as film:
        pictures = source.streams.video[0]
        pictures.thread_type = "NONE"
        stream = film.add_stream("libx264", rate=30, options={"crf": "18", "g": "60", **encoding()})
        stream.height, stream.width, stream.pix_fmt = pictures.height, pictures.width, "yuv420p"
        for number, frame in enumerate(source.decode(pictures)):
            frame.pts, frame.time_base, frame.pict_type = number, Fraction(1, 30), PictureType.NONE
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))


def film(clip: Path, folder: Path, predictor: Drifting, *, maps: bool) -> None:
    """Read, paint and encode."""
    with open_frames(clip) as source:
        done = render(source, predictor, outputs_in(folder, source, "png" if maps else None))
        if done.problem is not None:
            raise SystemExit(done.problem)


def measure(ways: dict[str, Callable[[], None]], rounds: int, frames: int) -> dict[str, dict[str, float]]:
    """Milliseconds a frame of each way."""
    best = {name: {"cpu_ms": float("inf"), "wall_ms": float("inf")} for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            way()
            spent = {"cpu_ms": time.process_time() - cpu, "wall_ms": time.perf_counter() - wall}
            best[name] = {kind: min(best[name][kind], 1e3 * spent[kind] / frames) for kind in spent}
    return best


def main(frames: int = 100, rounds: int = 3, out: Path | None = None) -> None:
    """Measure.

    Args:
        frames: of each clip.
        rounds: how often each way is taken.
        out: JSON file to write; default benchmarks/results/<date>-film.json.
    """
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    found: dict[str, object] = {
        "command": f"python benchmarks/film.py --frames {frames} --rounds {rounds}",
        "commit": commit,
        "date": str(datetime.date.today()),
        "environment": environment(),
        "load_average": os.getloadavg(),
    }
    predictor = Drifting()
    for size in SIZES:
        with tempfile.TemporaryDirectory() as place:
            folder, clip = Path(place), Path(place) / "clip.mp4"
            make_clip(clip, size, frames)
            ways = {
                "decode and encode": lambda clip=clip, folder=folder: bare(clip, folder),
                "read and encode": lambda clip=clip, folder=folder: again(clip, folder),
                "film": lambda clip=clip, folder=folder: film(clip, folder, predictor, maps=False),
                "film and PNG maps": lambda clip=clip, folder=folder: film(clip, folder, predictor, maps=True),
            }
            spent = measure(ways, rounds, frames)
        for name, each in spent.items():
            ratio = each["cpu_ms"] / spent["read and encode"]["cpu_ms"]
            found.setdefault(f"{size[1]}x{size[0]}", {})[name] = {**each, "ratio": ratio}  # type: ignore[index]
            print(f"{size[1]}x{size[0]} {name}: {each['cpu_ms']:.1f} CPU ms, {each['wall_ms']:.1f} ms, {ratio:.2f} x")
    out = out or Path(__file__).parent / "results" / f"{datetime.date.today()}-film.json"
    out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"written to {out}")


if __name__ == "__main__":
    exit_with(lambda: tyro.cli(main))
