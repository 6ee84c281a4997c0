"""Which samples make which step: a pure function of (seed, epoch, position), so resuming needs one number."""

import functools
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from saliency.data.targets import Key


def seed_of(*parts: int | str) -> int:
    """Return a 63-bit seed that depends on every part and on nothing else."""
    text = "\0".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@functools.lru_cache(maxsize=4)  # the steps of an epoch ask for the same order
def epoch_order(seed: int, epoch: int, size: int) -> list[int]:
    """Return the order in which an epoch visits `size` samples."""
    return np.random.default_rng(seed_of("order", seed, epoch)).permutation(size).tolist()


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The steps of a stage as lists of sample keys; what a loader iterates over.

    Attributes:
        seed: seed of the run.
        size: samples in an epoch.
        epochs: number of epochs.
        batch_size: samples of a step over all processes. An epoch's incomplete last step is left out (its
            samples come up in another epoch), unless it would be the only one.
        accumulate: parts into which a step is split.
        first: step to begin with (0-based, counted over the stage).
        rank: this process.
        world: number of processes; each takes every `world`-th sample of a part.
        offset: epochs already spent in earlier stages, so that stages see different samples.
        order: (seed, epoch) -> the order in which the epoch visits the samples; None, or where it returns None: that
            of `epoch_order`.
    """

    seed: int
    size: int
    epochs: int
    batch_size: int
    accumulate: int = 1
    first: int = 0
    rank: int = 0
    world: int = 1
    offset: int = 0
    order: Callable[[int, int], list[int] | None] | None = None
    _orders: dict[int, list[int]] = field(default_factory=dict, init=False, compare=False, repr=False)

    @property
    def per_epoch(self) -> int:
        """Steps in an epoch."""
        return max(1, self.size // self.batch_size)

    @property
    def total(self) -> int:
        """Steps in the stage."""
        return self.per_epoch * self.epochs

    def step(self, number: int) -> list[list[Key]]:
        """Return the parts of a step, over all processes."""
        epoch, position = divmod(number, self.per_epoch)
        epoch += self.offset
        indices = self._order(epoch)[position * self.batch_size : (position + 1) * self.batch_size]
        part = -(-self.batch_size // self.accumulate)
        return [[(self.seed, epoch, i) for i in indices[at : at + part]] for at in range(0, len(indices), part)]

    def _order(self, epoch: int) -> list[int]:
        given = self._orders.get(epoch) or (self.order(self.seed, epoch) if self.order is not None else None)
        if given is None:
            return epoch_order(self.seed, epoch, self.size)
        if epoch not in self._orders:
            self._orders.clear()  # the steps of an epoch ask for the same order
            self._orders[epoch] = given
        return given

    def __iter__(self) -> Iterator[list[Key]]:
        for number in range(self.first, self.total):
            for part in self.step(number):
                yield part[self.rank :: self.world]
