"""The folder a data set lies in."""

import os
from pathlib import Path

from saliency.errors import InputError


def find_root(
    name: str, root: Path | str | None, variable: str, parts: tuple[str, ...], tree: str, source: str
) -> Path:
    """Return the folder of a data set, from the option or the environment variable.

    Args:
        name: what messages call the data set.
        root: the folder; None takes the one the environment variable names.
        variable: the environment variable.
        parts: folders of which at least one must be in it.
        tree: what is expected in it, for messages.
        source: where to get it, for messages.

    Raises:
        InputError: neither is given, or none of `parts` is below it.
    """
    given = Path(root) if root else (Path(os.environ[variable]) if os.environ.get(variable) else None)
    where = f"expected below it: {tree}; {name} is at {source}"
    if given is None:
        raise InputError(f"{name} has no folder: set the option `root` or the environment variable {variable}; {where}")
    given = given.expanduser()
    if not any((given / part).is_dir() for part in parts):
        state = "holds no " + " or ".join(parts) if given.is_dir() else "does not exist"
        below = sorted(given.iterdir()) if given.is_dir() else []
        if inner := next((path for path in below if any((path / part).is_dir() for part in parts)), None):
            state += f" (but {inner} does)"
        raise InputError(f"{name}: {given} {state}; correct the option `root` or {variable}; {where}")
    return given
