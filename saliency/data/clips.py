"""The training and validation clips of a saliency run, drawn from any video data set."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from saliency.data.targets import val_targets
from saliency.data.video import VideoData, VideoSamples
from saliency.types import InputSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class SaliencyClips:
    """A data set as the training loop wants it (see `saliency.config.run.Data`).

    Attributes:
        source: the data set.
        grid: (H, W) on which predictions and ground truth meet during training.
        clips_per_video: training samples per video and epoch; the papers take one.
        flip: mirror training samples with probability 1/2; the papers do not.
        cache: ``"memory"`` keeps decoded videos in memory, for small data sets; a folder reads resized frames
            from the frame cache there (``saliency prepare cache``).
    """

    source: VideoData
    grid: tuple[int, int] = (256, 456)
    clips_per_video: int = 1
    flip: bool = False
    cache: Literal["none", "memory"] | Path = "none"

    def training(self, views: Mapping[str, InputSpec]) -> VideoSamples:
        """Random target frames of the training split."""
        return VideoSamples(
            self.source.videos("train"),
            self._views(views),
            self.grid,
            rule=self.source.sampling.train,
            clips_per_video=self.clips_per_video,
            flip=self.flip,
            cache=self.cache,
        )

    def validation(self, views: Mapping[str, InputSpec]) -> VideoSamples:
        """Fixed target frames of the validation split."""
        videos = self.source.videos("val")
        targets = val_targets([video.num_frames for video in videos], self.source.sampling.val)
        return VideoSamples(videos, self._views(views), self.grid, targets=targets, cache=self.cache)

    def _views(self, views: Mapping[str, InputSpec]) -> dict[str, InputSpec]:
        return {name: self.source.view(spec) for name, spec in views.items()}
