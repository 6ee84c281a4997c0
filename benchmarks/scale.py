"""What training sends between processes, and what that means for 8, 64 and 512 GPUs: `python benchmarks/scale.py`.

The bytes are measured: two processes train the full-size models (on small clips) under DistributedDataParallel and
count what is all-reduced and broadcast. The efficiency is calculated from those bytes and the assumptions below; none
of it was measured on several GPUs.
"""

import datetime
import math
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import tyro
from torch.nn.parallel import DistributedDataParallel

from saliency.commands.main import exit_with
from saliency.models.tmfi_net import TMFINetConfig
from saliency.models.vinet_a import ViNetAConfig
from saliency.models.vinet_s import ViNetSConfig
from saliency.runtime.environment import environment
from saliency.types import InputSpec, ModelConfig

RESULTS = Path(__file__).parent / "results"
SMALL = InputSpec(size=(32, 64))  # weights do not depend on the picture's size, only on the clip's length
MODELS: dict[str, ModelConfig] = {
    "TMFI-Net": TMFINetConfig(input=SMALL),
    "ViNet-S": ViNetSConfig(input=SMALL),
    "ViNet-A": ViNetAConfig(input=SMALL),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Assumptions of the model; the defaults are an H100 node.

    Attributes:
        samples_per_second: tri-KD on one GPU; 40 to 80 is what the roofline of an H100 leaves (an aim, not measured).
        batch: samples on each GPU in a step.
        node: GPUs in a node.
        inside: GB/s that a ring reaches inside a node (NVLink 4: 450 nominal in each direction).
        latency: seconds for one hop of a collective.
        bucket: bytes that DistributedDataParallel sends at once.
        hidden: share of the backward pass, itself two thirds of a step, behind which sending can hide.
        output: Markdown file; default benchmarks/results/<date>-scale.md.
    """

    samples_per_second: float = 60.0
    batch: int = 8
    node: int = 8
    inside: float = 300.0
    latency: float = 20e-6
    bucket: int = 25 * 2**20
    hidden: float = 0.8
    output: Path | None = None


NETWORKS = {"8 x 400 Gb/s InfiniBand a node": 320.0, "100 Gb/s Ethernet a node": 10.0}
"""GB/s out of a node that a ring reaches: 80 % of the nominal 400 and 12.5 GB/s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """Bytes of one step of one model.

    Attributes:
        parameters: number of parameters.
        reduced: bytes of gradients that are all-reduced.
        buffers: bytes of buffers that DistributedDataParallel broadcasts before a forward pass.
    """

    parameters: int
    reduced: int
    buffers: int


def measured() -> dict[str, Volume]:
    """Train each model for a step in two processes and count."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    results = mp.get_context("spawn").SimpleQueue()
    mp.spawn(_count, (port, results), nprocs=2)  # pyright: ignore[reportPrivateImportUsage]
    found = results.get()
    return {name: Volume(**values) for name, values in found.items()}


def _count(rank: int, port: int, results: "mp.SimpleQueue") -> None:  # type: ignore[type-arg]
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    found = {}
    for name, config in MODELS.items():
        torch.manual_seed(0)
        model = config.build().train()
        wrapped = DistributedDataParallel(model)
        sent: list[int] = []

        def count(state: list[int], bucket: Any) -> torch.futures.Future[torch.Tensor]:
            state.append(bucket.buffer().nbytes)
            work = dist.all_reduce(bucket.buffer().div_(2), async_op=True)
            return work.get_future().then(lambda future: future.value()[0])  # type: ignore[union-attr]

        wrapped.register_comm_hook(sent, count)
        clip = torch.randn(1, 3, config.input.length, *config.input.size)
        wrapped(clip).log().mean().backward()
        found[name] = {
            "parameters": sum(p.numel() for p in model.parameters()),
            "reduced": sum(sent),
            "buffers": sum(b.nbytes for b in model.buffers()),
        }
    if rank == 0:
        results.put(found)
    dist.destroy_process_group()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step on many GPUs; seconds.

    Attributes:
        compute: forward, backward, optimizer.
        sending: all gradients, if nothing overlapped.
        exposed: of that, what the backward pass does not hide.
    """

    compute: float
    sending: float
    exposed: float

    @property
    def efficiency(self) -> float:
        """Share of the speed of as many single GPUs."""
        return self.compute / (self.compute + self.exposed)


def expected(options: Options, gpus: int, volume: int, outside: float) -> Step:
    """Model a step: ring all-reduce, hidden behind the backward pass except for the last bucket.

    A ring of N sends 2 (N - 1) / N times the bytes over its slowest link; start-up costs 2 log2(N) hops a bucket.
    """
    compute = options.batch / options.samples_per_second
    slowest = options.inside if gpus <= options.node else min(options.inside, outside)
    buckets = math.ceil(volume / options.bucket)
    hops = 2 * math.log2(gpus) * options.latency if gpus > 1 else 0.0
    sending = 2 * (gpus - 1) / gpus * volume / (slowest * 1e9) + buckets * hops
    behind = options.hidden * compute * 2 / 3
    exposed = max(sending / buckets, sending - behind)
    return Step(compute=compute, sending=sending, exposed=exposed if gpus > 1 else 0.0)


def page(options: Options, volumes: dict[str, Volume]) -> str:
    """Return the tables as Markdown."""
    found = environment()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    total = sum(volume.reduced for volume in volumes.values())
    lines = [
        "# What training sends, and the expected efficiency on many GPUs",
        "",
        f"- date {datetime.date.today()}, commit {commit.strip() or 'unknown'}, command `python benchmarks/scale.py`",
        f"- versions: {found['versions']}",
        f"- hardware: {found['hardware']}, two gloo processes",
        "",
        "Measured: gradients (float32) that two processes all-reduce in one step; buffers are what",
        "DistributedDataParallel broadcasts from the first process before a forward pass unless told otherwise.",
        "",
        "| model | parameters | gradient MB a step | equals 4 x parameters | buffer MB |",
        "|---|---:|---:|---|---:|",
        *(
            f"| {name} | {v.parameters:,} | {v.reduced / 1e6:.1f} "
            f"| {'yes' if v.reduced == 4 * v.parameters else 'NO'} | {v.buffers / 1e6:.2f} |"
            for name, v in volumes.items()
        ),
        f"| tri-KD | {sum(v.parameters for v in volumes.values()):,} | {total / 1e6:.1f} | | "
        f"{sum(v.buffers for v in volumes.values()) / 1e6:.2f} |",
        "",
        f"Calculated for tri-KD, not measured. Assumed: {options.samples_per_second:g} samples/s on one GPU, batch "
        f"{options.batch} on each, so {1e3 * options.batch / options.samples_per_second:.0f} ms of computing a step; "
        f"{options.inside:g} GB/s inside a node of {options.node}; {1e6 * options.latency:g} us a hop; buckets of "
        f"{options.bucket / 2**20:.0f} MiB; {100 * options.hidden:.0f} % of the backward pass hides sending.",
        "",
        "| GPUs | global batch | network | sending ms | not hidden ms | efficiency | samples/s |",
        "|---:|---:|---|---:|---:|---:|---:|",
    ]
    for gpus in (8, 64, 512):
        networks = {"NVLink": options.inside} if gpus <= options.node else NETWORKS
        for network, bandwidth in networks.items():
            step = expected(options, gpus, total, bandwidth)
            lines.append(
                f"| {gpus} | {gpus * options.batch} | {network} | {1e3 * step.sending:.1f} | {1e3 * step.exposed:.1f} "
                f"| {100 * step.efficiency:.0f} % | {gpus * options.samples_per_second * step.efficiency:,.0f} |"
            )
    return "\n".join([*lines, ""])


def main() -> None:
    """Count, calculate, write."""
    options = tyro.cli(Options, description=__doc__)
    text = page(options, measured())
    sys.stdout.write(text)
    (options.output or RESULTS / f"{datetime.date.today()}-scale.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    exit_with(main)
