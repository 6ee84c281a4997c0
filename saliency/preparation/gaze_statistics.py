"""What a data set's gaze looks like: fixations per frame, centre bias, agreement between observers."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from saliency.data.video import AnnotatedVideo
from saliency.gaze.recording import density_map, is_inside
from saliency.io.atomic import write_atomic
from saliency.io.images import write_image

GRID = (90, 160)
"""(H, W) on which maps of videos of different sizes are averaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Numbers of one data set.

    Attributes:
        videos: number of videos.
        frames: number of frames of these videos.
        frames_read: number of frames whose maps were read (every n-th).
        histogram: number of frames with 0, 1, 2, ... fixated pixels; the last entry counts all above.
        mean_fixations: fixated pixels per frame.
        centre_bias: (H, W) of `GRID`, the mean of the maps, each divided by its sum; it sums to 1.
        centre_share: share of `centre_bias` in the middle half of width and height (0.25 if there were no bias).
        agreement: mean leave-one-out NSS: how well the other observers' map predicts one observer; None when
            the data set does not tell observers apart.
        agreement_per_video: video -> the same.
        observers: most observers of any video; 0 when they are not told apart.
    """

    videos: int
    frames: int
    frames_read: int
    histogram: list[int]
    mean_fixations: float
    centre_bias: np.ndarray
    centre_share: float
    agreement: float | None
    agreement_per_video: dict[str, float]
    observers: int

    def write(self, folder: Path) -> None:
        """Write ``statistics.json`` and three pictures."""
        folder.mkdir(parents=True, exist_ok=True)
        values = asdict(self) | {"centre_bias": np.round(self.centre_bias, 8).tolist()}
        with write_atomic(folder / "statistics.json") as file:
            json.dump(values, file)
        grey = np.rint(self.centre_bias / max(self.centre_bias.max(), 1e-12) * 255).astype(np.uint8)
        large = cv2.resize(grey, (GRID[1] * 4, GRID[0] * 4), interpolation=cv2.INTER_CUBIC)
        write_image(folder / "centre_bias.png", _rgb(cv2.applyColorMap(large, cv2.COLORMAP_VIRIDIS)))
        labels = [*map(str, range(len(self.histogram) - 1)), f"{len(self.histogram) - 1}+"]
        title = f"fixated pixels per frame (mean {self.mean_fixations:.2f}, {self.frames_read} frames)"
        write_image(folder / "fixations_per_frame.png", _rgb(bar_chart(self.histogram, labels, title)))
        if self.agreement is not None:
            values, edges = np.histogram(list(self.agreement_per_video.values()), bins=12)
            chart = bar_chart(
                values.tolist(),
                [f"{edge:.2f}" for edge in edges[:-1]],
                f"videos by agreement of observers: leave-one-out NSS (mean {self.agreement:.2f})",
            )
            write_image(folder / "agreement.png", _rgb(chart))


def collect(
    videos: Sequence[AnnotatedVideo],
    *,
    every: int = 10,
    sigma: float = 30 / 640 / np.sqrt(8 * np.log(2)),
    top: int = 30,
    done: Callable[[AnnotatedVideo], None] = lambda video: None,
) -> Statistics:
    """Read every n-th frame's ground truth of annotated videos; no frame is decoded.

    Args:
        videos: the videos.
        every: distance of the frames that are read.
        sigma: standard deviation, in frame widths, of the maps used for the agreement (default: DHF1K's).
        top: last bin of the histogram.
        done: called after each video.

    Raises:
        InputError: a map cannot be read.
    """
    histogram = np.zeros(top + 1, dtype=np.int64)
    bias = np.zeros(GRID)
    read = total = observers = 0
    agreement: dict[str, float] = {}
    for video in videos:
        for i in range(0, video.num_frames, every):
            count = int(video.fixations(i).sum())
            histogram[min(count, top)] += 1
            total += count
            read += 1
            density = cv2.resize(video.density(i), GRID[::-1], interpolation=cv2.INTER_AREA)
            if density.sum() > 0:
                bias += density / density.sum()
        gaze = video.observers()
        if gaze is not None:
            observers = max(observers, len(gaze))
            scores = [leave_one_out(gaze[:, i], video.size, sigma) for i in range(0, video.num_frames, every)]
            scores = [score for score in scores if score is not None]
            if scores:
                agreement[video.id] = float(np.mean(np.concatenate(scores)))
        done(video)
    bias /= max(bias.sum(), 1e-12)
    height, width = GRID
    return Statistics(
        videos=len(videos),
        frames=sum(video.num_frames for video in videos),
        frames_read=read,
        histogram=histogram.tolist(),
        mean_fixations=total / max(read, 1),
        centre_bias=bias,
        centre_share=float(bias[height // 4 : height - height // 4, width // 4 : width - width // 4].sum()),
        agreement=float(np.mean(list(agreement.values()))) if agreement else None,
        agreement_per_video=agreement,
        observers=observers,
    )


def leave_one_out(points: np.ndarray, size: tuple[int, int], sigma: float) -> np.ndarray | None:
    """Score each observer's point by the map of all others: normalised scanpath saliency.

    Args:
        points: (observers, 2) x, y in pixels, NaN where absent.
        size: (H, W).
        sigma: standard deviation of the maps in frame widths.

    Returns:
        One score per observer who looks at the frame; None if fewer than two do.
    """
    seen = points[is_inside(points, size)]
    if len(seen) < 2:
        return None
    scores = []
    for k, (x, y) in enumerate(seen.astype(np.int64)):
        others = density_map(np.delete(seen, k, axis=0), size, sigma * size[1])
        scores.append((others[y, x] - others.mean()) / others.std())
    return np.array(scores)


def _rgb(picture: np.ndarray) -> np.ndarray:
    """Turn OpenCV's order of colours, BGR, into RGB."""
    return np.ascontiguousarray(picture[..., ::-1])


def bar_chart(values: Sequence[int], labels: Sequence[str], title: str) -> np.ndarray:
    """Draw bars: uint8 (360, 720, 3) BGR."""
    height, width, left, bottom, top = 360, 720, 20, 30, 40
    picture = np.full((height, width, 3), 255, dtype=np.uint8)
    step = (width - 2 * left) / max(len(values), 1)
    for k, (value, label) in enumerate(zip(values, labels, strict=True)):
        tall = round((height - bottom - top) * value / max(*values, 1))
        x = round(left + k * step)
        corner = (round(left + (k + 0.85) * step), height - bottom - tall)
        cv2.rectangle(picture, (x, height - bottom), corner, (160, 90, 40), -1)
        if k % max(1, len(values) // 15) == 0:
            cv2.putText(picture, label, (x, height - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (40, 40, 40), 1, cv2.LINE_AA)
    cv2.line(picture, (left, height - bottom), (width - left, height - bottom), (40, 40, 40), 1)
    cv2.putText(picture, title, (left, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (40, 40, 40), 1, cv2.LINE_AA)
    return picture
