"""What is added up while training and validating, and read once in a while."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from saliency.runtime.distributed import World
from saliency.tasks.base import Task, Totals


class Meter:
    """Running means of losses and of who taught, kept on the device until they are read."""

    def __init__(self, names: Sequence[str], device: torch.device) -> None:
        self.names = list(names)
        self.device = device
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        zeros = torch.zeros(len(self.names), device=self.device, dtype=torch.float64)
        self.loss, self.count, self.taught = zeros.clone(), zeros.clone(), zeros.clone()
        self.transfer = zeros.new_zeros(())
        self.samples = 0

    def state(self) -> list[Any]:
        """Return what `set_state` takes: JSON data."""
        sums = torch.stack([self.loss, self.count, self.taught]).tolist()
        return [*sums, float(self.transfer), self.samples]

    def set_state(self, state: Sequence[Any]) -> None:
        """Go on from a state."""
        self.loss, self.count, self.taught, self.transfer = (
            torch.tensor(value, dtype=torch.float64, device=self.device) for value in state[:4]
        )
        self.samples = state[4]

    @torch.no_grad()
    def add(self, losses: Mapping[str, Tensor], transfer: Tensor, teachers: Tensor, order: list[str]) -> None:
        """Add a batch: losses (B,) by learner, transfer (B,), teachers (K, B) in the given order."""
        for row, name in enumerate(order):
            k = self.names.index(name)
            value = losses[name].detach().double()
            valid = torch.isfinite(value)
            self.loss[k] += torch.where(valid, value, 0.0).sum()
            self.count[k] += valid.sum()
            self.taught[k] += teachers[row].sum()
        self.transfer += torch.nan_to_num(transfer.detach().double()).sum()
        self.samples += transfer.numel()

    def read(self, world: World, *, transfer: bool = True) -> dict[str, float]:
        """Return the means since the last reading, over the samples of all processes, and start anew.

        Args:
            world: all processes.
            transfer: whether somebody may have taught; else nothing is said of it.
        """
        sums = torch.stack([self.loss, self.count, self.taught]).cpu()
        shards = world.gather((sums, float(self.transfer), self.samples))
        sums = torch.stack([shard[0] for shard in shards]).sum(0)
        samples = max(1, sum(shard[2] for shard in shards))
        loss, taught = (sums[0] / sums[1]).tolist(), (sums[2] / samples).tolist()
        values = {f"loss/{name}": value for name, value in zip(self.names, loss, strict=True)}
        if transfer:
            values |= {f"taught/{name}": value for name, value in zip(self.names, taught, strict=True)}
            values["transfer"] = sum(shard[1] for shard in shards) / samples
        self.reset()
        return values


class Tally:
    """Collects a model's scores over a data set, exactly once per sample."""

    def __init__(self, task: Task[Any]) -> None:
        self.task = task
        self.values: dict[str, list[Tensor]] = {name: [] for name in ("loss", *task.metrics)}
        self.totals: dict[str, Tensor] = {}

    def add(self, pred: Any, target: Any) -> None:
        """Score a batch of predictions on the target's grid."""
        self.values["loss"].append(self.task.loss(pred, target).double())
        for name, metric in self.task.metrics.items():
            self.values[name].append(metric(pred, target).double())
        if isinstance(self.task, Totals):
            for name, counts in self.task.totals(pred, target).items():
                summed = counts.sum(0)
                self.totals[name] = self.totals[name] + summed if name in self.totals else summed

    def scores(self, world: World) -> dict[str, float]:
        """Return the means over the samples of all processes, where they are defined."""
        local = {name: torch.cat(v).cpu() if v else torch.zeros(0) for name, v in self.values.items()}
        shards = world.gather((local, {name: total.cpu() for name, total in self.totals.items()}))
        scores = {name: _mean(_interleave([values[name] for values, _ in shards])) for name in local}
        if isinstance(self.task, Totals):
            totals = [totals for _, totals in shards if totals]
            summed = {name: torch.stack([each[name] for each in totals]).sum(0) for name in totals[0]}
            scores |= self.task.summarise(summed)
        return scores


def _interleave(shards: Sequence[Tensor]) -> Tensor:
    """Put every `world`-th value back in its place: the sum is then the same with any number of processes."""
    values = torch.empty(sum(len(shard) for shard in shards), dtype=shards[0].dtype)
    for rank, shard in enumerate(shards):
        values[rank :: len(shards)] = shard
    return values


def _mean(values: Tensor) -> float:
    """Mean over the values that are defined; NaN when none is."""
    return float(values.nanmean()) if values.numel() else math.nan
