"""Read and write saliency (density) maps and fixation maps: the one table of map files, and Matlab's fixation maps.

Density maps are compared by their shape only, so a scale does not matter to the metrics; pictures are read as values
in [0, 1] and arrays as they are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import cv2
import numpy as np
from PIL import Image
from scipy.io import savemat

from saliency.errors import InputError
from saliency.io.atomic import replacing
from saliency.io.grey_png import read_grey
from saliency.io.matlab import read_matrix

_PNG = (
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
)

FIXATION_KEY = "I"
"""Name of the binary map in the .mat files of DHF1K, Hollywood-2 and UCF Sports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapFile:
    """A kind of file that holds one map.

    Attributes:
        read: path -> numbers in the file's own units, (H, W), or (H, W, 3) uint8 of a picture in colour; raises
            `InputError`.
        write: called with a path, float32 (H, W) >= 0, and what `write_density` says of `peak` and `bits`.
        picture: whether whole numbers are brightnesses, the highest of which stands for 1.
    """

    read: Callable[[Path], np.ndarray]
    write: Callable[[Path, np.ndarray, float | None, Literal[8, 16]], None]
    picture: bool = False


def read_values(path: str | Path) -> np.ndarray:
    """Read what a map file holds: (H, W), or (H, W, 3) uint8 of a picture in colour, in the file's own units.

    Args:
        path: a suffix of `MAP_FILES`; anything else is read as a picture.

    Raises:
        InputError: not such a file.
    """
    path = Path(path)
    values = _kind(path).read(path)
    if not isinstance(values, np.ndarray):
        raise InputError(f"{path}: must hold one array of numbers with shape (H, W)")
    return values


def read_density(path: str | Path) -> np.ndarray:
    """Read a saliency or density map, float32 (H, W) >= 0.

    Args:
        path: a suffix of `MAP_FILES`: arrays are returned as they are, pictures (of any suffix) as 8-bit / 255,
            16-bit / 65535, colour turned to grey.

    Raises:
        InputError: not such a file, or negative or non-finite values.
    """
    path = Path(path)
    values = read_values(path)
    if _kind(path).picture:
        values = _grey(values)
        if values.dtype.kind == "u":  # neither negative nor infinite
            return np.divide(values, np.iinfo(values.dtype).max, dtype=np.float32)
        white = 65535 if values.dtype.kind == "i" else 1  # 16 bits may come with a sign
        values = values.astype(np.float32) / white
    if values.ndim != 2 or values.dtype.kind not in "fiub":
        raise InputError(f"{path}: must hold one array of numbers with shape (H, W)")
    values = values.astype(np.float32)
    if not np.isfinite(values).all() or values.min(initial=0.0) < 0:
        raise InputError(f"{path}: has negative or non-finite values; a density map is >= 0")
    return values


def write_density(path: str | Path, density: np.ndarray, peak: float | None = None, bits: Literal[8, 16] = 8) -> None:
    """Write a map (H, W) >= 0; the suffix of `MAP_FILES` chooses the format.

    Args:
        path: file to write.
        density: the map.
        peak: value that becomes white in a picture; None: the map's maximum, which uses the bits best and changes
            no metric that ignores the scale. An all-zero map stays black. Arrays keep their values.
        bits: of a picture.

    Raises:
        InputError: another suffix, wrong shape, negative or non-finite values, or it cannot be written; then an older
            file of that name stays as it was.
    """
    path, density = Path(path), np.asarray(density)
    if density.ndim != 2:
        raise InputError(f"{path}: a map to write must have shape (H, W), got {density.shape}")
    lowest, highest = density.min(initial=0.0), density.max(initial=0.0)  # both NaN if any value is
    if not np.isfinite(highest) or lowest < 0:
        raise InputError(f"{path}: a map to write must be finite and >= 0")
    if path.suffix not in MAP_FILES:
        raise InputError(f"{path}: maps are written as {' or '.join(MAP_FILES)}")
    try:
        with replacing(path, sync=False) as temporary:
            MAP_FILES[path.suffix].write(temporary, density.astype(np.float32, copy=False), peak, bits)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error


