"""Which training videos are kept for validation where a data set has no validation split of its own."""

import hashlib
from collections.abc import Sequence

from saliency.errors import InputError


def held_out(names: Sequence[str], count: int) -> frozenset[str]:
    """Choose `count` names by the sha256 of each: the same ones whatever else is there.

    Raises:
        InputError: `count` leaves nothing to train on.
    """
    if count >= len(names):
        raise InputError(f"held_out={count} of {len(names)} training videos leaves none to train on; hold out fewer")
    return frozenset(sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())[:count])
