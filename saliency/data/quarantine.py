"""Training samples that cannot be used: replaced by others, named, counted, and fatal when there are too many.

Only training replaces; evaluation raises what is wrong with a sample.
"""

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from saliency.data.targets import Key, below, draws
from saliency.errors import InputError

log = logging.getLogger(__name__)

T = TypeVar("T")

ATTEMPTS = 10
"""How often a training sample that cannot be read is replaced before giving up."""

Problem = tuple[str, str]
"""Name of what cannot be used, and the reason."""


class Quarantine:
    """What was set aside so far, as seen by the process that makes the batches.

    Args:
        kind: what is counted, in the plural, for messages.
        size: how many there are.
        limit: how many may be unusable before training stops; default 1 %, at least one.

    Attributes:
        reasons: name -> why it cannot be used.
    """

    def __init__(self, kind: str, size: int, limit: int | None = None) -> None:
        self.kind = kind
        self.limit = max(1, size // 100) if limit is None else limit
        self.reasons: dict[str, str] = {}

    def add(self, problems: Iterable[Problem]) -> None:
        """Take note of samples that were replaced; each is told once.

        Raises:
            InputError: there are more than `limit`.
        """
        for name, reason in problems:
            if name not in self.reasons:
                self.reasons[name] = reason
                log.warning("%s is set aside (%d of the %s so far): %s", name, len(self.reasons), self.kind, reason)
        if len(self.reasons) > self.limit:
            raise InputError(
                f"{len(self.reasons)} {self.kind} cannot be used, more than the limit of {self.limit}, the last: "
                f"{list(self.reasons.values())[-1]}"
            )


def read_or_replace(
    key: Key, size: int, read: Callable[[int], T], name: Callable[[int], str]
) -> tuple[int, T, tuple[Problem, ...]]:
    """Read the sample of a training key, or the first usable one of its replacements, which follow from the key.

    Args:
        key: (seed, epoch, index).
        size: number of samples.
        read: reads the sample with an index; raises `InputError` or `OSError` where it cannot.
        name: name of the sample with an index.

    Returns:
        the index that was read, what was read, and what could not be.

    Raises:
        InputError: `ATTEMPTS` samples in a row cannot be used.
    """
    problems: list[Problem] = []
    words = draws(key)
    index = key[2]
    for _ in range(ATTEMPTS):
        try:
            return index, read(index), tuple(problems)
        except (InputError, OSError) as error:
            problems.append((name(index), str(error)))
        index = below(next(words), size)
    raise InputError(f"{ATTEMPTS} samples in a row cannot be used, the last: {problems[-1][1]}")
