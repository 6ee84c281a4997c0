"""Tables that eye trackers' software exports, as their makers describe them, and tables of your own.

* Tobii Pro Lab, data export (TSV, also UTF-16 with decimal commas): ``Recording timestamp [us]``, ``Gaze point X/Y``
  in pixels of the display, ``Validity left/right``, ``Eye movement type``, ``Event``, ``Participant name``.
* Pupil Labs: Pupil Player's ``gaze_positions.csv`` (shares of the scene picture, y upwards) and surfaces
  (``x_norm``, ``y_norm``); Pupil Cloud's ``gaze.csv`` (``gaze x [px]``, of the scene camera) and Marker Mapper
  (``gaze position on surface x [normalized]``, y downwards).
* Gazepoint Analysis, all-gaze export: ``BPOGX``, ``BPOGY``, ``BPOGV``, ``FPOGV``, shares of the screen, y downwards.
* A table of your own: columns for x, y and time, perhaps viewer, validity and event; also SMI's BeGaze export
  (``L POR X [px]``, ``L Event Info``), as DHF1K's recordings are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from saliency.errors import InputError
from saliency.gaze.export_tables import Table, unit
from saliency.gaze.gaze_samples import CLOCKS, GazeSamples, are_shares, in_seconds, without_lost

CONFIDENCE = 0.6
"""Pupil Labs recommend to drop gaze of less confidence."""

_UNITS = {"s": "s", "sec": "s", "seconds": "s", "ms": "ms", "us": "us", "µs": "us", "μs": "us", "ns": "ns"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What a vendor's table says, column by column; all (n,) of its rows.

    Attributes:
        time: on the clock of the table.
        clock: unit of the time; empty: to be guessed.
        xy: (n, 2), NaN where lost.
        shares: whether positions are shares of the screen (or picture) and no pixels; None: to be guessed.
        keep: rows that are gaze samples; others hold events.
        viewer: who, for each row; None: the file's name says it.
        fixating: part of a fixation, in the view of the vendor's software.
        messages: of each row, "" without.
        upwards: whether y grows upwards.
        notes: what was found out.
    """

    time: np.ndarray
    clock: str
    xy: np.ndarray
    shares: bool | None
    keep: np.ndarray | None = None
    viewer: list[str] | None = None
    fixating: np.ndarray | None = None
    messages: list[str] | None = None
    upwards: bool = False
    notes: tuple[str, ...] = ()


def tobii(table: Table) -> Columns:
    """Tobii Pro Lab."""
    time = table.need("Recording timestamp", "RecordingTimestamp", "Timestamp")
    x = table.need("Gaze point X [DACS px]", "Gaze point X", "GazePointX")
    y = table.need("Gaze point Y [DACS px]", "Gaze point Y", "GazePointY")
    raw = np.stack((table.numbers(x), table.numbers(y)), axis=1)
    sensor, viewer, event = (table.find(name) for name in ("Sensor", "Participant name", "Event"))
    kind = table.find("Eye movement type")
    fixating = None if kind is None else np.array([word == "Fixation" for word in table.words(kind)])
    keep = None if sensor is None else np.array([word.lower() in ("eye tracker", "") for word in table.words(sensor)])
    messages = None
    if event is not None:
        value = table.find("Event value")
        values = [""] * len(table.rows) if value is None else table.words(value)
        messages = [f"{a} {b}".strip() for a, b in zip(table.words(event), values, strict=True)]
        happened = np.array([bool(text) for text in messages])
        without = happened & np.isnan(raw).all(axis=1)
        keep = ~without if keep is None else keep & ~without
    return Columns(
        time=table.numbers(time),
        clock=_UNITS.get(unit(time), ""),
        xy=without_lost(raw, _tobii_valid(table)),
        shares="norm" in unit(x),
        keep=keep,
        viewer=None if viewer is None else table.words(viewer),
        fixating=fixating,
        messages=messages,
    )


def _tobii_valid(table: Table) -> np.ndarray | None:
    """At least one eye was seen; None where the export does not say.

    Pro Lab writes Valid and Invalid, Studio codes from 0 (seen) to 4 (not found). Codes of 0 and 1 alone could mean
    either; then the positions decide.
    """
    found = [column for side in ("left", "right") if (column := table.find(f"Validity {side}", f"Validity{side}"))]
    words = [[word.lower() for word in table.words(column)] for column in found]
    seen = ("valid",) if any(word in ("valid", "invalid") for each in words for word in each) else ("0", "1")
    if not words or (seen != ("valid",) and not any(word in ("2", "3", "4") for each in words for word in each)):
        return None
    return np.any([[word in seen for word in each] for each in words], axis=0)


def pupil(table: Table) -> Columns:
    """Pupil Labs: Pupil Player, Pupil Cloud, surfaces."""
    surface = table.find("gaze position on surface x [normalized]")
    if surface is not None:  # Marker Mapper: the upper left corner of the surface is (0, 0)
        x, y = surface, table.need("gaze position on surface y [normalized]")
        time, shares, upwards = table.need("timestamp [ns]"), True, False
    elif table.find("x_norm") is not None:
        x, y = table.need("x_norm"), table.need("y_norm")
        time, shares, upwards = table.need("gaze_timestamp", "world_timestamp"), True, True
    elif table.find("norm_pos_x") is not None:
        x, y = table.need("norm_pos_x"), table.need("norm_pos_y")
        time, shares, upwards = table.need("gaze_timestamp", "timestamp"), True, True
    else:
        x, y = table.need("gaze x [px]"), table.need("gaze y [px]")
        time, shares, upwards = table.need("timestamp [ns]"), False, False
    valid = np.ones(len(table.rows), dtype=bool)
    if confidence := table.find("confidence"):
        valid &= np.nan_to_num(table.numbers(confidence)) >= CONFIDENCE
    for name in ("worn", "on_surf", "gaze detected on surface"):
        if column := table.find(name):
            valid &= np.array([word.lower() in ("1", "1.0", "true") for word in table.words(column)])
    viewer, fixation = table.find("recording id"), table.find("fixation id")
    raw = np.stack((table.numbers(x), table.numbers(y)), axis=1)
    return Columns(
        time=table.numbers(time),
        clock="ns" if "[ns]" in time else "s",
        xy=without_lost(raw, valid),
        shares=shares,
        viewer=None if viewer is None else table.words(viewer),
        fixating=None if fixation is None else np.isfinite(table.numbers(fixation)),
        upwards=upwards,
        notes=() if "surf" in x or "x_norm" in x else ("positions in the picture of the scene camera",),
    )


