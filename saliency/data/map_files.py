"""Annotated videos whose maps are numbered files: the layout of DHF1K, Hollywood-2 and UCF Sports.

Frame i, its density map and its fixation map are paired by the number in their file names, never by their
position in a listing.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from saliency.data.video import AnnotatedVideo
from saliency.errors import InputError
from saliency.io.frames import FrameSource
from saliency.io.images import FOLDER_FPS, ImageFolder
from saliency.io.maps import read_density, read_fixations


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbering:
    """How the files of consecutive frames are called: prefix and zero-padded number.

    Attributes:
        prefix: text before the number.
        digits: digits of the number.
        first: number of frame 0.
    """

    prefix: str = ""
    digits: int = 4
    first: int = 1

    def stem(self, i: int) -> str:
        """File name of frame `i` without its suffix, e.g. ``"0001"`` for frame 0 of DHF1K."""
        return f"{self.prefix}{self.first + i:0{self.digits}d}"

    def number(self, stem: str) -> int | None:
        """Return the number in a file name without suffix; None if it is not called in this way."""
        match = re.fullmatch(rf"{re.escape(self.prefix)}(\d{{{self.digits},}})", stem)
        return int(match[1]) if match else None


@dataclass(frozen=True, slots=True, kw_only=True)
class MapFilesVideo(AnnotatedVideo):
    """A video with a density map and a fixation map file per frame.

    Attributes:
        maps: folder of the density maps (PNG).
        fixation: folder of the fixation maps.
        fixation_suffix: ``".png"``, or ``".mat"`` with the map under the name ``I``.
        naming: how maps, and frames where they are files, are called.
    """

    maps: Path
    fixation: Path
    fixation_suffix: str = ".png"
    naming: Numbering

    def density(self, i: int) -> np.ndarray:
        """Return the density map of frame `i`, float32 (H, W) in [0, 1]."""
        return read_density(self._file(self.maps, i, ".png"))

    def fixations(self, i: int) -> np.ndarray:
        """Return the fixation map of frame `i`, bool (H, W)."""
        return read_fixations(self._file(self.fixation, i, self.fixation_suffix))

    def check(self, source: FrameSource) -> None:
        """Refuse frames that are not those of the maps: other number, size or file names."""
        AnnotatedVideo.check(self, source)
        if isinstance(source, ImageFolder):
            for i in (0, self.num_frames - 1):  # same count and same ends: the same numbers
                found, wanted = source.files[i].stem, self.naming.stem(i)
                if found != wanted:
                    raise InputError(
                        f"{self.path}: frame {i} of video {self.id} should be called {wanted} but the file is "
                        f"{found}; number the frames as the maps"
                    )

    def _file(self, folder: Path, i: int, suffix: str) -> Path:
        self.check_frame(i)
        if not self.annotated:
            raise InputError(f"video {self.id} has no ground truth; take a split that is annotated")
        return folder / (self.naming.stem(i) + suffix)


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedVideo(AnnotatedVideo):
    """Several videos of one size shown after another, e.g. the shots of a clip. Clips run across the cuts.

    Attributes:
        parts: the videos, in order.
    """

    parts: tuple[AnnotatedVideo, ...]

    @staticmethod
    def of(id: str, parts: Sequence[AnnotatedVideo]) -> "JoinedVideo":
        """Join `parts` under a new name.

        Raises:
            InputError: their sizes differ.
        """
        for part in parts:
            if part.size != parts[0].size:
                raise InputError(
                    f"{part.path}: is {part.size} (HxW) but {parts[0].path} is {parts[0].size}; "
                    "only parts of one size can be joined"
                )
        return JoinedVideo(
            id=id,
            path=parts[0].path,
            num_frames=sum(part.num_frames for part in parts),
            size=parts[0].size,
            annotated=all(part.annotated for part in parts),
            may_be_empty=any(part.may_be_empty for part in parts),
            parts=tuple(parts),
        )

    def open(self) -> FrameSource:
        """Open the parts one by one as they are needed."""
        return JoinedFrames(self)

    def sources(self) -> list[Path]:
        """Return the files of all parts, in order."""
        return [path for part in self.parts for path in part.sources()]

    def density(self, i: int) -> np.ndarray:
        """Return the density map of frame `i`, float32 (H, W)."""
        part, at = self.locate(i)
        return part.density(at)

    def fixations(self, i: int) -> np.ndarray:
        """Return the fixation map of frame `i`, bool (H, W)."""
        part, at = self.locate(i)
        return part.fixations(at)

    def locate(self, i: int) -> tuple[AnnotatedVideo, int]:
        """Return the part that holds frame `i` and the frame's number within it."""
        if i >= 0:
            at = i
            for part in self.parts:
                if at < part.num_frames:
                    return part, at
                at -= part.num_frames
        raise IndexError(f"frame {i} is outside video {self.id} of {self.num_frames} frames")


