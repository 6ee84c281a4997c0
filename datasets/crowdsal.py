"""CrowdSAL (April 2026): 5,000 videos of 18 s with sound, mouse fixations of over 75 people each, CC BY 4.0.

Read as it is downloaded (https://huggingface.co/datasets/ANDRYHA/CrowdSAL)::

    Train/Videos/0001.mp4 .. 3000.mp4         1920x1080 or 1080x1920, 30 fps
    Train/Saliency/0001.mp4 ..                density maps, one frame for each
    Train/Fixations/0001.json ..              for each frame a list of [row, column]
    Test/...                                  videos 3001 .. 5000

The layout is the one its public repository and its hub page describe; the data itself was not at hand. Published
numbers belong to protocol ``crowdsal``.
"""

from dataclasses import dataclass
from pathlib import Path

from saliency.data.folders import find_root
from saliency.data.held_out import held_out
from saliency.data.map_videos import map_video
from saliency.data.targets import HOUSE, Sampling
from saliency.data.video import AnnotatedVideo
from saliency.errors import InputError, nearest
from saliency.types import InputSpec

SOURCE = "https://huggingface.co/datasets/ANDRYHA/CrowdSAL"
TREE = "{Train,Test}/{Videos,Saliency}/0001.mp4 ..., {Train,Test}/Fixations/0001.json ..."
PARTS = {"train": "Train", "val": "Train", "test": "Test"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdSAL:
    """CrowdSAL.

    Attributes:
        root: folder that holds ``Train`` and ``Test``; None: environment variable CROWDSAL_ROOT.
        held_out: training videos kept for validation, chosen by a hash of their name.
        sampling: the target rules of training and validation.
    """

    root: Path | str | None = None
    held_out: int = 150
    sampling: Sampling = HOUSE

    def folder(self) -> Path:
        """Return the root folder.

        Raises:
            InputError: none is given or it does not hold the data set.
        """
        return find_root("CrowdSAL", self.root, "CROWDSAL_ROOT", ("Train", "Test"), TREE, SOURCE)

    def videos(self, split: str) -> list[AnnotatedVideo]:
        """Return the videos of ``train``, ``val`` or ``test`` that are there, in the order of their numbers.

        Raises:
            InputError: unknown split, none is there, or a part of one is missing.
        """
        if split not in PARTS:
            raise InputError(f"CrowdSAL has no split '{split}'{nearest(split, PARTS)}; it has {', '.join(PARTS)}")
        folder = self.folder() / PARTS[split]
        names = sorted(path.stem for path in (folder / "Videos").glob("*.mp4"))
        if not names:
            raise InputError(f"{folder / 'Videos'}: holds no video; expected {TREE}, from {SOURCE}")
        if PARTS[split] == "Train" and self.held_out:
            chosen = held_out(names, self.held_out)
            names = [name for name in names if (name in chosen) == (split == "val")]
        return [
            map_video(
                name,
                folder / "Videos" / f"{name}.mp4",
                folder / "Saliency" / f"{name}.mp4",
                folder / "Fixations" / f"{name}.json",
            )
            for name in names
        ]

    def view(self, spec: InputSpec) -> InputSpec:
        """Return the clip a model gets: its own."""
        return spec
