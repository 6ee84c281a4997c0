"""Where the project keeps what it can make again."""

import os
from pathlib import Path

VARIABLE = "SALIENCY_CACHE"


def cache_folder() -> Path:
    """Return the folder: that of the environment variable SALIENCY_CACHE, else ``~/.cache/video-saliency``."""
    return Path(os.environ.get(VARIABLE) or "~/.cache/video-saliency").expanduser()
