"""AViMoS (AIM 2024) and its successor of NTIRE 2026: Full-HD videos with sound, mouse fixations of over 70 people each.

1,500 videos in 2024 and 2,000 in 2026, CC BY. Read as downloaded and unpacked, in either year
(https://huggingface.co/datasets/ANDRYHA/AudioVisualMouseSaliency and .../VideoSaliencyChallenge)::

    TrainTestSplit.json                               {"train": [...], "public_test": [...], "private_test": [...]}
    Videos/NAME.mp4
    SaliencyTrain/Train/NAME.mp4                      density maps, one frame for each
    FixationsTrain/Train/NAME/fixations.json          for each frame a list of [row, column]
    SaliencyTest/Test/..., FixationsTest/Test/...     of the test videos, as far as they are public

The layout is the one that the public repositories describe; the data itself was not at hand. Published numbers belong
to the protocols ``aim2024`` and ``ntire2026``.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from saliency.data.folders import find_root
from saliency.data.held_out import held_out
from saliency.data.map_videos import map_video
from saliency.data.targets import HOUSE, Sampling
from saliency.data.video import AnnotatedVideo
from saliency.errors import InputError, nearest
from saliency.types import InputSpec

SOURCES = {
    2024: "https://huggingface.co/datasets/ANDRYHA/AudioVisualMouseSaliency",
    2026: "https://huggingface.co/datasets/ANDRYHA/VideoSaliencyChallenge",
}
VARIABLES = {2024: "AVIMOS_ROOT", 2026: "NTIRE2026_ROOT"}
TREE = "TrainTestSplit.json, Videos/NAME.mp4, SaliencyTrain/Train/NAME.mp4, FixationsTrain/Train/NAME/fixations.json"
LISTS = {"train": "train", "val": "train", "public_test": "public_test", "private_test": "private_test"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AViMoS:
    """AViMoS, or the data of NTIRE 2026.

    Attributes:
        root: folder that holds ``Videos``; None: environment variable AVIMOS_ROOT, or NTIRE2026_ROOT.
        year: whose data it is.
        held_out: training videos kept for validation, chosen by a hash of their name.
        sampling: the target rules of training and validation.
    """

    root: Path | str | None = None
    year: Literal[2024, 2026] = 2024
    held_out: int = 100
    sampling: Sampling = HOUSE

    def folder(self) -> Path:
        """Return the root folder.

        Raises:
            InputError: none is given or it does not hold the data set.
        """
        return find_root(self._name, self.root, VARIABLES[self.year], ("Videos",), TREE, SOURCES[self.year])

    def videos(self, split: str) -> list[AnnotatedVideo]:
        """Return the videos of ``train``, ``val``, ``public_test`` or ``private_test``, in the order of their names.

        Raises:
            InputError: unknown split, or videos or their annotation are missing.
        """
        if split not in LISTS:
            raise InputError(f"{self._name} has no split '{split}'{nearest(split, LISTS)}; it has {', '.join(LISTS)}")
        root = self.folder()
        names = self._listed(root / "TrainTestSplit.json", LISTS[split])
        if LISTS[split] == "train" and self.held_out:
            chosen = held_out(names, self.held_out)
            names = [name for name in names if (name in chosen) == (split == "val")]
        part = "Train" if LISTS[split] == "train" else "Test"
        return [
            map_video(
                name,
                root / "Videos" / f"{name}.mp4",
                root / f"Saliency{part}" / part / f"{name}.mp4",
                root / f"Fixations{part}" / part / name / "fixations.json",
            )
            for name in names
        ]

    def view(self, spec: InputSpec) -> InputSpec:
        """Return the clip a model gets: its own."""
        return spec

    @property
    def _name(self) -> str:
        return "AViMoS" if self.year == 2024 else "NTIRE 2026"

    def _listed(self, path: Path, key: str) -> list[str]:
        """Read the names of a split, with or without ``.mp4``."""
        try:
            names = json.loads(path.read_text(encoding="utf-8"))[key]
            listed = sorted({Path(name).name.removesuffix(".mp4") for name in names})
        except FileNotFoundError as error:
            raise InputError(f"{path} is missing; complete the data set from {SOURCES[self.year]}") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: has no list '{key}' of names ({error!r}); get it again") from error
        if not listed:
            raise InputError(f"{path}: its list '{key}' is empty; get it again")
        return listed
