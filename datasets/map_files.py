"""Annotated videos whose maps are numbered files: the layout of DHF1K, Hollywood-2 and UCF Sports.

Frame i, its density map and its fixation map are paired by the number in their file names, never by their
position in a listing.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from saliency.datasets.video import AnnotatedVideo
from saliency.errors import InputError
from saliency.io.frames import FrameSource, ImageFolder
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
        if not 0 <= i < self.num_frames:
            raise IndexError(f"frame {i} is outside video {self.id} of {self.num_frames} frames")
        if not self.annotated:
            raise InputError(f"video {self.id} has no ground truth; take a split that is annotated")
        return folder / (self.naming.stem(i) + suffix)


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
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise InputError(f"{path}: is not an image that can be read ({error}); replace it") from error
