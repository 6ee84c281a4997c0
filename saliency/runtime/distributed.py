"""One process or many: started by torchrun, everything else stays the same."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from saliency.errors import EXIT_BAD_INPUT, InputError

TIMEOUT = timedelta(minutes=10)
"""How long a process waits for the others before it gives up with a non-zero exit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """This process among all of them.

    Attributes:
        rank: 0 for the process that writes files.
        size: number of processes.
        device: where this process computes.
        hosts: the processes' CPUs (gloo): small words about files and signals never wait for a GPU.
    """

    rank: int
    size: int
    device: torch.device
    hosts: Any = None

    @property
    def main(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            dist.barrier(group=self.hosts)

    def gather(self, value: Any) -> list[Any]:
        """Return every process's `value`, in the order of ranks, on every process."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value, group=self.hosts)
        return values

    def any(self, flag: bool) -> bool:
        """Return whether `flag` is set on any process."""
        if self.size == 1:
            return flag
        value = torch.tensor(int(flag))
        dist.all_reduce(value, dist.ReduceOp.MAX, group=self.hosts)
        return bool(value)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Do something that may fail on some processes: then all end, and each reason is given once."""
        error = None
        try:
            yield
        except InputError as caught:
            error = caught
        reasons = self.gather(None if error is None else str(error))
        if error is not None and str(error) not in reasons[: self.rank]:
            raise error
        if any(reason is not None for reason in reasons):
            sys.exit(EXIT_BAD_INPUT)

    def share_buffers(self, model: nn.Module) -> None:
        """Give `model` on every process the buffers (running statistics) of the main process."""
        if self.size > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, 0)


@contextmanager
def join(device: str = "auto", *, patience: timedelta = TIMEOUT) -> Iterator[World]:
    """Join the processes that torchrun started, or be the only one.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        patience: how long a process waits for the others.

    Raises:
        InputError: CUDA is asked for and there is none.
    """
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    chosen = pick_device(device, local if size > 1 else None)
    # what seeds, measures or allocates without naming a device means this one
    with torch.cuda.device(chosen) if chosen.type == "cuda" else nullcontext():
        if size == 1:
            yield World(rank=0, size=1, device=chosen)
            return
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=patience)
        try:
            hosts = dist.new_group(backend="gloo", timeout=patience)
            yield World(rank=rank, size=size, device=chosen, hosts=hosts)
        finally:
            dist.destroy_process_group()


def is_main() -> bool:
    """Whether this is the only process, or the first of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def pick_device(name: str, local_rank: int | None = None) -> torch.device:
    """Return the device called `name`; ``auto`` takes a GPU when there is one.

    Args:
        name: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ...
        local_rank: number of this process on this machine, which takes the GPU of that number.

    Raises:
        InputError: there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and local_rank is not None:
        name = f"cuda:{local_rank}"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        seen = f"torch sees {torch.cuda.device_count() or 'no'} GPU"
        raise InputError(f"device '{name}' cannot be used here ({seen}); choose auto, cpu, cuda or cuda:N") from error
    return device
