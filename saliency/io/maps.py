"""Read and write saliency (density) maps and fixation maps: PNG, NPY and Matlab files.

PNG and NPY density maps are compared by their shape only, so a scale does not matter to the metrics; the
readers return images in [0, 1] and arrays as they are.
"""

from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, UnidentifiedImageError
from scipy.io import savemat

from saliency.errors import InputError
from saliency.io.atomic import replacing
from saliency.io.matlab import read_matrix

FIXATION_KEY = "I"
"""Name of the binary map in the .mat files of DHF1K, Hollywood-2 and UCF Sports."""


def read_density(path: str | Path) -> np.ndarray:
    """Read a saliency or density map, float32 (H, W) >= 0.

    Args:
        path: ``.npy`` (returned as it is) or an image: 8-bit / 255, 16-bit / 65535, colour turned to grey.

    Raises:
        InputError: not such a file, or negative or non-finite values.
    """
    path = Path(path)
    values = _read_npy(path) if path.suffix.lower() == ".npy" else _read_grey(path)
    if not np.isfinite(values).all() or values.min(initial=0.0) < 0:
        raise InputError(f"{path}: has negative or non-finite values; a density map is >= 0")
    return values


def write_density(path: str | Path, density: np.ndarray, peak: float | None = None, bits: Literal[8, 16] = 8) -> None:
    """Write a map (H, W) >= 0 as ``.npy`` (float32, values kept) or ``.png``.

    Args:
        path: file to write; the suffix chooses the format.
        density: the map.
        peak: value that becomes white in a PNG; None: the map's maximum, which uses the bits best and changes
            no metric that ignores the scale. An all-zero map stays black.
        bits: of a PNG.

    Raises:
        InputError: another suffix, wrong shape, negative or non-finite values, or it cannot be written; then an older
            file of that name stays as it was.
    """
    path, density = Path(path), np.asarray(density)
    if density.ndim != 2:
        raise InputError(f"{path}: a map to write must have shape (H, W), got {density.shape}")
    if not np.isfinite(density).all() or density.min(initial=0.0) < 0:
        raise InputError(f"{path}: a map to write must be finite and >= 0")
    if path.suffix not in (".npy", ".png"):
        raise InputError(f"{path}: maps are written as .png or .npy")
    try:
        with replacing(path, sync=False) as temporary:
            if path.suffix == ".npy":
                np.save(temporary, density.astype(np.float32))
            else:
                Image.fromarray(to_grey(density, peak, bits)).save(temporary, compress_level=1)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error


def to_grey(density: np.ndarray, peak: float | None = None, bits: Literal[8, 16] = 8) -> np.ndarray:
    """Scale a map >= 0 to uint8 or uint16: `peak` (default: the map's maximum) becomes the highest value."""
    kind = np.uint8 if bits == 8 else np.uint16
    top = float(density.max(initial=0.0)) if peak is None else peak
    if top <= 0:
        return np.zeros(density.shape, dtype=kind)
    return np.rint(np.clip(density / top, 0, 1) * np.iinfo(kind).max).astype(kind)


def read_fixations(path: str | Path) -> np.ndarray:
    """Read a fixation map, bool (H, W), True where the value is > 0.

    Args:
        path: an image, or a Matlab file with the map under the name ``I``.

    Raises:
        InputError: not such a file.
    """
    path = Path(path)
    if path.suffix.lower() != ".mat":
        return _read_grey(path) > 0
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


def _read_npy(path: Path) -> np.ndarray:
    try:
        values = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such map") from error
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{path}: is not a NumPy array that can be read ({error})") from error
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind not in "fiub":
        raise InputError(f"{path}: must hold one array of numbers with shape (H, W)")
    return values.astype(np.float32)


def _read_grey(path: Path) -> np.ndarray:
    """Read an image as float32 (H, W) in [0, 1]."""
    try:
        with Image.open(path) as image:
            if image.mode.startswith("I"):
                return np.asarray(image).astype(np.float32) / 65535
            if image.mode == "1":
                return np.asarray(image).astype(np.float32)
            return np.asarray(image if image.mode == "L" else image.convert("L")).astype(np.float32) / 255
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such map") from error
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
        raise InputError(f"{path}: is not an image that can be read ({error})") from error
