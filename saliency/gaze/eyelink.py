"""EyeLink recordings as text: what SR Research's edf2asc writes, samples, events or both.

A line of samples is ``time x y pupil …`` or, of both eyes, ``time xl yl pl xr yr pr …``, with ``.`` for what was not
seen, after a line ``START time LEFT RIGHT SAMPLES EVENTS``. Events are ``MSG time text`` and ``EFIX eye start end
duration x y pupil``. Times are milliseconds.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from saliency.errors import InputError
from saliency.gaze.export_tables import read_text
from saliency.gaze.gaze_samples import GazeSamples, without_lost

EVENT_STEP = 10
"""Milliseconds between the samples that stand for a fixation where a file holds events only."""


@dataclass(slots=True)
class _Parsed:
    time: list[float] = field(default_factory=list)
    xy: list[tuple[float, float]] = field(default_factory=list)
    messages: list[tuple[float, str]] = field(default_factory=list)
    fixations: list[tuple[float, float, float, float]] = field(default_factory=list)
    eyes: int = 1


def read_eyelink(path: Path) -> GazeSamples:
    """Read one recording.

    Raises:
        InputError: it is no such file, or holds no gaze.
    """
    text, _ = read_text(path)
    parsed = _Parsed()
    known = False
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith(("#", "**", "//")):
            continue
        try:
            known |= _take(parsed, words)
        except (ValueError, IndexError) as error:
            raise InputError(
                f"{path}: line {number} is no line of an EyeLink ASC file ({error}); convert it again"
            ) from error
    if not known or not (parsed.time or parsed.fixations):
        raise InputError(f"{path}: holds no EyeLink sample or fixation; convert the EDF file with edf2asc")
    return _samples(path, parsed)


def _take(parsed: _Parsed, words: list[str]) -> bool:
    """Take in what a line says; return whether it is one that tells the format."""
    kind = words[0]
    if kind[0].isdigit():
        pairs = [(1, 2)] if parsed.eyes == 1 else [(1, 2), (4, 5)]
        seen = [(float(words[i]), float(words[j])) for i, j in pairs if "." not in (words[i], words[j])]
        parsed.time.append(float(kind))
        x, y = (sum(each) / len(seen) for each in zip(*seen, strict=True)) if seen else (np.nan, np.nan)
        parsed.xy.append((x, y))
    elif kind in ("START", "SAMPLES"):
        parsed.eyes = ("LEFT" in words) + ("RIGHT" in words) or 1
    elif kind == "MSG":
        parsed.messages.append((float(words[1]), " ".join(words[2:])))
    elif kind == "EFIX":
        parsed.fixations.append((float(words[2]), float(words[3]), float(words[5]), float(words[6])))
    return kind in ("START", "SAMPLES", "EFIX", "MSG")


def _samples(path: Path, parsed: _Parsed) -> GazeSamples:
    notes: tuple[str, ...] = ()
    time, xy = np.array(parsed.time), np.array(parsed.xy, dtype=np.float64).reshape(-1, 2)
    if not len(time):  # events only
        steps = [np.arange(a, b + 1, EVENT_STEP) for a, b, *_ in parsed.fixations]
        time = np.concatenate(steps)
        xy = np.repeat([fixation[2:] for fixation in parsed.fixations], [len(each) for each in steps], axis=0)
        notes = ("events only: what lies between fixations is unknown",)
        order = np.argsort(time, kind="stable")
        time, xy = time[order], xy[order]
    if (np.diff(time) < 0).any():
        raise InputError(f"{path}: its times run back; convert one recording at a time")
    xy = without_lost(xy)
    if not np.isfinite(xy).any():
        raise InputError(f"{path}: none of its {len(xy)} samples has a position; record it again or remove the file")
    fixating = None
    if parsed.fixations:
        fixating = np.zeros(len(time), dtype=bool)
        for start, end, *_ in parsed.fixations:
            fixating[np.searchsorted(time, start) : np.searchsorted(time, end, side="right")] = True
    return GazeSamples(
        viewer=path.stem,
        time=time / 1000,
        xy=xy,
        fixating=fixating,
        messages=tuple((at / 1000, text) for at, text in parsed.messages),
        notes=notes,
    )
