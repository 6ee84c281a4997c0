"""The one way from configs to JSON and back: every dataclass carries its class path.

``{"class": "saliency.models.vinet_s:ViNetSConfig", "width": 1.0, ...}``. Weights files of before held the fields apart,
``{"class": ..., "fields": {...}}``; these are read as well, and so are classes whose module has moved since.
"""

import dataclasses
import hashlib
import importlib
import json
import sys
from pathlib import Path
from typing import Any

from saliency.errors import InputError

CLASS_KEY = "class"
FIELDS_KEY = "fields"
PATH_KEY = "path"

MOVED = {
    "saliency.datasets.clips": "saliency.data.clips",
    "saliency.datasets.segmentation": "saliency.data.labelled_images",
    "saliency.datasets.targets": "saliency.data.targets",
}
"""Modules of config classes: where they were, where they are. What was once written must stay readable."""

RENAMED = {
    "saliency.datasets.dhf1k:DHF1K": {"backend": "decoder"},
    "saliency.datasets.folder:Folder": {"backend": "decoder"},
}
"""Fields of config classes of today: what they were called, what they are called."""


def encode(value: Any) -> Any:
    """Turn a tree of dataclasses, dicts, tuples, paths and plain values into JSON-ready data.

    Raises:
        InputError: a value has no JSON form.
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
    raise InputError(
        f"a config cannot hold a {type(value).__name__}; use numbers, text, paths, tuples, dicts and dataclasses"
    )


def decode(data: Any, name: str = "config") -> Any:
    """Rebuild what `encode` wrote; JSON lists become tuples.

    Only dataclasses of this package, or of modules that are already imported, are built.

    Args:
        data: what `json.loads` gives.
        name: what to call its source in messages.

    Raises:
        InputError: a class is unknown, has other fields or refuses its values.
    """
    if isinstance(data, list):
        return tuple(decode(item, name) for item in data)
    if not isinstance(data, dict):
        return data
    if set(data) == {PATH_KEY}:
        return Path(data[PATH_KEY])
    if CLASS_KEY not in data:
        return {key: decode(item, name) for key, item in data.items()}
    kind = _find_class(data[CLASS_KEY], name)
    renamed = RENAMED.get(_today(data[CLASS_KEY]), {})
    given = {renamed.get(key, key): item for key, item in _fields(data).items()}
    known = {field.name for field in dataclasses.fields(kind)}
    if unknown := sorted(given.keys() - known):
        raise InputError(f"{name}: {kind.__name__} has no {unknown[0]!r}; was it saved by a newer version?")
    values = {key: decode(item, name) for key, item in given.items()}
    try:
        return kind(**values)
    except InputError:
        raise
    except (TypeError, ValueError, AttributeError) as error:
        told = " ".join(str(error).split())
        raise InputError(f"{name}: {kind.__name__} of this version refuses its values ({told})") from error


def upgraded(data: Any) -> Any:
    """Return what `encode` would write today of a config that `encode` wrote earlier.

    Classes have the names and fields of today. What can no longer be built keeps its fields as they are.
    """
    try:
        return encode(decode(data))
    except InputError:
        if isinstance(data, list):
            return [upgraded(item) for item in data]
        if not isinstance(data, dict):
            return data
        if CLASS_KEY not in data:
            return {key: upgraded(item) for key, item in data.items()}
        fields = {key: upgraded(item) for key, item in _fields(data).items()}
        return {CLASS_KEY: _today(str(data[CLASS_KEY])), **fields}


def dumps(value: Any) -> str:
    """Return `value` as indented JSON text."""
    return json.dumps(encode(value), indent=2)


def loads(text: str, name: str = "config") -> Any:
    """Return what JSON text of `encode` describes.

    Args:
        text: the JSON.
        name: what to call its source in messages.

    Raises:
        InputError: it is no JSON, or see `decode`.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: its config cannot be read, it is no JSON ({error})") from error
    return decode(data, name)


def digest(value: Any) -> str:
    """Return a sha256 (hex) of the config's content."""
    return hashlib.sha256(json.dumps(encode(value), sort_keys=True).encode()).hexdigest()


def _fields(data: dict[str, Any]) -> dict[str, Any]:
    """The fields of an encoded dataclass, in either way of writing them."""
    fields = data.get(FIELDS_KEY)
    if data.keys() == {CLASS_KEY, FIELDS_KEY} and isinstance(fields, dict) and CLASS_KEY not in fields:
        return fields
    return {key: item for key, item in data.items() if key != CLASS_KEY}


def _today(path: str) -> str:
    """The class path of today."""
    module, colon, qualname = path.partition(":")
    return f"{MOVED.get(module, module)}{colon}{qualname}"


def _find_class(path: Any, name: str) -> type:
    """Import a config class; only from this package or from what the caller already imported."""
    if not isinstance(path, str):
        raise InputError(f"{name}: {path!r} is no class path such as saliency.types:InputSpec")
    module_name, _, qualname = _today(path).partition(":")
    if module_name.split(".")[0] == "saliency":
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            raise InputError(f"{name}: its config class {path} is not in this version of the package") from error
    elif module_name in sys.modules:
        module = sys.modules[module_name]
    else:
        raise InputError(f"{name}: its config class {path} comes from another module; import {module_name} first")
    kind: Any = module
    for part in qualname.split("."):
        kind = getattr(kind, part, None)
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise InputError(f"{name}: its config class {path} does not exist or is not a dataclass")
    return kind
