"""One way in for the files of all eye trackers."""

from pathlib import Path
from typing import Literal

from saliency.errors import InputError
from saliency.gaze.export_tables import Table, read_table
from saliency.gaze.eyelink import read_eyelink
from saliency.gaze.gaze_samples import GazeSamples
from saliency.gaze.vendors import VENDORS, to_samples

Format = Literal["auto", "tobii", "pupil", "eyelink", "gazepoint", "csv"]

_SIGNS = {
    "tobii": ("gaze point x", "gazepointx"),
    "pupil": ("norm_pos_x", "x_norm", "gaze x", "gaze position on surface x"),
    "gazepoint": ("bpogx", "fpogx"),
}
"""A column that only this vendor's tables have."""


def read(path: str | Path, format: Format = "auto", *, screen: tuple[int, int] | None = None) -> list[GazeSamples]:
    """Read the file of an eye tracker: the gaze of each viewer in it.

    Args:
        path: an export as text.
        format: whose; ``auto`` tells by the file's ending and columns.
        screen: (H, W) in pixels of the screen, or of the scene camera's picture, where positions are shares of it.

    Returns:
        One entry a viewer, in seconds and pixels of the screen; samples without an eye are NaN.

    Raises:
        InputError: the file cannot be read or is not what it should be.

    Example:
        >>> from saliency import gaze
        >>> gaze.read("P01.asc")  # doctest: +SKIP
    """
    path = Path(path)
    if format == "eyelink" or (format == "auto" and path.suffix.lower() == ".asc"):
        return [read_eyelink(path)]
    table = read_table(path)
    name = vendor(table) if format == "auto" else format
    if name not in VENDORS:
        raise InputError(f"no format '{format}'; use {', '.join(('auto', *VENDORS, 'eyelink'))}")
    return to_samples(table, VENDORS[name](table), screen)


def vendor(table: Table) -> str:
    """Tell whose table it is by its columns; ``csv`` is anybody's."""
    return next((name for name, signs in _SIGNS.items() if any(table.find(sign) for sign in signs)), "csv")