def gazepoint(table: Table) -> Columns:
    """Gazepoint Analysis and Gazepoint Control."""
    # the names of the clocks carry the date of the recording and the ticks of a second: TIME(2026/..), TIMETICK(f=..)
    time = table.need("TIME")
    best = (table.find("BPOGX"), table.find("BPOGY"), table.find("BPOGV"))
    x, y, valid = best if all(best) else (table.need("FPOGX"), table.need("FPOGY"), table.find("FPOGV"))
    assert x is not None and y is not None
    fixation, user, media = table.find("FPOGV"), table.find("USER"), table.find("MEDIA_NAME")
    said = [""] * len(table.rows) if user is None else table.words(user)
    if media is not None:  # the first sample of each medium is an event of its own
        shown = table.words(media)
        said = [
            text or (name if i == 0 or shown[i - 1] != name else "")
            for i, (text, name) in enumerate(zip(said, shown, strict=True))
        ]
    return Columns(
        time=table.numbers(time),
        clock="s",
        xy=without_lost(
            np.stack((table.numbers(x), table.numbers(y)), axis=1),
            None if valid is None else table.numbers(valid) == 1,
        ),
        shares=True,
        fixating=None if fixation is None or not all(best) else table.numbers(fixation) == 1,
        messages=said,
    )


def own(table: Table) -> Columns:
    """A table of your own: units and clock are guessed where the names of its columns do not say them."""
    time = table.need("time", "timestamp", "t", "time_ms", "timestamp_ms", "time_s", "time_us")
    x = table.need("x", "gaze_x", "x_px", "gazex", "gaze x", "x_norm", "l por x", "r por x")
    y = table.need("y", "gaze_y", "y_px", "gazey", "gaze y", "y_norm", "l por y", "r por y")
    viewer = table.find("observer", "viewer", "participant", "subject", "participant_id", "user")
    valid, event = table.find("valid", "validity"), table.find("event", "message", "marker")
    kind = table.find("l event info", "r event info")
    spelt = unit(time) or time.lower().rpartition("_")[2]
    return Columns(
        time=table.numbers(time),
        clock=_UNITS.get(spelt, ""),
        xy=without_lost(
            np.stack((table.numbers(x), table.numbers(y)), axis=1),
            None
            if valid is None
            else np.array([word.lower() in ("1", "1.0", "true", "valid") for word in table.words(valid)]),
        ),
        shares=None,
        viewer=None if viewer is None else table.words(viewer),
        fixating=None if kind is None else np.array([word.startswith("F") for word in table.words(kind)]),
        messages=None if event is None else table.words(event),
    )


VENDORS: Mapping[str, Callable[[Table], Columns]] = {"tobii": tobii, "pupil": pupil, "gazepoint": gazepoint, "csv": own}


def to_samples(table: Table, found: Columns, screen: tuple[int, int] | None) -> list[GazeSamples]:
    """Return the samples of each viewer of a table, in the order of their first samples.

    Args:
        table: the table.
        found: its columns.
        screen: (H, W) in pixels, for positions that are shares of it.

    Raises:
        InputError: positions are shares and there is no `screen`, times make no sense, or there is no position.
    """
    shares = are_shares(found.xy) if found.shares is None else found.shares
    notes = (*table.notes, *found.notes)
    if found.shares is None:
        notes += ("positions as shares of the screen" if shares else "positions in pixels",)
    xy = found.xy
    if shares:
        if screen is None:
            raise InputError(f"{table.path}: positions are shares of the screen; say its size with --screen 1920x1080")
        xy = np.stack((xy[:, 0], 1 - xy[:, 1] if found.upwards else xy[:, 1]), axis=1) * [screen[1], screen[0]]
    who = np.array([table.path.stem] * len(table.rows) if found.viewer is None else found.viewer, dtype=object)
    keep = np.ones(len(who), dtype=bool) if found.keep is None else found.keep
    samples = []
    for viewer in dict.fromkeys(who.tolist()):
        own_rows = who == viewer
        mine = own_rows & keep
        if not np.isfinite(xy[mine]).all(axis=1).any():
            raise InputError(
                f"{table.path}: viewer '{viewer}' has no sample with a position; remove it or export it again"
            )
        time, clock, told = in_seconds(found.time[mine], found.clock, table.path)
        said = (
            []
            if found.messages is None
            else [
                (float(found.time[i] / CLOCKS[clock]), found.messages[i])
                for i in np.flatnonzero(own_rows)
                if found.messages[i]
            ]
        )
        samples.append(
            GazeSamples(
                viewer=viewer or table.path.stem,
                time=time,
                xy=xy[mine],
                fixating=None if found.fixating is None else found.fixating[mine],
                messages=tuple(said),
                notes=(*notes, *told),
            )
        )
    return samples