def to_grey(density: np.ndarray, peak: float | None = None, bits: Literal[8, 16] = 8) -> np.ndarray:
    """Scale a map >= 0 to uint8 or uint16: `peak` (default: the map's maximum) becomes the highest value."""
    kind = np.uint8 if bits == 8 else np.uint16
    top = float(density.max(initial=0.0)) if peak is None else peak
    if top <= 0:
        return np.zeros(density.shape, dtype=kind)
    scaled = np.divide(density, top)
    np.clip(scaled, 0, 1, out=scaled)
    scaled *= np.iinfo(kind).max
    return np.rint(scaled, out=scaled).astype(kind)


def read_fixations(path: str | Path) -> np.ndarray:
    """Read a fixation map, bool (H, W), True where the value is > 0.

    Args:
        path: an image, or a Matlab file with the map under the name ``I``.

    Raises:
        InputError: not such a file.
    """
    path = Path(path)
    if path.suffix.lower() != ".mat":
        return _grey(_read_picture(path)) > 0
    if not path.is_file():
        raise InputError(f"{path}: no such fixation map")
    return read_matrix(path, FIXATION_KEY) > 0


def write_fixations(path: str | Path, fixations: np.ndarray) -> None:
    """Write a boolean fixation map (H, W) as ``.png`` (0 and 255) or ``.mat`` (variable ``I``, 0 and 1).

    Raises:
        InputError: another suffix or shape, or it cannot be written; then an older file of that name stays as it was.
    """
    path, fixations = Path(path), np.asarray(fixations, dtype=bool)
    if fixations.ndim != 2:
        raise InputError(f"{path}: a fixation map must have shape (H, W), got {fixations.shape}")
    if path.suffix not in (".png", ".mat"):
        raise InputError(f"{path}: fixation maps are written as .png or .mat")
    try:
        with replacing(path, sync=False) as temporary:
            if path.suffix == ".png":
                Image.fromarray(fixations.astype(np.uint8) * 255).save(temporary)
            else:
                savemat(temporary, {FIXATION_KEY: fixations.astype(np.uint8)}, do_compression=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error


def _kind(path: Path) -> MapFile:
    return MAP_FILES.get(path.suffix.lower(), MAP_FILES[".png"])


def _read_npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such map") from error
    except Exception as error:  # whatever a decoder of damaged files stumbles over
        raise InputError(f"{path}: is not a NumPy array that can be read ({error}); use numpy.save") from error


def _write_npy(path: Path, density: np.ndarray, peak: float | None, bits: Literal[8, 16]) -> None:
    np.save(path, density)


def _read_picture(path: Path) -> np.ndarray:
    if (plain := read_grey(path)) is not None:
        return plain
    try:
        with Image.open(path) as image:
            if image.mode in ("1", "L", "F") or image.mode.startswith("I"):
                return np.asarray(image)
            return np.asarray(image.convert("L" if image.mode in ("LA", "La") else "RGB"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such map") from error
    except Exception as error:  # whatever a decoder of damaged files stumbles over
        raise InputError(f"{path}: is not an image that can be read ({error})") from error


def _write_png(path: Path, density: np.ndarray, peak: float | None, bits: Literal[8, 16]) -> None:
    # Smooth maps: what changes from row to row, and runs of the same; half the work and the bytes of a search.
    coded, data = cv2.imencode(".png", to_grey(density, peak, bits), _PNG)
    if not coded:
        raise OSError(f"a map {density.shape} cannot be a PNG")
    path.write_bytes(data.tobytes())


def _grey(values: np.ndarray) -> np.ndarray:
    """The brightness of a picture (H, W), or (H, W, 3) uint8, in its own units, (H, W)."""
    return values if values.ndim == 2 else np.asarray(Image.fromarray(values).convert("L"))


MAP_FILES: Mapping[str, MapFile] = MappingProxyType(
    {
        ".png": MapFile(read=_read_picture, write=_write_png, picture=True),
        ".npy": MapFile(read=_read_npy, write=_write_npy),
    }
)
"""The one table of files that hold a map: suffix -> how they are read and written."""
