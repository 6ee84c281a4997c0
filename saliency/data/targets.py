"""Which frames of a video may be the target frame: rules, the ones published, and the random draw.

A rule is two numbers and a step. The frames `lead .. n - tail - 1` of a video of n frames may be drawn in
training; every `step`-th of them is scored in validation. Everything is 0-based.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Key = tuple[int, int, int]
"""(seed, epoch, index): all that decides which training sample is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """The frames of a video that may be targets.

    Attributes:
        lead: frames at the start that are never a target (31: only full causal windows of 32 frames).
        tail: frames at the end that are never a target.
        step: distance between two targets.
        short: what a video gives that is too short for the rule: nothing, its last frame or its middle one.
    """

    lead: int = 0
    tail: int = 0
    step: int = 1
    short: Literal["none", "last", "middle"] = "none"

    def __post_init__(self) -> None:
        if self.lead < 0 or self.tail < 0 or self.step < 1:
            raise ValueError(f"lead and tail must be >= 0 and step >= 1, got {self}")

    def of(self, num_frames: int) -> range:
        """Return the targets of a video of `num_frames` frames, in increasing order."""
        targets = range(self.lead, num_frames - self.tail, self.step)
        if len(targets) or num_frames < 1 or self.short == "none":
            return targets
        only = num_frames - 1 if self.short == "last" else num_frames // 2
        return range(only, only + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """The target rules of a training run: where training draws and what validation scores."""

    train: Targets = field(default_factory=Targets)
    val: Targets = field(default_factory=Targets)


HOUSE = Sampling(val=Targets(lead=15, step=32, short="middle"))
"""Our default: any frame in training; in validation every 32nd, at least one in every video."""

# The rules of the published training code (docs/datasets.md says where they differ and why it matters).
BI_KD_DHF1K = Sampling(val=Targets(tail=64, step=32))
BI_KD_HOLLYWOOD2 = Sampling(train=Targets(tail=32), val=Targets(tail=32, step=64))
VINET_A_DHF1K = Sampling(val=Targets(tail=64, step=32, short="middle"))
VINET_A_HOLLYWOOD2 = Sampling(val=Targets(tail=64, step=64))
VINET_S_DHF1K = Sampling(train=Targets(lead=31), val=Targets(lead=31, tail=1, step=128))
VINET_S_HOLLYWOOD2 = Sampling(
    train=Targets(lead=31, tail=1, short="last"), val=Targets(lead=31, tail=1, step=32, short="last")
)
VINET_S_UCF_SPORTS = Sampling(train=Targets(lead=31, short="last"), val=Targets(lead=31, tail=1, step=32, short="last"))
TMFI_NET_DHF1K = Sampling(train=Targets(lead=31), val=Targets(lead=31, tail=1, step=32))
TMFI_NET_HOLLYWOOD2 = VINET_S_UCF_SPORTS
TMFI_NET_UCF_SPORTS = VINET_S_UCF_SPORTS


def val_targets(num_frames: Sequence[int], rule: Targets = HOUSE.val) -> list[tuple[int, int]]:
    """List the (video position, target frame) pairs that `rule` gives for videos of these lengths."""
    return [(video, frame) for video, n in enumerate(num_frames) for frame in rule.of(n)]


def draws(key: Key) -> Iterator[int]:
    """Yield uniform 64-bit integers, the same ones for the same key on every machine and in any process.

    They are the raw words of the counter-based generator Philox, which are fixed by its definition.
    """
    seed, epoch, index = key
    words = np.random.Philox(key=np.array([seed & (2**64 - 1), (epoch << 32) | index], dtype=np.uint64))
    while True:
        yield int(words.random_raw())


def below(draw: int, n: int) -> int:
    """Map a uniform 64-bit integer to 0 .. n - 1 (bias below n / 2**64)."""
    return (draw * n) >> 64
