"""What somebody wants to know of a video, as it arrives over HTTP: checked, and without any way to name files here."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from saliency.attention.report import Wishes
from saliency.errors import InputError, nearest

_MOST_REGIONS, _MOST_CORNERS, _MOST_THUMBNAILS = 20, 100, 10
FILES_OF_MAPS = ("mp4", "npz")
"""The formats of maps that are one file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to measure.

    Attributes:
        model: name of one that the server offers; empty: its default one.
        regions: name -> left, top, width and height, or corners (x, y) of a polygon; in pixels of the picture.
        crop: shape of a re-framed film, such as ``"9:16"``; empty: none.
        thumbnails: how many.
        maps: ``"mp4"`` (grey) or ``"npz"`` also writes the maps; empty: none.
    """

    model: str = ""
    regions: Mapping[str, Sequence[Any]]
    crop: str = ""
    thumbnails: int = 0
    maps: str = ""

    def wishes(self) -> Wishes:
        """Return the same in the words of a report."""
        return Wishes(
            regions=[f"{name}={_written(value)}" for name, value in self.regions.items()],
            crop=self.crop or None,
            thumbnails=self.thumbnails,
            maps=self.maps or None,
        )


def parse_order(given: object, models: Sequence[str]) -> Order:
    """Return the order that a JSON object holds.

    Args:
        given: with the keys of `Order`, each of which may be left out.
        models: names that the server offers.

    Raises:
        InputError: it is another thing, or a value is out of range.
    """
    if not isinstance(given, dict):
        raise InputError('an order is a JSON object such as {"regions": {"logo": [10, 20, 200, 80]}}')
    known = [field.name for field in fields(Order)]
    for key in given:
        if key not in known:
            raise InputError(f"an order has no '{key}'{nearest(str(key), known)}; it has {', '.join(known)}")
    for key in ("model", "crop", "maps"):
        if not isinstance(given.get(key, ""), str):
            raise InputError(f"{key} must be a text")
    order = Order(
        model=given.get("model", ""),
        regions=_regions(given.get("regions", {})),
        crop=given.get("crop", ""),
        thumbnails=_thumbnails(given.get("thumbnails", 0)),
        maps=given.get("maps", ""),
    )
    if order.model and order.model not in models:
        raise InputError(f"this server has no model '{order.model}'; it has {', '.join(models)}")
    if order.maps and order.maps not in FILES_OF_MAPS:
        raise InputError(f"maps must be {' or '.join(FILES_OF_MAPS)}, got '{order.maps}'")
    return order


def _thumbnails(given: object) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given <= _MOST_THUMBNAILS:
        raise InputError(f"thumbnails must be a whole number from 0 to {_MOST_THUMBNAILS}")
    return given


def _regions(given: object) -> dict[str, Sequence[Any]]:
    if not isinstance(given, dict) or len(given) > _MOST_REGIONS:
        raise InputError(f"regions must be a JSON object of at most {_MOST_REGIONS} names")
    for name, value in given.items():
        if "=" in name:
            raise InputError(f"region {name}: its name must not hold '='")
        if not (_numbers(value, 4) or _corners(value)):
            raise InputError(
                f"region {name}: must be [left, top, width, height] or at least three corners [[x, y], …], in pixels"
            )
    return given


def _corners(value: object) -> bool:
    return isinstance(value, list) and 3 <= len(value) <= _MOST_CORNERS and all(_numbers(v, 2) for v in value)


def _numbers(value: object, count: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) == count
        and all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in value)
    )


def _written(value: Sequence[Any]) -> str:
    corners = value if isinstance(value[0], list) else [value]
    return ":".join(",".join(f"{number:.10g}" for number in corner) for corner in corners)
