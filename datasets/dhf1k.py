"""DHF1K: 1000 videos watched freely by 17 people (Wang et al., CVPR 2018; PAMI 2019), CC BY 4.0.

Read as it is downloaded (https://github.com/wenguanwang/DHF1K)::

    video/001.AVI .. 1000.AVI              640x360, 30 fps
    annotation/0001 .. 0700/
        maps/0001.png ..                   density map: Gaussians of 30 px full width at half maximum
        fixation/0001.png ..               fixation map
        fixation/maps/0001.mat ..          the same, variable I
    exportdata_train/P01/P01_Trail001.txt  raw gaze (optional)

or with extracted frames, ``annotation/0001/images/0001.png ..``, as several public loaders want it. Videos
1-600 are for training, 601-700 for validation; the ground truth of 701-1000 is not public.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

import saliency
from saliency.data.folders import find_root
from saliency.data.map_files import MapFilesVideo, Numbering, image_size, numbered
from saliency.data.targets import HOUSE, Sampling
from saliency.data.video import AnnotatedVideo
from saliency.errors import InputError, nearest
from saliency.gaze.recording import DHF1K_SCREEN, gaze_per_frame, read_recording, screen_to_video
from saliency.io.frames import Decoder, open_frames
from saliency.types import InputSpec

SOURCE = "https://github.com/wenguanwang/DHF1K"
TREE = "video/001.AVI ..., annotation/0001/{maps,fixation}/0001.png ..."
FPS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DHF1KVideo(MapFilesVideo):
    """A video of DHF1K.

    Attributes:
        gaze: folder ``exportdata_train``; None when it is not there.
    """

    gaze: Path | None = None

    def observers(self) -> np.ndarray | None:
        """Return the observers' gaze per frame, float32 (observers, num_frames, 2) x, y, NaN where absent.

        One point per observer and frame: the mean of the fixation samples during the frame. The recordings
        are longer than the videos; they are taken to start together, as the authors' script does. None when
        the raw gaze is not there.
        """
        files = [] if self.gaze is None else gaze_files(self.gaze, int(self.id))
        if not files:
            return None
        return gaze_points(files, self.size, self.num_frames)


@dataclass(frozen=True, slots=True, kw_only=True)
class DHF1K:
    """DHF1K, or a data set of your own in its layout.

    Attributes:
        root: folder that holds ``video`` and ``annotation``; None: environment variable DHF1K_ROOT.
        splits: split name -> numbers of its videos, e.g. ``"1-600"`` or ``"1,4,7-9"``.
        frames: read the videos, the extracted frames, or (``auto``) the videos if there are any.
        fixations: which of the two copies of the fixation maps to read.
        decoder: package that decodes the videos.
        register: hold the number of frames against DHF1K's; False for data of your own in this layout.
        may_be_empty: frames nobody looked at are normal; False makes them an error.
        sampling: the target rules of training and validation.
        clip_sampling: ``native`` gives every model the clip it was published with; ``official`` the one of
            the published Bi-KD runs (docs/datasets.md).
    """

    root: Path | str | None = None
    splits: dict[str, str] = field(default_factory=lambda: {"train": "1-600", "val": "601-700", "test": "701-1000"})
    frames: Literal["auto", "video", "images"] = "auto"
    fixations: Literal["png", "mat"] = "png"
    decoder: Decoder = "pyav"
    register: bool = True
    may_be_empty: bool = False
    sampling: Sampling = HOUSE
    clip_sampling: Literal["native", "official"] = "native"

    def folder(self) -> Path:
        """Return the root folder.

        Raises:
            InputError: none is given or it does not hold the data set.
        """
        return find_root("DHF1K", self.root, "DHF1K_ROOT", ("annotation", "video"), TREE, SOURCE)

    def videos(self, split: str) -> list[AnnotatedVideo]:
        """Return the videos of a split in increasing order.

        Videos without annotation are returned with ``annotated=False`` when none of the split has one.

        Raises:
            InputError: unknown split, or videos are missing or incomplete.
        """
        if split not in self.splits:
            raise InputError(f"DHF1K has no split '{split}'{nearest(split, self.splits)}")
        root = self.folder()
        wanted = parse_numbers(self.splits[split])
        hidden = not any((root / "annotation" / f"{n:04d}").is_dir() for n in wanted)
        found, problems = [], []
        for number in wanted:
            try:
                found.append(self.video(root, number, annotated=not hidden))
            except InputError as error:
                problems.append(str(error))
        if problems:
            raise InputError(
                f"DHF1K at {root}: {len(problems)} of {len(wanted)} videos of split '{split}' cannot be used, "
                f"the first: {problems[0]} (expected: {TREE}; get it from {SOURCE}; or name other videos with "
                "`splits`)"
            )
        return found

    def video(self, root: Path, number: int, *, annotated: bool = True) -> DHF1KVideo:
        """Describe one video; its frames are not decoded.

        Raises:
            InputError: it is missing, or its number of maps is not the register's.
        """
        annotation = root / "annotation" / f"{number:04d}"
        path = self._frames(root, annotation, number)
        expected = frame_counts()[number - 1] if self.register and 1 <= number <= 1000 else None
        naming = Numbering()
        if not annotated:
            with open_frames(path, decoder=self.decoder, expected=expected) as source:
                num_frames, size = len(source), source.size
        else:
            maps = annotation / "maps"
            if expected is None:
                num_frames = _from_one(maps, numbered(maps, naming))
            else:
                num_frames = expected
                self._check_count(maps, number, expected)
            size = image_size(maps / (naming.stem(0) + ".png"))
        gaze = root / "exportdata_train"
        return DHF1KVideo(
            id=f"{number:03d}",
            path=path,
            num_frames=num_frames,
            size=size,
            decoder=self.decoder,
            annotated=annotated,
            may_be_empty=self.may_be_empty,
            maps=annotation / "maps",
            fixation=annotation / "fixation" if self.fixations == "png" else annotation / "fixation" / "maps",
            fixation_suffix=f".{self.fixations}",
            naming=naming,
            gaze=gaze if gaze.is_dir() else None,
        )

    def view(self, spec: InputSpec) -> InputSpec:
        """Return the clip a model gets.

        ``official``: the published Bi-KD runs moved ViNet-A's clip, every second frame around the target, by
        one frame against the loader it was trained with: offsets -32, -30 .. 30 instead of -31, -29 .. 31.
        """
        if self.clip_sampling == "official" and spec.target == "middle":
            return replace(spec, shift=0)
        return spec

    def _frames(self, root: Path, annotation: Path, number: int) -> Path:
        videos = [root / "video" / f"{number:03d}{suffix}" for suffix in (".AVI", ".avi", ".mp4")]
        images = annotation / "images"
        if self.frames != "images":
            for path in videos:
                if path.is_file():
                    return path
            if self.frames == "video":
                raise InputError(f"{videos[0]} is missing; complete the data set")
        if images.is_dir():
            return images
        raise InputError(f"neither {videos[0]} nor {images} is there; complete the data set")

    def _check_count(self, maps: Path, number: int, expected: int) -> None:
        """Look-ups instead of a listing: the last map is there, none follows, and none comes before the first."""
        if not maps.is_dir():
            raise InputError(f"{maps} is missing; complete the data set")
        last, beyond = (maps / f"{i:04d}.png" for i in (expected, expected + 1))
        if (before := maps / "0000.png").is_file():
            beyond = before
        if not last.is_file() or beyond.is_file():
            wrong = f"{last} is missing" if not last.is_file() else f"{beyond} is one too many"
            raise InputError(
                f"{wrong}: video {number:03d} of DHF1K has {expected} frames (register=False for data of your own)"
            )


@lru_cache(maxsize=1)
def frame_counts() -> tuple[int, ...]:
    """Return the number of frames of DHF1K's videos 1 .. 1000."""
    path = Path(saliency.__file__).parent / "assets" / "registers" / "dhf1k.txt"
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return tuple(int(word) for line in lines for word in line.split())


