"""Typed changes of a config from the command line: ``key.path=value``, checked against the dataclasses."""

import dataclasses
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from saliency.errors import InputError, nearest

C = TypeVar("C")


def apply(config: C, overrides: Sequence[str]) -> C:
    """Return `config` with each ``key.path=value`` applied.

    A path goes through dataclass fields, dict keys and, in a tuple, positions or the `name` of an item:
    ``learners.vinet_s.optimizer.lr=1e-4``, ``stages.bi_kd.epochs=3``.

    Raises:
        InputError: the path names nothing (the nearest name is suggested) or the value has a wrong type.
    """
    for override in overrides:
        path, found, text = override.partition("=")
        if not found:
            raise InputError(f"'{override}' is not of the form key.path=value")
        config = _replace(config, path.split("."), text, path)
    return config


def options(config: Any, prefix: str = "") -> Iterator[tuple[str, str, Any]]:
    """Yield (path, type, current value) of everything that can be overridden."""
    for name, value, hint in _children(config):
        path = f"{prefix}{name}"
        if _has_children(value):
            yield from options(value, f"{path}.")
        else:
            yield path, _describe(hint), value


def _has_children(value: Any) -> bool:
    if dataclasses.is_dataclass(value):
        return True
    if isinstance(value, dict):
        return bool(value)
    return isinstance(value, tuple) and bool(value) and all(dataclasses.is_dataclass(item) for item in value)


def _children(value: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield (name, value, type hint) of the parts of a node."""
    if dataclasses.is_dataclass(value):
        hints = typing.get_type_hints(type(value))
        for field in dataclasses.fields(value):
            if field.init:
                yield field.name, getattr(value, field.name), hints[field.name]
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name, item, type(item)
    elif isinstance(value, tuple):
        for position, item in enumerate(value):
            yield getattr(item, "name", str(position)), item, type(item)


def _paths_to(node: Any, key: str) -> Iterator[str]:
    """Yield where, below a node, there is a part of this name."""
    for name, value, _ in _children(node):
        if _has_children(value):
            yield from (f"{name}.{key}" for part, _, _ in _children(value) if part == key)
            yield from (f"{name}.{path}" for path in _paths_to(value, key))


def _replace(node: Any, keys: list[str], text: str, path: str) -> Any:
    children = {name: (value, hint) for name, value, hint in _children(node)}
    if isinstance(node, tuple):  # positions work as well as names
        children |= {str(i): (item, type(item)) for i, item in enumerate(node)}
    key, rest = keys[0], keys[1:]
    if key not in children:
        known = ", ".join(children) or "nothing below it"
        near = nearest(key, children)
        if not near and (deeper := next(_paths_to(node, key), None)):
            near = f"; did you mean '{path.removesuffix('.'.join(keys))}{deeper}'?"
        raise InputError(f"unknown option '{path}': '{key}' is not one of: {known}{near}")
    value, hint = children[key]
    if rest:
        if not _has_children(value):
            raise InputError(f"unknown option '{path}': '{key}' holds {value!r} and has no parts")
        new = _replace(value, rest, text, path)
    elif _has_children(value) and text.lower() != "none":
        parts = ", ".join(name for name, _, _ in _children(value))
        raise InputError(f"option '{path}' is a group; set one of its parts: {parts}")
    else:
        new = _parse(text, hint, path)
    if isinstance(node, dict):
        return {**node, key: new}
    if isinstance(node, tuple):
        return tuple(new if item is value else item for item in node)
    try:
        return dataclasses.replace(node, **{key: new})
    except ValueError as error:
        raise InputError(f"option '{path}={text}' is refused: {error}") from error


def _parse(text: str, hint: Any, path: str) -> Any:
    """Read `text` as a value of type `hint`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        for argument in sorted(arguments, key=lambda a: a is not type(None)):  # 'none' before text
            try:
                return _parse(text, argument, path)
            except InputError:
                continue
    elif origin is Literal:
        for choice in arguments:
            if text == str(choice):
                return choice
    elif origin is tuple:
        parts = [part.strip() for part in text.strip("()[] ").split(",") if part.strip()]
        kinds = [arguments[0]] * len(parts) if arguments[-1] is Ellipsis else list(arguments)
        if len(parts) == len(kinds):
            return tuple(_parse(part, kind, path) for part, kind in zip(parts, kinds, strict=True))
    elif hint is type(None):
        if text.lower() == "none":
            return None
    elif hint is bool:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
    elif hint in (int, float, str, Path):
        try:
            return hint(text)
        except ValueError:
            pass
    raise InputError(f"option '{path}' expects {_describe(hint)}, got '{text}'")


def _describe(hint: Any) -> str:
    """Return a type hint in words a user reads."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_describe(argument) for argument in arguments)
    if origin is Literal:
        return "one of " + ", ".join(str(choice) for choice in arguments)
    if origin is tuple:
        return "values like " + ",".join(_describe(a) for a in arguments if a is not Ellipsis)
    if hint is type(None):
        return "none"
    return {bool: "true or false", int: "int", float: "float", str: "text", Path: "a path"}.get(
        hint, getattr(hint, "__name__", str(hint))
    )
