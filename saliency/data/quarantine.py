"""Training samples that cannot be used: replaced by others, named, counted, and fatal when there are too many.

Only training replaces; evaluation raises what is wrong with a sample.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from saliency.data.targets import Key, below, draws
from saliency.errors import InputError, MissingData

log = logging.getLogger(__name__)

C = TypeVar("C")
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
    candidates: Iterable[C], read: Callable[[C], T], name: Callable[[C, Exception], str]
) -> tuple[C, T, tuple[Problem, ...]]:
    """Read a training sample, or the first usable one of its replacements.

    Args:
        candidates: the sample and its replacements, which follow from its key; the first `ATTEMPTS` are tried.
        read: reads one; raises `InputError` or `OSError` where it cannot.
        name: name of what cannot be used, given the candidate and what was raised; empty where nothing is to be set
            aside for it.

    Returns:
        the candidate that was read, what was read, and what could not be.

    Raises:
        InputError: none of them can be used.
        MissingData: what a sample needs cannot be had now; that is no damage, and no other sample takes its place.
    """
    problems: list[Problem] = []
    for candidate in islice(candidates, ATTEMPTS):
        try:
            return candidate, read(candidate), tuple(problems)
        except MissingData:
            raise
        except (InputError, OSError) as error:
            problems.append((name(candidate, error), str(error)))
    raise InputError(f"{len(problems)} samples in a row cannot be used, the last: {problems[-1][1]}")


def indices(key: Key, size: int) -> Iterator[int]:
    """Yield the index of a training key (seed, epoch, index), then those of its replacements among `size` samples."""
    words = draws(key)
    yield key[2]
    while True:
        yield below(next(words), size)
