"""How predictable is gaze in the embedded data set? Without any training: floor, ceiling and hand-made maps.

python benchmarks/mini_data.py                        # the tables of docs/mini.md
python benchmarks/mini_data.py --pictures docs/images # and its contact sheets
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
import tyro
from torch import Tensor

from saliency.commands.main import exit_with
from saliency.data.video import AnnotatedVideo
from saliency.datasets.mini import Mini, build_mini
from saliency.errors import MissingData
from saliency.evaluation.baselines import OneVersusRest, centre_prior, chance
from saliency.evaluation.protocols import CANONICAL
from saliency.evaluation.settings import EvaluationSettings
from saliency.evaluation.video_run import evaluate_many

LOOK_BACK = 4
"""Frames between the two that the motion of the hand-made maps is taken from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandMade:
    """A map from two frames: what moves against the camera, and what differs from the median colour.

    Attributes:
        name: row of the table.
        cues: which of the two, multiplied if both.
        prior: (h, w) map to multiply its square root with, or None.
    """

    name: str
    cues: Sequence[Literal["motion", "contrast"]]
    prior: Tensor | None = None

    def maps(self, video: AnnotatedVideo, frames: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
        """Yield the maps at the video's size."""
        blur = 6 / 192 * video.size[1]
        with video.open() as source:
            for i in frames:
                before, now = source.read([max(i - LOOK_BACK, 0), i]).astype(np.float32)
                total = np.ones(video.size, np.float32)
                if "motion" in self.cues:
                    total *= cv2.GaussianBlur(_difference(before, now), (0, 0), blur) + 1e-3
                if "contrast" in self.cues:
                    away = np.linalg.norm(now - np.median(now, axis=(0, 1)), axis=2)
                    total *= cv2.GaussianBlur(away, (0, 0), blur)
                if self.prior is not None:
                    total *= cv2.resize(self.prior.numpy(), video.size[::-1]) ** 0.5
                yield i, torch.from_numpy(total)


def _difference(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Difference of two frames after undoing the camera's shift, (H, W) float32."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, now)]
    (dx, dy), _ = cv2.phaseCorrelate(*grey)
    shift = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    moved = cv2.warpAffine(before, shift, before.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    return np.abs(now - moved).sum(axis=2)


def contact_sheet(
    videos: Sequence[AnnotatedVideo], *, frames: int, width: int, kind: Literal["gaze", "density"]
) -> np.ndarray:
    """One row per video: frames spread over it, with all observers' gaze or the density map, uint8 RGB."""
    rows = []
    for video in videos:
        scale = width / video.size[1]
        size = (width, round(video.size[0] * scale))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        gaze = video.observers()
        cells = []
        with video.open() as source:
            for i in np.linspace(2, video.num_frames - 3, frames).astype(int):
                cell = cv2.resize(source.read([i])[0], size, interpolation=method)
                if kind == "density":
                    heat = cv2.resize((video.density(i) * 255).astype(np.uint8), size)
                    colour = cv2.applyColorMap(heat, cv2.COLORMAP_INFERNO)[..., ::-1]
                    cell = cv2.addWeighted(cell, 0.4, colour, 0.6, 0)
                elif gaze is not None:
                    for x, y in gaze[:, i][~np.isnan(gaze[:, i, 0])]:
                        cv2.circle(cell, (int(x * scale), int(y * scale)), 3, (0, 0, 0), -1, cv2.LINE_AA)
                        cv2.circle(cell, (int(x * scale), int(y * scale)), 2, (255, 255, 0), -1, cv2.LINE_AA)
                cells.append(cv2.copyMakeBorder(cell, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(255, 255, 255)))
        rows.append(np.hstack(cells))
    return np.vstack(rows)


def draw(config: Mini, folder: Path) -> None:
    """Write the contact sheets of docs/mini.md."""
    folder.mkdir(parents=True, exist_ok=True)
    test = config.videos("test")
    sheets = {
        "mini_gaze": contact_sheet(test[:6], frames=5, width=192, kind="gaze"),
        "mini_density": contact_sheet(test[:3], frames=5, width=192, kind="density"),
    }
    for name, sheet in sheets.items():
        path = folder / f"{name}.jpg"
        cv2.imwrite(str(path), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def measure(config: Mini, every: int, every_real: int) -> None:
    """Print one table per split."""
    train = config.videos("train")
    prior = centre_prior(train)
    predictors = [
        chance(),
        prior,
        HandMade(name="contrast", cues=["contrast"]),
        HandMade(name="motion", cues=["motion"]),
        HandMade(name="motion x contrast", cues=["motion", "contrast"]),
        HandMade(name="motion x contrast x centre", cues=["motion", "contrast"], prior=prior.map),
        OneVersusRest(),
    ]
    steps: dict[str, int] = {"test": every, "real": every_real}
    for split, step in steps.items():
        try:
            videos = config.videos(split)
        except MissingData as missing:
            print(f"\n{split}: {missing}")
            continue
        protocol = CANONICAL.with_shuffled("video") if split == "real" else CANONICAL
        seen = np.concatenate([(~np.isnan(v.observers()[..., 0])).sum(axis=0) for v in videos])  # pyright: ignore[reportOptionalSubscript]
        print(
            f"\n{split}: {len(videos)} videos, {len(seen)} frames, every {step}. scored; observers with a fixation "
            f"per frame: {seen.min()}-{seen.max()}, median {np.median(seen):.0f}\n"
        )
        print("| | " + " | ".join(protocol.metrics) + " |\n|---|" + "---:|" * len(protocol.metrics))
        for result in evaluate_many(predictors, videos, EvaluationSettings(protocol=protocol, every=step)):
            values = (result.means()[metric] for metric in protocol.metrics)
            print(f"| {result.name} | " + " | ".join("" if v is None else f"{v:.3f}" for v in values) + " |")


def main(
    config: Mini = Mini(),  # noqa: B008 - frozen
    every: int = 2,
    every_real: int = 10,
    pictures: Path | None = None,
) -> None:
    """Build the data, then print tables or write pictures.

    Args:
        config: the data set.
        every: score every so many frames of the test split.
        every_real: the same for the real video, where it is there.
        pictures: folder for the contact sheets; no tables then.
    """
    start, cpu = time.perf_counter(), time.process_time()
    build_mini(config)
    print(f"simulated videos: {time.perf_counter() - start:.1f} s, {time.process_time() - cpu:.1f} s of CPU")
    if pictures is None:
        measure(config, every, every_real)
    else:
        draw(config, pictures)


if __name__ == "__main__":
    exit_with(lambda: tyro.cli(main))