class JoinedFrames(FrameSource):
    """The frames of a `JoinedVideo`. One part is open at a time."""

    def __init__(self, video: JoinedVideo) -> None:
        self.path = video.path
        self.size = video.size
        self.fps = FOLDER_FPS
        self._video = video
        self._open: tuple[AnnotatedVideo, FrameSource] | None = None

    def __len__(self) -> int:
        return self._video.num_frames

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Return the frames at `indices`, uint8 (n, H, W, 3) RGB."""
        rows: dict[str, tuple[AnnotatedVideo, list[int], list[int]]] = {}
        for row, i in enumerate(self._checked(indices)):
            part, at = self._video.locate(i)
            _, where, frames = rows.setdefault(part.id, (part, [], []))
            where.append(row)
            frames.append(at)
        out = np.empty((len(indices), *self.size, 3), dtype=np.uint8)
        for part, where, frames in rows.values():
            out[where] = self._source(part).read(frames)
        return out

    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield the frames from `start` to before `stop`, uint8 (H, W, 3) RGB."""
        start, stop = self._range(start, stop)
        first = 0
        for part in self._video.parts:
            low, high = max(start - first, 0), min(stop - first, part.num_frames)
            if low < high:
                with part.open() as source:
                    yield from source.iterate(low, high)
            first += part.num_frames

    def close(self) -> None:
        """Close the open part."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _source(self, part: AnnotatedVideo) -> FrameSource:
        if self._open is None or self._open[0] is not part:
            self.close()
            self._open = (part, part.open())
        return self._open[1]


def frames_and_maps(
    folder: Path,
    *,
    id: str,
    prefix: str,
    digits: int,
    fixations: Literal["png", "mat"] = "png",
    may_be_empty: bool = False,
) -> MapFilesVideo:
    """Describe a folder with ``images``, ``maps`` and ``fixation`` whose files have the same numbers.

    Args:
        folder: the folder.
        id: name of the video.
        prefix: text before the numbers.
        digits: digits of the numbers.
        fixations: ``png`` files in ``fixation`` or ``mat`` files in ``fixation/maps``.
        may_be_empty: frames nobody looked at are normal.

    Raises:
        InputError: a folder is missing, the numbers have gaps or differ between the three.
    """
    where = {
        "images": (folder / "images", ".png"),
        "maps": (folder / "maps", ".png"),
        "fixation": (folder / "fixation" if fixations == "png" else folder / "fixation" / "maps", f".{fixations}"),
    }
    naming = Numbering(prefix=prefix, digits=digits)
    found = {name: numbered(path, naming, suffix) for name, (path, suffix) in where.items()}
    frames = found["images"]
    for name in ("maps", "fixation"):
        if found[name] != frames:
            odd = min(set(found[name]) ^ set(frames))
            lacking, having = (name, "images") if odd in frames else ("images", name)
            path, suffix = where[lacking]
            raise InputError(
                f"{path / f'{prefix}{odd:0{digits}d}{suffix}'}: is missing while {having} has it; complete the data set"
            )
    naming = Numbering(prefix=prefix, digits=digits, first=frames.start)
    maps = where["maps"][0]
    return MapFilesVideo(
        id=id,
        path=where["images"][0],
        num_frames=len(frames),
        size=image_size(maps / (naming.stem(0) + ".png")),
        may_be_empty=may_be_empty,
        maps=maps,
        fixation=where["fixation"][0],
        fixation_suffix=where["fixation"][1],
        naming=naming,
    )


def numbered(folder: Path, naming: Numbering, suffix: str = ".png") -> range:
    """Return the numbers of the files in `folder` that follow `naming` (its `first` is ignored).

    Raises:
        InputError: the folder does not exist, holds no such file, or the numbers have a gap.
    """
    try:
        names = [path.stem for path in folder.iterdir() if path.suffix.lower() == suffix]
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed ({error.strerror}); complete the data set") from error
    found = sorted(n for n in map(naming.number, names) if n is not None)
    if not found:
        example = naming.stem(0) + suffix
        raise InputError(f"{folder}: holds no file called like {example}; complete the data set")
    if len(found) != found[-1] - found[0] + 1:
        missing = next(n for n in range(found[0], found[-1]) if n not in set(found))
        name = f"{naming.prefix}{missing:0{naming.digits}d}{suffix}"
        raise InputError(f"{folder / name}: is missing between {found[0]} and {found[-1]}; complete the data set")
    return range(found[0], found[-1] + 1)


def image_size(path: Path) -> tuple[int, int]:
    """Read (H, W) from an image's header.

    Raises:
        InputError: not an image.
    """
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; complete the data set") from error
    except Exception as error:  # whatever a decoder of damaged files stumbles over
        raise InputError(f"{path}: is not an image that can be read ({error}); replace it") from error
