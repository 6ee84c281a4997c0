"""Moving videos made of photographs with fixations: pans, zooms, hand shake, cuts, parallax, small moving things.

Real gaze on pictures, motion by rule: the fixations of a photograph are carried along with its pixels. What nobody
recorded is when people look where while it moves: every frame is looked at as the whole viewing of the photograph, but

* after a cut the eyes stay where they were on the screen for `delay` seconds before they go to the new picture.
  The time from a sudden change to the eye's start is about 200 ms (Carpenter, *Movements of the Eyes*, 2nd ed. 1988);
* a small thing that moves over the picture is looked at by a share `follow` of the gaze, after the same delay. That
  motion draws the gaze is known (Mital, Smith, Hill, Henderson, Cognitive Computation 3:5-24, 2011); how much is this
  module's choice.

Nothing is written to disk: frames are made when they are asked for, and the same settings make the same frames.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saliency.data.motions import LEARNT, MOTIONS, Motion, Pose, Thing, cover, covering, draw_poses, draw_thing
from saliency.data.still_video import StillVideo
from saliency.data.targets import Sampling, Targets
from saliency.data.video import AnnotatedVideo
from saliency.datasets.stills import Stills
from saliency.errors import InputError, nearest
from saliency.gaze.recording import density_map, fixation_map
from saliency.io.frame_source import FrameSource
from saliency.io.images import read_image
from saliency.types import InputSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """A photograph under a moving camera.

    Attributes:
        still: the photograph.
        poses: how each frame shows it.
        thing: what moves over it.
        followed: (k,) bool, the fixations that go to the thing; empty without one.
    """

    still: StillVideo
    poses: tuple[Pose, ...]
    thing: Thing | None = None
    followed: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))

    def points(self, i: int, size: tuple[int, int], delay: int) -> NDArray[np.float64]:
        """Return where the eyes are in frame `i` of this shot, (k, 2), once they have followed the cut to it.

        Args:
            i: frame within the shot.
            size: (H, W) of the frames.
            delay: frames after which the thing is looked at.
        """
        picture = self.still.size
        scale = np.array(covering(picture, size)[::-1]) / picture[::-1]
        points = self.poses[i].move(self.still.gaze().points * scale, size)
        if self.thing is not None and i >= delay:
            # each eye rests at its own place on the thing
            turn = np.arange(len(points)) * 2.4
            spots = 0.5 * self.thing.radius * np.stack((np.cos(turn), np.sin(turn)), axis=1)
            points = np.where(self.followed[:, None], self.thing.centres[i] + spots, points)
        return points

    def sigma(self, i: int, size: tuple[int, int]) -> float:
        """Return the standard deviation of the density in frame `i`: it grows with the photograph."""
        return self.still.sigma * covering(self.still.size, size)[1] / self.still.size[1] * self.poses[i].zoom

    def frame(self, i: int, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Return frame `i`, uint8 (H, W, 3)."""
        shown = self.poses[i].show(_picture(self.still.path, size), size)
        return shown if self.thing is None else self.thing.paste(shown, i)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnimatedVideo(AnnotatedVideo):
    """One or several shots.

    Attributes:
        shots: in order.
        delay: frames after a cut before the eyes leave their place on the screen.
        fps: frames per second.
    """

    shots: tuple[Shot, ...]
    delay: int
    fps: float

    def open(self) -> FrameSource:
        """Open the frames, made as they are asked for."""
        return AnimatedFrames(self)

    def sources(self) -> list[Path]:
        """Return the photographs."""
        return [shot.still.path for shot in self.shots]

    def points(self, i: int) -> NDArray[np.float64]:
        """Return where the eyes are in frame `i`, (k, 2) x, y in pixels; some lie outside of the frame."""
        shot, at = self.locate(i)
        before = sum(len(each.poses) for each in self.shots[:shot])
        if shot > 0 and at < self.delay:
            return self.points(before - 1)  # where they were on the screen
        return self.shots[shot].points(at, self.size, self.delay)

    def density(self, i: int) -> np.ndarray:
        """Return the density map, float32 (H, W)."""
        shot, at = self.locate(i)
        return density_map(self.points(i), self.size, self.shots[shot].sigma(at, self.size))

    def fixations(self, i: int) -> np.ndarray:
        """Return the fixation map, bool (H, W)."""
        return fixation_map(self.points(i), self.size)

    def frame(self, i: int) -> NDArray[np.uint8]:
        """Return frame `i`, uint8 (H, W, 3)."""
        shot, at = self.locate(i)
        return self.shots[shot].frame(at, self.size)

    def locate(self, i: int) -> tuple[int, int]:
        """Return the number of the shot that holds frame `i` and the frame's number within it."""
        at = i
        for number, shot in enumerate(self.shots):
            if 0 <= at < len(shot.poses):
                return number, at
            at -= len(shot.poses)
        raise IndexError(f"frame {i} is outside video {self.id} of {self.num_frames} frames")


