"""The simulated viewers of the embedded data set.

Every viewer looks at one target after another. All numbers are in frames at 30 fps and in shares of the
frame width W; they are chosen in the range that is usual for free viewing of video, not fitted to anybody.

1. **Start.** Gaze rests near the centre for the latency of 6 to 8 frames.
2. **Choice.** The next target is drawn from a softmax over the visible things, seen `latency` frames ago:
   ``u = 2.6 motion + 1.2 contrast + 0.8 size + 1.8 onset - 0.9 (d / 0.3 W)^2 - 0.5 a / 0.3 W - ior + taste``
   with motion = tanh(speed against the background / 1 % W per frame), contrast in [0, 1], size =
   log(radius / 6 % W), onset in [0, 1] decaying over 10 frames, d the distance from the centre (centre
   bias), a the length of the saccade, ior = 1.2 exp(-t / 20) for a thing left t frames ago (inhibition of
   return), taste ~ N(0, 0.35) fixed per viewer and thing. In 8 % of the choices the viewer is off task and
   looks at a random place, normal around the centre (0.2 W, 0.2 H).
3. **Saccade.** 1 or 2 frames without a fixation (longer jumps take longer).
4. **Fixation or pursuit.** The eyes stay on the thing and follow it one frame late. Where they land on it
   differs per look by N(0, 0.4 radius); the tracker adds N(0, 1.1 % W) per frame.
5. **Leaving.** A look lasts a log-normal time, median 9 frames on what rests and up to 18 on what moves
   fast. An onset elsewhere ends it (probability 0.6), `latency` frames after it happened.
6. **Cuts.** At a cut the gaze stays where it is on the screen for the latency, then makes a new choice; 30 %
   of the viewers return to the centre first (0.06 W).
7. **Gaps.** Blinks (once in 8 s, 4 to 6 frames) and lost tracking (8 % of the frames, in stretches) leave
   no fixation either, nor does gaze outside the frame.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from saliency.data.mini_scenes import Shot, Thing
from saliency.gaze.recording import is_inside


@dataclass(slots=True, kw_only=True)
class _Look:
    """What one viewer is doing: on a thing of the shot, or at a fixed place of the screen."""

    thing: Thing | None
    place: np.ndarray  # (2,) offset from the thing's centre, or x, y on the screen
    ends: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mind:
    """What decides a viewer's next target besides what is seen.

    Attributes:
        latency: frames between seeing something and looking there.
        taste: thing -> how much this viewer likes it.
        left: thing -> frame in which the viewer looked away from it.
    """

    latency: int
    taste: dict[int, float]
    left: dict[int, int] = field(default_factory=dict)


def watch(rng: np.random.Generator, shots: list[Shot], size: tuple[int, int], viewers: int) -> NDArray[np.float32]:
    """Let viewers watch a video.

    Args:
        rng: the only source of chance.
        shots: the video.
        size: (H, W) of the frames.
        viewers: how many.

    Returns:
        (viewers, frames, 2) float32 gaze x, y in pixels, NaN where a viewer has no fixation. Here, as in
        `saliency.gaze.recording`, a point at x, y lies in pixel floor(x), floor(y), within the frame.
    """
    return np.stack([_watch_alone(rng, shots, size) for _ in range(viewers)])


def _watch_alone(rng: np.random.Generator, shots: list[Shot], size: tuple[int, int]) -> NDArray[np.float32]:
    height, width = size
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    latency = int(rng.integers(6, 9))
    gaze = np.full((sum(map(len, shots)), 2), np.nan, np.float32)
    here = centre + rng.normal(0, 0.02 * width, 2)  # where the eyes are
    for shot in shots:
        mind = _Mind(latency=latency, taste={id(thing): rng.normal(0, 0.35) for thing in shot.things})
        to_centre = shot.start > 0 and rng.random() < 0.3
        # Latency: the eyes rest where the cut (or the beginning) found them.
        look = _Look(thing=None, place=here, ends=latency)
        blind = 0  # frames left of the current saccade
        for t in range(len(shot)):
            if t >= look.ends or _disturbed(rng, shot, look, t - latency):
                if look.thing is not None:
                    mind.left[id(look.thing)] = t
                if to_centre:
                    look = _Look(thing=None, place=centre + rng.normal(0, 0.06 * width, 2), ends=t + 5)
                    to_centre = False
                else:
                    look = _choose(rng, shot, t, mind, here, size)
                jump = np.linalg.norm(_position(look, t) - here) / width
                blind = 0 if jump < 0.03 else 1 if jump < 0.25 else 2
            here = _position(look, t)
            if blind:
                blind -= 1
            else:
                gaze[shot.start + t] = here + 0.5 + rng.normal(0, 0.011 * width, 2)
    _lose(rng, gaze)
    gaze[~is_inside(gaze, size)] = np.nan
    return gaze


def _position(look: _Look, t: int) -> np.ndarray:
    """Where the eyes are at frame t of the shot: pursuit runs one frame behind the thing."""
    return look.place if look.thing is None else look.thing.path[max(t - 1, 0)] + look.place


def _disturbed(rng: np.random.Generator, shot: Shot, look: _Look, seen: int) -> bool:
    """Whether another thing appeared or started in the frame seen just now, and drew the viewer."""
    if seen < 1:
        return False
    starts = (
        thing.onset[seen] > 0.99 and thing.onset[seen - 1] < 0.5 for thing in shot.things if thing is not look.thing
    )
    return any(starts) and rng.random() < 0.6


def _choose(
    rng: np.random.Generator,
    shot: Shot,
    t: int,
    mind: _Mind,
    here: np.ndarray,
    size: tuple[int, int],
) -> _Look:
    """Draw the next target from what was visible some frames ago (point 2 of the module's text)."""
    height, width = size
    seen = max(t - mind.latency, 0)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    visible = [thing for thing in shot.things if thing.opacity[seen] > 0.3 and _inside(thing.path[t], size)]
    if not visible or rng.random() < 0.08:
        place = rng.normal(centre, (0.2 * width, 0.2 * height))
        return _Look(thing=None, place=place.clip(0, (width - 1, height - 1)), ends=t + _duration(rng, 8))
    appeal = np.array([_appeal(thing, seen, width) + mind.taste[id(thing)] for thing in visible])
    for k, thing in enumerate(visible):
        appeal[k] -= 0.9 * (np.linalg.norm(thing.path[t] - centre) / (0.3 * width)) ** 2
        appeal[k] -= 0.5 * np.linalg.norm(thing.path[t] - here) / (0.3 * width)
        if id(thing) in mind.left:
            appeal[k] -= 1.2 * np.exp((mind.left[id(thing)] - t) / 20)
    share = np.exp(appeal - appeal.max())
    thing = visible[rng.choice(len(visible), p=share / share.sum())]
    motion = np.tanh(thing.speed[t] / (0.01 * width))
    return _Look(
        thing=thing,
        place=rng.normal(0, 0.4 * thing.radius, 2),
        ends=t + _duration(rng, 9 + 9 * motion),
    )


def _appeal(thing: Thing, seen: int, width: int) -> float:
    """How much a thing attracts by what can be seen of it."""
    motion = np.tanh(thing.speed[seen] / (0.01 * width))
    bigness = np.log(thing.radius / (0.06 * width))
    return float(2.6 * motion + 1.2 * thing.contrast + 0.8 * bigness + 1.8 * thing.onset[seen])


def _inside(place: np.ndarray, size: tuple[int, int]) -> bool:
    return bool(0 <= place[0] < size[1] and 0 <= place[1] < size[0])


def _duration(rng: np.random.Generator, median: float) -> int:
    return max(5, round(float(median * np.exp(rng.normal(0, 0.4)))))


def _lose(rng: np.random.Generator, gaze: np.ndarray) -> None:
    """Blinks and lost tracking, in place."""
    for t in range(len(gaze)):
        chance = rng.random()
        if chance < 1 / 240:
            gaze[t : t + int(rng.integers(4, 7))] = np.nan
        elif chance < 1 / 240 + 0.08 / 12:
            gaze[t : t + int(rng.integers(6, 19))] = np.nan
