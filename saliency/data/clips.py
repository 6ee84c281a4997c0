"""The training and validation clips of a saliency run, drawn from any video data set."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from saliency.data.targets import Sampling, val_targets
from saliency.data.video import Arrange, Drawing, VideoData, VideoSamples
from saliency.types import InputSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnClips:
    """What a learner's own published training takes in place of the run's settings.

    Attributes:
        grid: (H, W) on which its predictions and ground truth meet.
        sampling: the target rules of its training and validation; None: those of the data set.
    """

    grid: tuple[int, int]
    sampling: Sampling | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SaliencyClips:
    """A data set as the training loop wants it (see `saliency.config.run.Data`).

    Attributes:
        source: the data set.
        grid: (H, W) on which predictions and ground truth meet during training.
        unlabelled: a second data set, the training videos of which are watched without ground truth, for transfer
            that needs none (`saliency.distillation.label_free`); gaze that they have is not looked at.
        clips_per_video: training samples per video and epoch; the papers take one.
        flip: mirror training samples with probability 1/2; the papers do not.
        cache: ``"memory"`` keeps decoded videos in memory, for small data sets; a folder reads resized frames
            from the frame cache there (``saliency prepare cache``).
        alone: learner -> its own rules, for stages in which the learners train alone.
    """

    source: VideoData
    grid: tuple[int, int] = (256, 456)
    unlabelled: VideoData | None = None
    clips_per_video: int = 1
    flip: bool = False
    cache: Literal["none", "memory"] | Path = "none"
    alone: dict[str, OwnClips] = field(default_factory=dict)

    def training(self, views: Mapping[str, InputSpec]) -> VideoSamples:
        """Random target frames of the training split, and of the unlabelled videos."""
        videos = self.source.videos("train")
        if self.unlabelled is not None:
            hidden: list[Any] = self.unlabelled.videos("train")  # dataclasses
            videos = [*videos, *(replace(video, annotated=False) for video in hidden)]
        return VideoSamples(
            videos,
            self._views(views),
            self.grid,
            drawing=Drawing(
                rule=self.source.sampling.train,
                clips_per_video=self.clips_per_video,
                flip=self.flip,
                arrange=self._arrange,
                unlabelled=self.unlabelled is not None,
            ),
            cache=self.cache,
        )

    def validation(self, views: Mapping[str, InputSpec]) -> VideoSamples:
        """Fixed target frames of the validation split."""
        videos = self.source.videos("val")
        targets = val_targets([video.num_frames for video in videos], self.source.sampling.val)
        return VideoSamples(
            videos,
            self._views(views),
            self.grid,
            targets=targets,
            cache=self.cache,
            drawing=Drawing(arrange=self._arrange),
        )

    def own(self, learner: str) -> "SaliencyClips":
        """Return these clips as a learner that trains alone takes them."""
        rule = self.alone.get(learner)
        if rule is None:
            return self
        source: Any = self.source  # data sets are dataclasses
        return replace(
            self, grid=rule.grid, source=source if rule.sampling is None else replace(source, sampling=rule.sampling)
        )

    @property
    def _arrange(self) -> Arrange | None:
        """The order of an epoch, where the data set has one."""
        return getattr(self.source, "arrange", None)

    def _views(self, views: Mapping[str, InputSpec]) -> dict[str, InputSpec]:
        return {name: self.source.view(spec) for name, spec in views.items()}
