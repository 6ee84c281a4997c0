"""UCF Sports with eye movements (Mathe and Sminchisescu, PAMI 2015), in the pack of the DHF1K authors.

::

    training/Diving-Side-005/{images,maps,fixation}/Diving-Side_005_001.png
    testing/Diving-Side-001/...

One folder per video; the frame files repeat its name with ``_`` before the number of the video. 103 videos
(6501 frames) are for training, 47 (2929) for testing; 14 and 6 of them are shorter than 32 frames.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import saliency
from saliency.data.folders import find_root
from saliency.data.held_out import held_out
from saliency.data.map_files import MapFilesVideo, frames_and_maps
from saliency.data.targets import HOUSE, Sampling
from saliency.data.video import AnnotatedVideo
from saliency.datasets.dhf1k import SOURCE
from saliency.errors import InputError
from saliency.types import InputSpec

TREE = "{training,testing}/Diving-Side-005/{images,maps,fixation}/Diving-Side_005_001.png ..."


@dataclass(frozen=True, slots=True, kw_only=True)
class UCFSports:
    """UCF Sports.

    Attributes:
        root: folder that holds ``training`` and ``testing``; None: environment variable UCF_SPORTS_ROOT.
        held_out: training videos kept for validation, chosen by a hash of their name.
        validate_on: split ``val`` is the videos held out, or the test split (then nothing is held out), as
            the published training code has it.
        fixations: read the PNG fixation maps or the Matlab ones in ``fixation/maps``.
        register: hold the videos and their numbers of frames against the published list; False for data of
            your own in this layout.
        sampling: the target rules of training and validation.
    """

    root: Path | str | None = None
    held_out: int = 10
    validate_on: Literal["held_out", "test"] = "held_out"
    fixations: Literal["png", "mat"] = "png"
    register: bool = True
    sampling: Sampling = HOUSE

    def folder(self) -> Path:
        """Return the root folder.

        Raises:
            InputError: none is given or it does not hold the data set.
        """
        return find_root("UCF Sports", self.root, "UCF_SPORTS_ROOT", ("training", "testing"), TREE, SOURCE)

    def videos(self, split: str) -> list[AnnotatedVideo]:
        """Return the videos of ``train``, ``val`` or ``test``, in the order of their names.

        Raises:
            InputError: unknown split, or videos, frames or maps are missing.
        """
        part = {"train": "training", "val": "training", "test": "testing"}.get(split)
        if part is None:
            raise InputError(f"UCF Sports has no split '{split}'; it has train, val and test")
        if split == "val" and self.validate_on == "test":
            part = "testing"
        folder = self.folder() / part
        names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        if self.register and (missing := [name for name in frame_counts()[part] if name not in names]):
            raise InputError(
                f"{folder}: {len(missing)} of {len(frame_counts()[part])} videos are missing, the first: {missing[0]}; "
                f"complete it from {SOURCE} (register=False for data of your own)"
            )
        if part == "training" and self.validate_on == "held_out":
            chosen = held_out(names, self.held_out)
            names = [name for name in names if (name in chosen) == (split == "val")]
        if not names:
            raise InputError(f"UCF Sports: split '{split}' is empty; expected below {self.folder()}: {TREE}")
        return [self._video(folder / name) for name in names]

    def view(self, spec: InputSpec) -> InputSpec:
        """Return the clip a model gets: its own."""
        return spec

    def _video(self, folder: Path) -> MapFilesVideo:
        prefix = f"{folder.name[:-4]}_{folder.name[-3:]}_"
        video = frames_and_maps(
            folder, id=folder.name, prefix=prefix, digits=3, fixations=self.fixations, may_be_empty=True
        )
        expected = frame_counts()[folder.parent.name].get(folder.name) if self.register else None
        if expected is not None and video.num_frames != expected:
            raise InputError(f"{folder}: has {video.num_frames} frames, the published video {expected}; get it again")
        return video


@lru_cache(maxsize=1)
def frame_counts() -> dict[str, dict[str, int]]:
    """Return the number of frames of every video: part -> video -> frames."""
    path = Path(saliency.__file__).parent / "assets" / "registers" / "ucf_sports.txt"
    counts: dict[str, dict[str, int]] = {"training": {}, "testing": {}}
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            part, name, frames = line.split()
            counts[part][name] = int(frames)
    return counts