class AnimatedFrames(FrameSource):
    """The frames of an `AnimatedVideo`."""

    def __init__(self, video: AnimatedVideo) -> None:
        self.path, self.size, self.fps = video.path, video.size, video.fps
        self._video = video

    def __len__(self) -> int:
        return self._video.num_frames

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Make frames; see `FrameSource.read`."""
        frames = [self._video.frame(i) for i in self._checked(indices)]
        return np.stack(frames) if frames else np.zeros((0, *self.size, 3), dtype=np.uint8)

    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Make frame after frame; see `FrameSource.iterate`."""
        for i in range(*self._range(start, stop)):
            yield self._video.frame(i)

    @property
    def sound(self) -> Path | None:
        """There is none."""
        return None

    def close(self) -> None:
        """Nothing is kept open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Animated:
    """Photographs set in motion, one video for each; the same settings give the same videos.

    Attributes:
        sources: the sets of photographs.
        motions: what to draw from, see `saliency.data.motions.MOTIONS`; by default what training shows.
        size: (H, W) of the frames.
        frames: length of the videos.
        fps: frames per second.
        cuts: share of the videos that are cut, in the middle, to another photograph of the set.
        delay: seconds after a cut, or the coming of a thing, before the eyes react.
        follow: share of the gaze that a moving thing draws.
        seed: of all that is drawn.
        sampling: the target rules of training and validation.
    """

    sources: tuple[Stills, ...] = (Stills(name="osie"), Stills(name="crowd"), Stills(name="scene"))
    motions: tuple[Motion, ...] = LEARNT
    size: tuple[int, int] = (240, 320)
    frames: int = 32
    fps: float = 25.0
    cuts: float = 0.25
    delay: float = 0.2
    follow: float = 0.4
    seed: int = 0
    sampling: Sampling = field(default_factory=lambda: Sampling(val=Targets(lead=15, step=16, short="last")))

    def __post_init__(self) -> None:
        if wrong := next((motion for motion in self.motions if motion not in MOTIONS), None):
            raise InputError(f"'{wrong}' is no motion; there are {', '.join(MOTIONS)}{nearest(wrong, MOTIONS)}")
        if not self.motions or not self.sources or self.frames < 1 or min(self.size) < 32 or self.fps <= 0:
            raise InputError("animated photographs need a motion, a set, a frame, 32x32 pixels and an fps above 0")
        if not (0 <= self.cuts <= 1 and 0 <= self.follow <= 1 and self.delay >= 0):
            raise InputError(f"cuts and follow lie between 0 and 1 and delay is at least 0, got {self}")

    def videos(self, split: str) -> list[AnnotatedVideo]:
        """Return a video for each photograph of a split, in the order of sets and names.

        Raises:
            InputError: as `Stills.videos`.
        """
        return [video for source in self.sources for video in self._animate(source, split)]

    def view(self, spec: InputSpec) -> InputSpec:
        """Return the clip a model gets: its own."""
        return spec

    def _animate(self, source: Stills, split: str) -> list[AnnotatedVideo]:
        stills = [video for video in source.videos(split) if isinstance(video, StillVideo)]
        videos: list[AnnotatedVideo] = []
        for number, still in enumerate(stills):
            name = f"{source.name}/{split}/{still.id}"
            random = np.random.default_rng([self.seed, *name.encode()])
            lengths, shown = [self.frames], [still]
            if self.frames > 1 and random.random() < self.cuts:
                lengths = [self.frames - self.frames // 2, self.frames // 2]
                shown.append(stills[(number + int(random.integers(1, max(2, len(stills))))) % len(stills)])
            videos.append(
                AnimatedVideo(
                    id=f"{source.name}-{still.id}",
                    path=still.path,
                    num_frames=self.frames,
                    size=self.size,
                    may_be_empty=True,  # a camera may pass by all that was looked at
                    shots=tuple(self._shot(s, n, random) for s, n in zip(shown, lengths, strict=True)),
                    delay=round(self.delay * self.fps),
                    fps=self.fps,
                )
            )
        return videos

    def _shot(self, still: StillVideo, count: int, random: np.random.Generator) -> Shot:
        motion = self.motions[int(random.integers(len(self.motions)))]
        picture = covering(still.size, self.size)
        poses = draw_poses(motion, picture, self.size, count, fps=self.fps, random=random)
        if motion != "object":
            return Shot(still=still, poses=poses)
        followed = random.random(len(still.gaze().points)) < self.follow
        return Shot(still=still, poses=poses, thing=draw_thing(self.size, count, random), followed=followed)


@lru_cache(maxsize=1600)
def _picture(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a photograph that covers a frame of (H, W); those used last stay in memory."""
    return cover(np.asarray(read_image(path), dtype=np.uint8), size)
