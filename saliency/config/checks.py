"""What the dataclasses of a run refuse as soon as they are made: numbers that cannot be, names that are no names."""

import math
import typing
from typing import Any, Literal

from saliency.errors import InputError, nearest

NAME_LIMIT = 100
"""Bytes of a name that becomes a part of the names of files and folders."""
RESERVED = ("tensorboard", "results", "overlays")
"""Folders of a run that no stage may be called."""


def choices(thing: Any) -> None:
    """Refuse a value that is none of those its field lists, and a flag that is neither True nor False.

    Args:
        thing: a dataclass.

    Raises:
        InputError: names the field and what it takes.
    """
    for name, hint in typing.get_type_hints(type(thing)).items():
        value = getattr(thing, name)
        if typing.get_origin(hint) is Literal and value not in typing.get_args(hint):
            known = [str(each) for each in typing.get_args(hint)]
            raise InputError(f"{name} is {value!r}{nearest(str(value), known)}; choose {' or '.join(known)}")
        if hint is bool and not isinstance(value, bool):
            raise InputError(f"{name} must be True or False, got {value!r}")


def counts(thing: Any, **least: int) -> None:
    """Refuse a field that is no whole number or below its least value; None where the field may be None.

    Raises:
        InputError: names the field and the least value.
    """
    hints = typing.get_type_hints(type(thing))
    for name, lowest in least.items():
        value = getattr(thing, name)
        if value is None and type(None) in typing.get_args(hints[name]):
            continue
        if type(value) is not int:
            raise InputError(f"{name} must be a whole number, got {value!r}")
        if value < lowest:
            raise InputError(f"{name} must be at least {lowest}, got {value}")


def most(thing: Any, **highest: int) -> None:
    """Refuse a field above its highest value; None where the field may be None.

    Raises:
        InputError: names the field and the highest value.
    """
    for name, limit in highest.items():
        value = getattr(thing, name)
        if value is not None and value > limit:
            raise InputError(f"{name} must be at most {limit}, got {value}")


def reals(thing: Any, **least: float) -> None:
    """Refuse a field that is no finite number or below its least value; None where the field may be None.

    Raises:
        InputError: names the field and the least value.
    """
    hints = typing.get_type_hints(type(thing))
    for name, lowest in least.items():
        value = getattr(thing, name)
        if value is not None or type(None) not in typing.get_args(hints[name]):
            real(name, value, lowest)


def real(what: str, value: object, lowest: float) -> None:
    """Refuse what is no finite number or below `lowest`.

    Raises:
        InputError: names it.
    """
    if type(value) not in (int, float) or not math.isfinite(typing.cast(float, value)):
        raise InputError(f"{what} must be a finite number, got {value!r}")
    if typing.cast(float, value) < lowest:
        raise InputError(f"{what} must be at least {lowest:g}, got {value}")


def file_name(what: str, name: object) -> None:
    """Refuse a name that cannot be a part of the name of a file.

    Raises:
        InputError: says what is wrong with it.
    """
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{what} needs a name, got {name!r}")
    odd = "".join(dict.fromkeys(c for c in name if c in '/\\:*?"<>|' or not c.isprintable()))
    if odd or name.startswith(".") or len(name.encode()) > NAME_LIMIT:
        why = f"it has {odd!r}" if odd else "it is too long" if len(name) > 40 else "it starts with a dot"
        raise InputError(f"{what} '{name[:60]}' cannot be a part of the name of a file: {why}; choose a plain one")
