"""The order in which samples that come in shards are visited: shuffled, but a few shards at a time."""

from collections.abc import Sequence

import numpy as np


def shard_order(shards: Sequence[int], *, seed: int, epoch: int, lanes: int, mixed: int) -> list[int]:
    """Return the order of an epoch: each sample once, a pure function of what is given.

    The shards are shuffled and dealt out to `lanes`. Each lane goes through its shards `mixed` at a time and shuffles
    the samples of these; sample k of the epoch is the next of lane k modulo `lanes`. When a lane has no more, the
    others go on without it. So at any time `lanes` times `mixed` shards are in use, and where the number of processes
    divides the lanes and the lanes divide what a step takes at once, each process needs the shards of its own lanes.

    Args:
        shards: the shard of each sample.
        seed: of the run.
        epoch: which epoch.
        lanes: at least 1.
        mixed: shards whose samples are mixed, at least 1.
    """
    rng = np.random.default_rng([seed, epoch])
    of_shard: dict[int, list[int]] = {}
    for sample, shard in enumerate(shards):
        of_shard.setdefault(shard, []).append(sample)
    order = [sorted(of_shard)[k] for k in rng.permutation(len(of_shard))]
    queues: list[list[int]] = []
    for lane in range(min(lanes, len(order))):
        own = order[lane::lanes]
        queue: list[int] = []
        for at in range(0, len(own), mixed):
            together = [sample for shard in own[at : at + mixed] for sample in of_shard[shard]]
            queue += [together[k] for k in rng.permutation(len(together))]
        queues.append(queue[::-1])  # popped from the end
    visited: list[int] = []
    while queues:
        for queue in queues:
            visited.append(queue.pop())
        queues = [queue for queue in queues if queue]
    return visited
