"""What an evaluation found: one row per frame, and the means that are made of them."""

import csv
import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from saliency.errors import InputError
from saliency.evaluation.protocols import Protocol, Shuffled
from saliency.io.atomic import write_atomic
from saliency.metrics.frame import METRICS, lower_is_better

FRAMES_FILE = "frames.csv"
VIDEOS_FILE = "videos.csv"
SUMMARY_FILE = "summary.json"
FORMAT = 2
"""2: summary.json has a checksum of itself and of frames.csv; 1 had none."""
FLAGS = ("no_fixations", "no_density", "bad_pred", "constant_pred", "resized_pred", "outside_points")
"""Per-frame counts that explain a missing or odd value; see `FrameRow`."""
COUNTS = frozenset({"outside_points"})
"""Those of `FLAGS` that may be above 1."""
LATER_FIELDS = {"formulae": "house"}
"""Fields of a protocol that results made before they existed lack, and what these meant."""
ROUNDING = 1e-6
"""How far beyond its metric's range a score may lie, and how far a stored mean may be from that of the rows."""


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
        return _fingerprint(f"{row.video}\0{row.frame}\0{row.truth}\n" for row in self.rows)

    def frames_hash(self) -> str:
        """A fingerprint of which frames were scored, whatever their ground truth."""
        return _fingerprint(f"{row.video}\0{row.frame}\n" for row in self.rows)

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
        content = {"format": FORMAT, **self._content(), "metadata": dict(self.metadata)}
        content["checksum"] = _checksum(content, (folder / FRAMES_FILE).read_bytes())
        with write_atomic(folder / SUMMARY_FILE) as file:
            json.dump(content, file, indent=2, allow_nan=False)
            file.write("\n")

    @classmethod
    def load(cls, folder: str | Path) -> "Result":
        """Read what `save` wrote (the folder, or its `summary.json`) and see whether it still says the same.

        The scores must lie in their metrics' ranges, every frame must be there once, and means, counts and
        fingerprint must be those of the frames. This finds damage and edits; it is no proof against forgery.

        Raises:
            InputError: the folder holds no result, or one that was damaged or edited.
        """
        folder = Path(folder)
        folder = folder.parent if folder.name == SUMMARY_FILE else folder
        path = folder / SUMMARY_FILE
        if not path.is_file():
            raise InputError(f"{folder} holds no evaluation result ({SUMMARY_FILE}); make one with saliency evaluate")
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            version = stored["format"]
            if type(version) is not int or not 1 <= version <= FORMAT:
                raise InputError(f"has format {_short(version)}, this version of the project reads 1 to {FORMAT}")
            protocol = _protocol_from(stored["protocol"])
            name, dataset, metadata = stored["name"], stored["dataset"], stored["metadata"]
            checksum = stored.pop("checksum") if version >= 2 else None
        except InputError as error:
            raise InputError(f"{path}: {error}; evaluate again") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(f"{path} is not an evaluation result ({_short(error)}); evaluate again") from error
        for what, value in (("name", name), ("data set", dataset)):
            if not isinstance(value, str) or (what == "name" and not value.strip()):
                raise InputError(f"{path}: its {what} is {_short(value)}; evaluate again")
        if not isinstance(metadata, dict):
            raise InputError(f"{path}: its metadata is {_short(metadata)}, expected an object; evaluate again")
        rows = read_rows(folder / FRAMES_FILE, protocol.metrics)
        result = cls(name=name, dataset=dataset, protocol=protocol, rows=rows, metadata=metadata)
        for key, made in result._content().items():
            if not _same(found := stored.get(key), made):
                told = f"says {key} {_short(found)}" if type(made) in (int, str) else f"has another {key}"
                raise InputError(f"{path} {told}, {FRAMES_FILE} gives {_short(made)}; one was changed, evaluate again")
        if version >= 2 and checksum != _checksum(stored, (folder / FRAMES_FILE).read_bytes()):
            raise InputError(f"{folder}: {SUMMARY_FILE} or {FRAMES_FILE} was changed after it was made; evaluate again")
        return result

    def _content(self) -> dict[str, Any]:
        """All of `summary.json` that follows from the rows, as JSON values."""
        content = {
            "name": self.name,
            "dataset": self.dataset,
            "protocol": _protocol_facts(self.protocol),
            "videos": len({row.video for row in self.rows}),
            "frames": len(self.rows),
            "data_hash": self.data_hash(),
            "flags": self.flag_counts(),
            "lower_is_better": sorted(filter(lower_is_better, self.protocol.metrics)),
            "summary": {metric: dataclasses.asdict(value) for metric, value in self.summary().items()},
        }
        return json.loads(json.dumps(content))

    def _raw(self, metric: str) -> np.ndarray:
        return np.array([row.scores[metric] for row in self.rows], dtype=np.float64)

    def _mean(self, values: np.ndarray) -> float:
        if self.protocol.undefined == "poison":
            return float(values.mean()) if len(values) else float("nan")
        valid = values[~np.isnan(values)]
        return float(valid.mean()) if len(valid) else float("nan")


