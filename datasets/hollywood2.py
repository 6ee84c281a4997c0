"""Hollywood-2 with eye movements (Mathe and Sminchisescu, PAMI 2015), in the pack of the DHF1K authors.

::

    training/actioncliptrain00001_1/{images,maps,fixation}/actioncliptrain00001_00003.png
    testing/actioncliptest00001_2/{images,maps,fixation}/actioncliptest00001_00049.png

A folder is one shot of a clip: ``<clip>_<shot>``, the shot number not padded with zeros. Frames are numbered
over the whole clip, so they do not start at 1 and there are gaps between shots. Sizes differ between clips.
747 clips (2699 shots) are for training, 884 (3558) for testing. There is no official validation split.
"""

import logging
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from saliency.data.folders import find_root
from saliency.data.held_out import held_out
from saliency.data.map_files import JoinedVideo, MapFilesVideo, frames_and_maps
from saliency.data.targets import HOUSE, Sampling
from saliency.data.video import AnnotatedVideo
from saliency.datasets.dhf1k import SOURCE
from saliency.errors import InputError
from saliency.types import InputSpec

log = logging.getLogger(__name__)

TREE = "{training,testing}/<clip>_<shot>/{images,maps,fixation}/<clip>_00003.png ..."
SHOT = re.compile(r"(.+)_(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hollywood2:
    """Hollywood-2.

    Attributes:
        root: folder that holds ``training`` and ``testing``; None: environment variable HOLLYWOOD2_ROOT.
        shots: one video per clip, its shots joined in order, or one per shot.
        held_out: training clips kept for validation, chosen by a hash of their name.
        validate_on: split ``val`` is the clips held out, or the test split (then nothing is held out), as the
            published training code has it.
        fixations: read the PNG fixation maps or the Matlab ones in ``fixation/maps``.
        incomplete: a shot with missing or extra maps is an error, or is left out and reported.
        sampling: the target rules of training and validation.
        clip_sampling: ``native`` gives every model the clip it was published with; ``official`` the one of
            the published Bi-KD runs, which also join the shots in the order of their names as text, _10
            before _2 (docs/datasets.md).
    """

    root: Path | str | None = None
    shots: Literal["join", "separate"] = "join"
    held_out: int = 75
    validate_on: Literal["held_out", "test"] = "held_out"
    fixations: Literal["png", "mat"] = "png"
    incomplete: Literal["error", "leave_out"] = "error"
    sampling: Sampling = HOUSE
    clip_sampling: Literal["native", "official"] = "native"

    def folder(self) -> Path:
        """Return the root folder.

        Raises:
            InputError: none is given or it does not hold the data set.
        """
        return find_root("Hollywood-2", self.root, "HOLLYWOOD2_ROOT", ("training", "testing"), TREE, SOURCE)

    def videos(self, split: str) -> list[AnnotatedVideo]:
        """Return the videos of ``train``, ``val`` or ``test``, in the order of clips and shots.

        Raises:
            InputError: unknown split, or frames and maps do not fit together.
        """
        part = {"train": "training", "val": "training", "test": "testing"}.get(split)
        if part is None:
            raise InputError(f"Hollywood-2 has no split '{split}'; it has train, val and test")
        if split == "val" and self.validate_on == "test":
            part = "testing"
        clips = list_shots(self.folder() / part)
        if part == "training" and self.validate_on == "held_out":
            chosen = held_out(list(clips), self.held_out)
            clips = {name: shots for name, shots in clips.items() if (name in chosen) == (split == "val")}
        videos: list[AnnotatedVideo] = []
        for name, numbers in clips.items():
            if self.clip_sampling == "official":
                numbers = sorted(numbers, key=str)
            shots = [shot for n in numbers if (shot := self._shot(self.folder() / part, name, n)) is not None]
            if not shots:
                continue
            videos += [JoinedVideo.of(name, shots)] if self.shots == "join" and len(shots) > 1 else shots
        if not videos:
            raise InputError(f"Hollywood-2: split '{split}' is empty; complete {self.folder() / part}")
        return videos

    def view(self, spec: InputSpec) -> InputSpec:
        """Return the clip a model gets.

        ``official``: the published Bi-KD runs gave ViNet-A 32 consecutive frames, offsets -16 .. 15, half the
        span it was trained with.
        """
        if self.clip_sampling == "official" and spec.target == "middle":
            return replace(spec, stride=1, shift=0)
        return spec

    def _shot(self, folder: Path, clip: str, number: int) -> MapFilesVideo | None:
        name = f"{clip}_{number}"
        try:
            return frames_and_maps(
                folder / name, id=name, prefix=f"{clip}_", digits=5, fixations=self.fixations, may_be_empty=True
            )
        except InputError as error:
            if self.incomplete == "error":
                raise InputError(f"{error} (incomplete='leave_out' goes on without this shot)") from error
            log.warning("shot %s is left out: %s", name, error)
            return None


def list_shots(folder: Path) -> dict[str, list[int]]:
    """List the clips below `folder` and the shots of each, both in increasing order.

    Raises:
        InputError: there is no such folder or it holds no shot.
    """
    clips: dict[str, list[int]] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        if (match := SHOT.fullmatch(path.name)) and path.is_dir():
            clips.setdefault(match[1], []).append(int(match[2]))
    if not clips:
        raise InputError(f"{folder}: holds no shot; expected {TREE}")
    return {name: sorted(clips[name]) for name in sorted(clips)}
