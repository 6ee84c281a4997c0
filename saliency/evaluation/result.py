"""What an evaluation found: one row per frame, and the means that are made of them."""

import csv
import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from saliency.errors import InputError
from saliency.evaluation.protocols import LOWER_IS_BETTER, Protocol, Shuffled
from saliency.io.atomic import write_atomic

FRAMES_FILE = "frames.csv"
VIDEOS_FILE = "videos.csv"
SUMMARY_FILE = "summary.json"
FORMAT = 1
FLAGS = ("no_fixations", "no_density", "bad_pred", "constant_pred", "resized_pred", "outside_points")
"""Per-frame counts that explain a missing or odd value; see `FrameRow`."""


@dataclass(frozen=True, slots=True)
class FrameRow:
    """The scores of one frame.

    Attributes:
        video: id of the video.
        frame: 0-based frame.
        scores: metric -> value, NaN where undefined.
        flags: name of `FLAGS` -> count: 1 where the ground truth has no fixation (or nothing but fixations), no
            density, where the prediction was not finite, constant, or not of the video's size; and the number of
            gaze points that lay outside the image.
        truth: a checksum of the ground truth of this frame.
    """

    video: str
    frame: int
    scores: Mapping[str, float]
    flags: Mapping[str, int]
    truth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSummary:
    """One metric over a data set.

    Attributes:
        frame_mean: mean over all valid frames; None where there is none.
        video_mean: mean of the videos' means; None where there is none.
        mean: the protocol's headline among the two.
        n_valid: frames with a value.
        n_total: frames looked at.
        n_unusable: frames whose ground truth (or, where the protocol says so, constant prediction) gives no value.
        n_bad: frames whose prediction was not finite.
    """

    frame_mean: float | None
    video_mean: float | None
    mean: float | None
    n_valid: int
    n_total: int
    n_unusable: int
    n_bad: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The scores of one predictor on one data set under one protocol.

    Attributes:
        name: the predictor.
        dataset: the data set and split, as shown in tables.
        protocol: how the numbers were made.
        rows: one per scored frame, in the order of videos and frames.
        metadata: versions, hashes, seed, hardware: JSON values only.
    """

    name: str
    dataset: str
    protocol: Protocol
    rows: Sequence[FrameRow]
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def values(self, metric: str) -> np.ndarray:
        """(n,) float64 of all frames, after the protocol's rule for undefined values; NaN = left out."""
        values = self._raw(metric)
        if self.protocol.undefined == "zero":
            return np.where(np.isnan(values), 0.0, values)
        if self.protocol.undefined == "drop_frame":
            dropped = np.zeros(len(values), bool)
            for other in ("cc", "nss", "sim"):
                if other in self.protocol.metrics:
                    dropped |= np.isnan(self._raw(other))
            return np.where(dropped, np.nan, values)
        return values

    def per_video(self, metric: str) -> dict[str, float]:
        """Video id -> mean over its valid frames; NaN where it has none."""
        values, means = self.values(metric), {}
        videos = np.array([row.video for row in self.rows])
        for video in dict.fromkeys(videos.tolist()):
            means[video] = self._mean(values[videos == video])
        return means

    def summary(self) -> dict[str, MetricSummary]:
        """Metric -> means and counts."""
        n_bad = sum(row.flags["bad_pred"] for row in self.rows)
        summary = {}
        for metric in self.protocol.metrics:
            values = self.values(metric)
            per_video = np.array(list(self.per_video(metric).values()))
            frame_mean, video_mean = self._mean(values), self._mean(per_video)
            mean = frame_mean if self.protocol.averaging == "frame" else video_mean
            left_out = values if self.protocol.undefined == "drop_frame" else self._raw(metric)
            n_undefined = int(np.isnan(left_out).sum())
            summary[metric] = MetricSummary(
                frame_mean=_none_if_nan(frame_mean),
                video_mean=_none_if_nan(video_mean),
                mean=_none_if_nan(mean),
                n_valid=len(values) - n_undefined,
                n_total=len(values),
                n_unusable=n_undefined - n_bad,
                n_bad=n_bad,
            )
        return summary

    def means(self) -> dict[str, float | None]:
        """Metric -> the protocol's headline mean; None where undefined."""
        return {metric: summary.mean for metric, summary in self.summary().items()}

    def flag_counts(self) -> dict[str, int]:
        """Name of `FLAGS` -> sum over the frames."""
        return {flag: sum(row.flags[flag] for row in self.rows) for flag in FLAGS}

    def data_hash(self) -> str:
        """A fingerprint of the scored frames' ground truth: equal hashes mean the same data were scored."""
        digest = hashlib.sha256()
        for row in self.rows:
            digest.update(f"{row.video}\0{row.frame}\0{row.truth}\n".encode())
        return digest.hexdigest()[:16]

    def save(self, folder: str | Path) -> None:
        """Write `frames.csv` (one row a frame), `videos.csv` (means) and `summary.json` (all the rest)."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_rows(folder / FRAMES_FILE, self.rows, self.protocol.metrics)
        per_video = {metric: self.per_video(metric) for metric in self.protocol.metrics}
        with write_atomic(folder / VIDEOS_FILE) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["video", "frames", *self.protocol.metrics])
            counts: dict[str, int] = {}
            for row in self.rows:
                counts[row.video] = counts.get(row.video, 0) + 1
            for video, count in counts.items():
                means = [_format(per_video[metric][video]) for metric in self.protocol.metrics]
                writer.writerow([video, count, *means])
        summary = {
            "format": FORMAT,
            "name": self.name,
            "dataset": self.dataset,
            "protocol": dataclasses.asdict(self.protocol),
            "lower_is_better": sorted(LOWER_IS_BETTER & set(self.protocol.metrics)),
            "summary": {metric: dataclasses.asdict(value) for metric, value in self.summary().items()},
            "flags": self.flag_counts(),
            "videos": len({row.video for row in self.rows}),
            "frames": len(self.rows),
            "data_hash": self.data_hash(),
            "metadata": dict(self.metadata),
        }
        with write_atomic(folder / SUMMARY_FILE) as file:
            json.dump(summary, file, indent=2, allow_nan=False)
            file.write("\n")

    @classmethod
    def load(cls, folder: str | Path) -> "Result":
        """Read what `save` wrote (the folder, or its `summary.json`).

        Raises:
            InputError: the folder holds no result, or one that cannot be read.
        """
        folder = Path(folder)
        folder = folder.parent if folder.name == SUMMARY_FILE else folder
        path = folder / SUMMARY_FILE
        if not path.is_file():
            raise InputError(f"{folder} holds no evaluation result ({SUMMARY_FILE}); make one with tools/evaluate.py")
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            protocol = _protocol_from(stored["protocol"])
            name, dataset, metadata = stored["name"], stored["dataset"], stored["metadata"]
            n_frames = stored["frames"]
        except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
            raise InputError(f"{path} is not an evaluation result ({error!r}); evaluate again") from error
        rows = read_rows(folder / FRAMES_FILE, protocol.metrics)
        if len(rows) != n_frames:
            raise InputError(
                f"{folder / FRAMES_FILE} has {len(rows)} frames, {SUMMARY_FILE} says {n_frames}; evaluate again"
            )
        return cls(name=name, dataset=dataset, protocol=protocol, rows=rows, metadata=metadata)

    def _raw(self, metric: str) -> np.ndarray:
        return np.array([row.scores[metric] for row in self.rows], dtype=np.float64)

    def _mean(self, values: np.ndarray) -> float:
        if self.protocol.undefined == "poison":
            return float(values.mean()) if len(values) else float("nan")
        valid = values[~np.isnan(values)]
        return float(valid.mean()) if len(valid) else float("nan")


def write_rows(path: Path, rows: Sequence[FrameRow], metrics: Sequence[str]) -> None:
    """Write one CSV line per frame; an undefined score is an empty cell."""
    with write_atomic(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["video", "frame", *metrics, *FLAGS, "truth"])
        for row in rows:
            scores = [_format(row.scores[metric]) for metric in metrics]
            writer.writerow([row.video, row.frame, *scores, *(row.flags[flag] for flag in FLAGS), row.truth])


def read_rows(path: Path, metrics: Sequence[str]) -> list[FrameRow]:
    """Read what `write_rows` wrote.

    Raises:
        InputError: the file is missing, lacks a column or holds something that is no number.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing; evaluate again")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = {"video", "frame", *metrics, *FLAGS, "truth"} - set(reader.fieldnames or ())
        if missing:
            raise InputError(f"{path} has no column '{min(missing)}'; evaluate again")
        try:
            return [
                FrameRow(
                    video=line["video"],
                    frame=int(line["frame"]),
                    scores={metric: float(line[metric]) if line[metric] else float("nan") for metric in metrics},
                    flags={flag: int(line[flag]) for flag in FLAGS},
                    truth=int(line["truth"]),
                )
                for line in reader
            ]
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}: {error}; evaluate again") from error


def _format(value: float) -> str:
    return "" if np.isnan(value) else repr(float(value))


def _none_if_nan(value: float) -> float | None:
    return None if np.isnan(value) else value


def _protocol_from(stored: Mapping[str, Any]) -> Protocol:
    shuffled = stored["shuffled"]
    letterbox = stored["letterbox"]
    return Protocol(
        **{
            **stored,
            "shuffled": None if shuffled is None else Shuffled(**shuffled),
            "letterbox": None if letterbox is None else tuple(letterbox),
            "metrics": tuple(stored["metrics"]),
        }
    )
