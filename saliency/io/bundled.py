"""The weights that come with the project."""

from pathlib import Path

import saliency
from saliency.errors import InputError

BUNDLED = Path(saliency.__file__).parent / "assets" / "weights"


def bundled_weights() -> Path:
    """Return the weights that come with the project.

    Raises:
        InputError: this copy has none, or several.
    """
    found = sorted(BUNDLED.glob("*.safetensors"))
    if not found:
        raise InputError("this copy comes without weights; name a file with --weights")
    if len(found) > 1:
        names = ", ".join(f.name for f in found)
        raise InputError(f"several weights come with this copy ({names}); choose one with --weights {found[0]}")
    return found[0]
