"""From the screen and the clock of a recording to the pixels and the frames of the video that was shown."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saliency.errors import InputError, nearest
from saliency.gaze.gaze_samples import GazeSamples
from saliency.gaze.recording import is_inside


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """How a video was shown.

    Attributes:
        screen: (H, W) in pixels.
        rect: x, y, width, height of the picture on the screen in pixels, without the bars around it.
        size: (H, W) of the video in its own pixels.
        duration: of the video in seconds.
    """

    screen: tuple[int, int]
    rect: tuple[float, float, float, float]
    size: tuple[int, int]
    duration: float

    def __post_init__(self) -> None:
        x, y, width, height = self.rect
        inside = x >= 0 and y >= 0 and x + width <= self.screen[1] + 1 and y + height <= self.screen[0] + 1
        if width < 1 or height < 1 or not inside:
            raise InputError(
                f"--video-rect {x:g},{y:g},{width:g},{height:g}: does not lie on the screen of "
                f"{self.screen[1]}x{self.screen[0]} pixels; write x,y,width,height of the picture on it"
            )

    def to_video(self, xy: np.ndarray) -> np.ndarray:
        """Map screen positions (n, 2) to pixels of the video; outside of it where somebody looked beside it."""
        x, y, width, height = self.rect
        return (xy - [x, y]) * [self.size[1] / width, self.size[0] / height]

    def degree(self, pixels_per_degree: float) -> float:
        """Return one degree of visual angle in widths of the video, from pixels of the screen in a degree."""
        return pixels_per_degree / self.rect[2]


def fitted(screen: tuple[int, int], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return x, y, width, height of a video shown as large as fits, centred, with bars."""
    scale = min(screen[0] / size[0], screen[1] / size[1])
    width, height = size[1] * scale, size[0] * scale
    return (screen[1] - width) / 2, (screen[0] - height) / 2, width, height


def pixels_per_degree(screen_width: int, *, width_cm: float, distance_cm: float) -> float:
    """Return how many pixels of a screen one degree of visual angle takes, at its centre.

    Args:
        screen_width: pixels.
        width_cm: width of the screen's picture.
        distance_cm: from the eyes to the screen.
    """
    if min(width_cm, distance_cm) <= 0:
        raise InputError(f"the screen's width and distance must be above 0 cm, got {width_cm:g} and {distance_cm:g}")
    return 2 * distance_cm * math.tan(math.radians(0.5)) * screen_width / width_cm


def onset_of(samples: GazeSamples, onset: str) -> float:
    """Return when the video began, on the recording's clock.

    Args:
        samples: the recording.
        onset: the text of a message of it (or a part of it that only messages of one text have), or seconds after
            its first sample; empty: the first sample.

    Raises:
        InputError: there is no such message, or messages of several texts.
    """
    if not onset:
        return float(samples.time[0])
    if not math.isnan(seconds := _number(onset)):
        return float(samples.time[0]) + seconds
    texts = list(dict.fromkeys(text for _, text in samples.messages))
    found = [text for text in texts if text == onset] or [text for text in texts if onset in text]
    if not found:
        some = ", ".join(f"'{text[:40]}'" for text in texts[:8]) or "none"
        raise InputError(
            f"--onset {onset}: viewer {samples.viewer} has no such message{nearest(onset, texts)}; there are {some}"
        )
    if len(found) > 1:
        raise InputError(
            f"--onset {onset}: stands in {len(found)} messages ('{found[0]}', '{found[1]}', …); give the whole text"
        )
    return next(at for at, text in samples.messages if text == found[0])


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Aligned:
    """The gaze of one viewer during a video.

    Attributes:
        viewer: name or number.
        time: (n,) float64 seconds after the start of the video, within it.
        xy: (n, 2) float64 pixels of the video; NaN where the eye was lost, moved, or looked beside the picture.
        offset: seconds of the recording before the video began.
        lost: share of the samples without an eye.
        outside: share of the samples with one that lie outside of the picture.
        fixating: share of the samples with one that are part of a fixation; NaN where fixations were not told apart.
    """

    viewer: str
    time: np.ndarray
    xy: np.ndarray
    offset: float
    lost: float
    outside: float
    fixating: float


def align(samples: GazeSamples, showing: Showing, onset: str, fixating: np.ndarray | None) -> Aligned:
    """Bring a recording onto a video.

    Args:
        samples: the recording.
        showing: how the video was shown.
        onset: see `onset_of`.
        fixating: (n,) bool, the samples to keep; None keeps all that have a position.

    Raises:
        InputError: no sample falls into the video.
    """
    start = onset_of(samples, onset)
    time = samples.time - start
    during = (time >= 0) & (time < showing.duration)
    if not during.any():
        raise InputError(
            f"viewer {samples.viewer}: no sample falls into the {showing.duration:.2f} s of the video, the recording "
            f"goes from {time[0]:.2f} to {time[-1]:.2f} s around its start; correct --onset"
        )
    xy = showing.to_video(samples.xy[during])
    seen = samples.seen[during]
    inside = np.zeros(len(xy), dtype=bool)
    inside[seen] = is_inside(xy[seen], showing.size)
    still = seen if fixating is None else fixating[during] & seen
    kept = inside & still
    return Aligned(
        viewer=samples.viewer,
        time=time[during],
        xy=np.where(kept[:, None], xy, np.nan),
        offset=start - float(samples.time[0]),
        lost=float((~seen).mean()),
        outside=float((seen & ~inside).sum() / max(1, seen.sum())),
        fixating=float("nan") if fixating is None else float(still.sum() / max(1, seen.sum())),
    )


def summary(viewers: Sequence[Aligned]) -> str:
    """Say in a line what was brought onto a video: ``6 viewers, 22,296 samples, 6 % lost, …``."""
    counts = np.array([len(each.time) for each in viewers])
    seen = counts * [1 - each.lost for each in viewers]
    offsets = sorted(each.offset for each in viewers)
    spread = f"{offsets[0]:.2f}" if offsets[-1] - offsets[0] < 0.005 else f"{offsets[0]:.2f} to {offsets[-1]:.2f}"
    told = [each for each in viewers if not math.isnan(each.fixating)]
    fixating = f"{_percent(_mean(told, 'fixating'))} in fixations" if told else "fixations not told apart"
    return (
        f"{len(viewers)} viewer{'s' if len(viewers) > 1 else ''}, {counts.sum():,} samples, "
        f"{_percent(1 - seen.sum() / counts.sum())} lost, offset {spread} s, "
        f"{_percent(_mean(viewers, 'outside'))} outside the picture, {fixating}"
    )


def _mean(viewers: Sequence[Aligned], name: str) -> float:
    """The mean of a share over the samples of all viewers that have a position."""
    seen = [len(each.time) * (1 - each.lost) for each in viewers]
    values = [getattr(each, name) for each in viewers]
    return sum(a * b for a, b in zip(seen, values, strict=True)) / max(1.0, sum(seen))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
