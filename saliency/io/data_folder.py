"""Where the open data lies that `saliency data get` downloads."""

import os
import sys
from pathlib import Path

from saliency.errors import MissingData

VARIABLE = "SALIENCY_DATA"


def data_folder() -> Path:
    """Return the folder of downloaded data: that of the environment variable SALIENCY_DATA, else a cache folder.

    The cache folder is where the platform wants it: ``~/.cache/saliency/data`` (XDG_CACHE_HOME moves it),
    ``~/Library/Caches/saliency/data`` on macOS, ``%LOCALAPPDATA%/saliency/data`` on Windows.
    """
    if given := os.environ.get(VARIABLE):
        return Path(given).expanduser().absolute()
    if sys.platform == "win32":
        caches = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        caches = Path.home() / "Library" / "Caches"
    else:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "saliency" / "data"


def find_data(name: str, folder: str, needed: str) -> Path:
    """Return the folder of a downloaded set.

    Args:
        name: what ``saliency data get`` calls it.
        folder: its folder below `data_folder`.
        needed: a file below that folder without which the set is not there.

    Raises:
        MissingData: it is not on this machine.
    """
    found = data_folder() / folder
    if not (found / needed).exists():
        raise MissingData(f"{name} is not on this machine ({found / needed}); get it with: saliency data get {name}")
    return found