def gaze_points(files: Sequence[Path], size: tuple[int, int], num_frames: int) -> np.ndarray:
    """Return the gaze per frame of raw recordings, see `DHF1KVideo.observers`.

    Args:
        files: one raw recording per observer.
        size: (H, W) of the video.
        num_frames: frames of the video.
    """
    rows = []
    for path in files:
        recording = read_recording(path)
        xy = screen_to_video(recording.xy, DHF1K_SCREEN, size)
        rows.append(gaze_per_frame(recording, xy, size, num_frames, FPS))
    return np.stack(rows)


def gaze_files(folder: Path, number: int) -> list[Path]:
    """Find the raw gaze files of a video, in the order of the observers.

    Names seen: ``P01/P01_Trail002.txt``, ``P01_Trail002.txt`` and ``P001/P001_Trail0002.txt``.
    """
    pattern = re.compile(r"P(\d+)_Trail(\d+)\.txt")
    found: dict[int, Path] = {}
    for path in [*folder.glob("P*_Trail*.txt"), *folder.glob("P*/P*_Trail*.txt")]:
        match = pattern.fullmatch(path.name)
        if match and int(match[2]) == number:
            if int(match[1]) in found:
                raise InputError(f"{path}: is a second recording besides {found[int(match[1])]}; keep one of them")
            found[int(match[1])] = path
    return [found[observer] for observer in sorted(found)]


def parse_numbers(text: str) -> list[int]:
    """Read ``"1-3,7"`` as [1, 2, 3, 7].

    Raises:
        InputError: something else, or nothing.
    """
    numbers: list[int] = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        match = re.fullmatch(r"([0-9]{1,6})(?:-([0-9]{1,6}))?", part)
        if not match or (match[2] and int(match[2]) < int(match[1])):
            raise InputError(f"'{part[:60]}' is not a number or a range like 1-600")
        numbers.extend(range(int(match[1]), int(match[2] or match[1]) + 1))
    if not numbers:
        raise InputError("a split names no video; write numbers like '1-600,605'")
    return numbers


def _from_one(folder: Path, numbers: range) -> int:
    if numbers.start != 1:
        raise InputError(f"{folder / '0001.png'} is missing: the first map is {numbers.start:04d}.png")
    return len(numbers)
