"""Configs as JSON and back: every dataclass carries its class path, so a dump re-creates the run."""

import dataclasses
import hashlib
import importlib
import json
import sys
from pathlib import Path
from typing import Any

from saliency.errors import InputError

CLASS_KEY = "class"
PATH_KEY = "path"


def encode(value: Any) -> Any:
    """Turn a tree of dataclasses, dicts, tuples, paths and plain values into JSON-ready data.

    Raises:
        TypeError: a value has no JSON form.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        fields = {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
        return {CLASS_KEY: f"{kind.__module__}:{kind.__qualname__}", **fields}
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    if isinstance(value, Path):
        return {PATH_KEY: str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a config holds plain values and dataclasses, not {type(value).__name__}: {value!r}")


def decode(data: Any) -> Any:
    """Rebuild what `encode` wrote; JSON lists become tuples.

    Raises:
        InputError: a class is not part of this package or of an imported module, or has other fields.
    """
    if isinstance(data, list):
        return tuple(decode(item) for item in data)
    if not isinstance(data, dict):
        return data
    if set(data) == {PATH_KEY}:
        return Path(data[PATH_KEY])
    fields = {key: decode(item) for key, item in data.items() if key != CLASS_KEY}
    if CLASS_KEY not in data:
        return fields
    try:
        return _find_class(data[CLASS_KEY])(**fields)
    except TypeError as error:
        raise InputError(f"config of {data[CLASS_KEY]} does not fit this version: {error}") from error


def _find_class(path: str) -> type:
    """Import a config class; only from this package or from what the caller already imported."""
    module_name, _, qualname = path.partition(":")
    if module_name.split(".")[0] == "saliency":
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            raise InputError(f"config class {path} is not in this version of the package") from error
    elif module_name in sys.modules:
        module = sys.modules[module_name]
    else:
        raise InputError(f"config class {path} comes from another module; import {module_name} first")
    kind: Any = module
    for part in qualname.split("."):
        kind = getattr(kind, part, None)
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise InputError(f"config class {path} does not exist or is not a dataclass")
    return kind


def dumps(value: Any) -> str:
    """Return `value` as indented JSON text."""
    return json.dumps(encode(value), indent=2)


def digest(value: Any) -> str:
    """Return a sha256 (hex) of the config's content."""
    return hashlib.sha256(json.dumps(encode(value), sort_keys=True).encode()).hexdigest()
