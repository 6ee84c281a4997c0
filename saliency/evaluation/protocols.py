"""Evaluation protocols by name: everything that decides a published number besides the model.

`docs/protocol.md` says which published numbers each protocol belongs to.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from saliency.errors import InputError, nearest
from saliency.metrics.frame import METRICS, STANDARD, known


@dataclass(frozen=True, slots=True, kw_only=True)
class Shuffled:
    """How the negatives of the shuffled AUC are made and scored.

    Attributes:
        scheme: ``"dhf1k"``: the union of the fixations of `frames` other frames, drawn for each frame from
            all evaluated frames; ``"video"``: all fixated points of the same video's other frames, less the
            frame's own; ``"all"``: every fixation of every other evaluated frame, duplicates counted.
        frames: how many frames the ``"dhf1k"`` scheme draws.
        exclude: which frames the draw leaves out: those of the current ``"video"``, or ``"none"``.
        one_per_video: draw at most one frame of each video.
        step: score with the 0.1 threshold steps of the official code instead of the exact area.

    Raises:
        InputError: a value is none of those above.
    """

    scheme: Literal["dhf1k", "video", "all"] = "dhf1k"
    frames: int = 10
    exclude: Literal["video", "none"] = "video"
    one_per_video: bool = False
    step: bool = False

    def __post_init__(self) -> None:
        where = "shuffled AUC of a protocol"
        _check_choices(self, where)
        if not _is_count(self.frames):
            raise InputError(f"{where}: frames is {self.frames!r}; give a whole number of at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """One way to turn predictions into numbers.

    Attributes:
        name: what results call it.
        resize: how a prediction is brought to the ground truth's size; ``"bilinear"`` uses half-pixel centres
            without antialiasing, ``"bicubic"`` antialiases when it shrinks (as MATLAB's `imresize`).
        letterbox: (H, W) on which prediction and ground truth are scored with bars around them, or None for
            the ground truth's own size.
        blur: standard deviation in pixels of a Gaussian over the resized prediction; 0 leaves it alone.
        blur_size: side in pixels of that Gaussian's square window.
        eight_bit: whether a prediction takes the 8-bit round trip of a PNG before it is resized (minimum to
            0, maximum to 255, rounded).
        sim_norm: how SIM normalises maps, see `saliency.metrics.sim`.
        formulae: ``"house"``: those of `saliency.metrics`; ``"aim"``: those of the AIM 2024 scorer
            (`saliency.metrics.aim`), which stretches prediction and density to 0..1 before anything else, counts
            repeated fixations repeatedly and knows no frame without fixations.
        averaging: the headline mean: over all ``"frame"``s, or the mean of the ``"video"`` means.
        undefined: what a frame without a value for a metric does to the mean: ``"skip"``; ``"zero"`` (counts
            as 0); ``"drop_frame"`` (a frame without CC, NSS or SIM loses all its values); ``"poison"`` (the mean
            is undefined).
        constant: what a constant prediction scores: ``"defined"`` values (see the metrics) or ``"undefined"``.
        shuffled: the shuffled AUC, or None where the protocol has none.
        metrics: the metrics the protocol reports.
        max_frames: the most frames scored, drawn from all evaluated frames by the seed; None scores all.

    Raises:
        InputError: a value is none of those above.
    """

    name: str
    resize: Literal["bilinear", "bicubic"] = "bilinear"
    letterbox: tuple[int, int] | None = None
    blur: float = 0.0
    blur_size: int = 11
    eight_bit: bool = False
    sim_norm: Literal["minmax", "sum"] = "minmax"
    formulae: Literal["house", "aim"] = "house"
    averaging: Literal["frame", "video"] = "frame"
    undefined: Literal["skip", "zero", "drop_frame", "poison"] = "skip"
    constant: Literal["defined", "undefined"] = "defined"
    shuffled: Shuffled | None = dataclasses.field(default_factory=Shuffled)
    metrics: tuple[str, ...] = STANDARD
    max_frames: int | None = None

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and self.name.strip()):
            raise InputError(f"a protocol needs a name, not {self.name!r}")
        where = f"protocol '{self.name}'"
        _check_choices(self, where)
        wanted = {
            "letterbox": (self.letterbox is None or _is_size(self.letterbox), "(H, W) of at least 1, or None"),
            "blur": (_is_number(self.blur) and 0 <= self.blur < math.inf, "a number of at least 0"),
            "blur_size": (_is_count(self.blur_size) and self.blur_size % 2, "an odd number"),
            "shuffled": (self.shuffled is None or isinstance(self.shuffled, Shuffled), "Shuffled, or None"),
            "metrics": (_are_names(self.metrics), "names of metrics, each once"),
            "max_frames": (self.max_frames is None or _is_count(self.max_frames), "at least 1, or None"),
        }
        for name, (good, what) in wanted.items():
            if not good:
                raise InputError(f"{where}: {name} is {getattr(self, name)!r}; give {what}")
        if self.formulae == "aim" and (other := [each for each in self.metrics if f"{each}_aim" not in METRICS]):
            raise InputError(f"protocol '{self.name}': its scorer has no {other[0]}; take --protocol canonical for it")
        drawn = any("others" in METRICS[metric].needs for metric in known(self.metrics))
        if drawn != (self.shuffled is not None):
            raise InputError(
                f"protocol '{self.name}' needs both `shuffled` and a metric with negatives (auc_shuffled), or neither"
            )

    def with_metrics(self, names: Sequence[str]) -> "Protocol":
        """The same protocol with further metrics of the table `saliency.metrics.frame.METRICS`.

        Its name stays: what it says of the metrics it had is the same.

        Raises:
            InputError: there is no such metric, or it needs negatives and the protocol has none.
        """
        wanted = {*self.metrics, *known(names)}
        return dataclasses.replace(self, metrics=tuple(name for name in METRICS if name in wanted))

    def with_shuffled(self, scheme: Literal["dhf1k", "video", "all"]) -> "Protocol":
        """The same protocol with another source of shuffled negatives, which its name then tells.

        A data set of a single video needs ``"video"``: no other video can lend it negatives.
        """
        if self.shuffled is None:
            raise InputError(f"protocol '{self.name}' has no shuffled AUC; take another protocol")
        if scheme == self.shuffled.scheme:
            return self
        shuffled = dataclasses.replace(self.shuffled, scheme=scheme)
        return dataclasses.replace(self, name=f"{self.name}+shuffled-{scheme}", shuffled=shuffled)


def _check_choices(thing: Any, where: str) -> None:
    """Refuse a value that is none of its field's literals, and a flag that is neither True nor False."""
    for name, kind in get_type_hints(type(thing)).items():
        known = get_args(kind) if get_origin(kind) is Literal else (True, False) if kind is bool else None
        value = getattr(thing, name)
        if known is not None and not any(type(value) is type(each) and value == each for each in known):
            raise InputError(f"{where}: {name} is {value!r}; give {' or '.join(map(repr, known))}")


def _is_number(value: object) -> bool:
    return type(value) in (int, float)


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 1


def _is_size(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(map(_is_count, value))


def _are_names(value: Any) -> bool:
    return (
        isinstance(value, tuple) and all(isinstance(each, str) for each in value) and 0 < len(value) == len(set(value))
    )


_WITHOUT_SHUFFLED = tuple(name for name in STANDARD if "others" not in METRICS[name].needs)

CANONICAL = Protocol(name="canonical")
"""Ours: maps as they are, exact areas, undefined frames skipped and counted, frame mean."""

DHF1K = Protocol(
    name="dhf1k",
    resize="bicubic",
    eight_bit=True,
    constant="undefined",
    shuffled=Shuffled(exclude="none", step=True),
    max_frames=50_000,
)
"""The benchmark's own MATLAB code: 8-bit maps, bicubic resize, at most 50 000 frames, 0.1 steps in sAUC."""

VINET = Protocol(
    name="vinet",
    blur=2.0,
    undefined="zero",
    constant="undefined",
    shuffled=None,
    metrics=_WITHOUT_SHUFFLED,
)
"""ViNet v2 and Bi-KD: blurred after the resize, undefined values counted as 0."""

TMFI = dataclasses.replace(VINET, name="tmfi", undefined="poison")
"""TMFI-Net's test script: as ``vinet``, but a single undefined value makes the mean undefined."""

UNISAL = Protocol(
    name="unisal",
    sim_norm="sum",
    constant="undefined",
    shuffled=Shuffled(exclude="none", one_per_video=True, step=True),
)
"""UNISAL: sum-normalised SIM, sAUC in 0.1 steps against a random frame of each of 10 random videos."""

MSU = Protocol(
    name="msu",
    letterbox=(360, 640),
    sim_norm="sum",
    averaging="video",
    shuffled=None,
    metrics=_WITHOUT_SHUFFLED,
)
"""The MSU benchmark without its fit to the ground truth: letterbox, sum-normalised SIM, mean of video means."""

AIM2024 = Protocol(
    name="aim2024",
    formulae="aim",
    averaging="video",
    shuffled=None,
    metrics=("cc", "nss", "auc_judd", "sim"),
)
"""The scorer of the AIM 2024 challenge (AViMoS), with its constants and its count of negatives in AUC-Judd."""

NTIRE2026 = dataclasses.replace(AIM2024, name="ntire2026")
"""NTIRE 2026: the same scorer."""

CROWDSAL = dataclasses.replace(AIM2024, name="crowdsal")
"""CrowdSAL: the same scorer."""

PROTOCOLS = (CANONICAL, DHF1K, VINET, TMFI, UNISAL, MSU, AIM2024, NTIRE2026, CROWDSAL)


def protocol_named(name: str) -> Protocol:
    """Return the protocol of that name.

    Raises:
        InputError: there is none; the message names the nearest.
    """
    names = [protocol.name for protocol in PROTOCOLS]
    for protocol in PROTOCOLS:
        if protocol.name == name:
            return protocol
    raise InputError(f"no protocol '{name}'{nearest(name, names)}; known: {', '.join(names)}")