def _fingerprint(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode())
    return digest.hexdigest()[:16]


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
        InputError: the file is missing, lacks a column, names a frame twice, or holds something that is no score.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing; evaluate again")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            columns = next(reader, [])
            missing = {"video", "frame", *metrics, *FLAGS, "truth"} - set(columns)
            if missing:
                raise InputError(f"{path} has no column '{min(missing)}'; evaluate again")
            if len(set(columns)) < len(columns):
                raise InputError(f"{path} has two columns of one name; evaluate again")
            rows = []
            for line in reader:
                if len(line) != len(columns):
                    raise ValueError(f"line {reader.line_num} has {len(line)} cells, the first has {len(columns)}")
                rows.append(_row(dict(zip(columns, line, strict=True)), metrics))
    except InputError:
        raise
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path}: {_short(error)}; evaluate again") from error
    if not rows:
        raise InputError(f"{path} holds no frame; evaluate again")
    seen: set[tuple[str, int]] = set()
    for row in rows:
        if (row.video, row.frame) in seen:
            raise InputError(f"{path} has frame {row.frame} of video '{row.video}' twice; evaluate again")
        seen.add((row.video, row.frame))
    return rows


def _row(cells: Mapping[str, str], metrics: Sequence[str]) -> FrameRow:
    """One line of `frames.csv`; raises ValueError where it cannot be what `write_rows` wrote."""
    row = FrameRow(
        video=cells["video"],
        frame=int(cells["frame"]),
        scores={metric: float(cells[metric]) if cells[metric] else math.nan for metric in metrics},
        flags={flag: int(cells[flag]) for flag in FLAGS},
        truth=int(cells["truth"]),
    )
    where = f"video '{row.video}', frame {row.frame}"
    if not row.video or row.frame < 0:
        raise ValueError(f"{where}: there is no such frame")
    if not 0 <= row.truth < 2**32:
        raise ValueError(f"{where}: truth is {row.truth}, expected a CRC-32")
    for flag, count in row.flags.items():
        if count < 0 or (count > 1 and flag not in COUNTS):
            raise ValueError(f"{where}: {flag} is {count}")
    for metric, value in row.scores.items():
        low, high = METRICS[metric].range
        if cells[metric] and not (math.isfinite(value) and low - ROUNDING <= value <= high + ROUNDING):
            raise ValueError(f"{where}: {metric} is {cells[metric]}, its values go from {low:.6g} to {high:.6g}")
        if cells[metric] and row.flags["bad_pred"]:
            raise ValueError(f"{where}: has a {metric} although its prediction was not finite")
    return row


def _checksum(content: Mapping[str, Any], frames: bytes) -> str:
    """What a later edit of `summary.json` (without its checksum) or of `frames.csv` changes."""
    plain = json.dumps(json.loads(json.dumps(content)), sort_keys=True).encode()
    return hashlib.sha256(hashlib.sha256(plain).digest() + hashlib.sha256(frames).digest()).hexdigest()


def _same(stored: Any, made: Any) -> bool:
    """Whether two JSON values are equal; fractions up to rounding, for other processors add up in another order."""
    if isinstance(stored, dict) and isinstance(made, dict):
        return stored.keys() == made.keys() and all(_same(stored[key], made[key]) for key in made)
    if isinstance(stored, list) and isinstance(made, list):
        return len(stored) == len(made) and all(map(_same, stored, made))
    if type(stored) is float and type(made) is float:
        return abs(stored - made) <= ROUNDING * max(1.0, abs(made))
    return type(stored) is type(made) and stored == made


def _short(what: object) -> str:
    """What an error or a value says, in a few words."""
    text = " ".join((str(what) if isinstance(what, ValueError | csv.Error | RecursionError) else repr(what)).split())
    return text if len(text) <= 160 else f"{text[:160]}…"


def _format(value: float) -> str:
    return "" if np.isnan(value) else repr(float(value))


def _none_if_nan(value: float) -> float | None:
    return None if np.isnan(value) else value


def _protocol_facts(protocol: Protocol) -> dict[str, Any]:
    """The fields of a protocol; one that came later is left out at its default, so that older results stay equal."""
    facts = dataclasses.asdict(protocol)
    return {name: value for name, value in facts.items() if (name, value) not in LATER_FIELDS.items()}


def _protocol_from(stored: Mapping[str, Any]) -> Protocol:
    fields = {field.name for field in dataclasses.fields(Protocol)}
    if not isinstance(stored, dict):
        raise TypeError(f"the protocol is {_short(stored)}")
    stored = {**LATER_FIELDS, **stored}
    if stored.keys() != fields:
        raise KeyError(min(stored.keys() ^ fields))
    shuffled, letterbox, metrics = stored["shuffled"], stored["letterbox"], stored["metrics"]
    return Protocol(
        **{
            **stored,
            "shuffled": None if shuffled is None else Shuffled(**shuffled),
            "letterbox": tuple(letterbox) if isinstance(letterbox, list) else letterbox,
            "metrics": tuple(metrics) if isinstance(metrics, list) else metrics,
        }
    )
