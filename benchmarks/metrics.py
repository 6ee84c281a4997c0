"""How fast the saliency metrics are, beside the usual implementations: `python benchmarks/metrics.py`.

Everything runs in one process on one thread. Each round visits every implementation in turn, calls it a few times
in a row, as an evaluation does, and takes the CPU time of the process, so a busy machine slows all alike; the medians
over the rounds are reported. The
plain baselines are the textbook algorithms as most repositories write them; scikit-learn and pysaliency are
called as libraries (`pip install -e .[dev]`).
"""

import datetime
import importlib
import importlib.metadata
import shlex
import subprocess
import sys
import time
import types
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import sklearn.metrics
import torch
import tyro

from saliency.commands.main import exit_with
from saliency.metrics.auc import auc, auc_borji, auc_judd, auc_shuffled, auc_shuffled_step
from saliency.metrics.cc import cc
from saliency.metrics.frame import DHF1K, METRICS, STANDARD, score
from saliency.metrics.kld import kld
from saliency.metrics.nss import nss
from saliency.metrics.sim import sim
from saliency.runtime.distributed import pick_device
from saliency.runtime.environment import environment

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to measure.

    Attributes:
        height: pixels.
        width: pixels.
        fixations: fixated pixels of the frame.
        others: fixated pixels of other frames.
        rounds: visits of every implementation.
        calls: calls in a row at each visit.
        device: where batches are scored after the comparison on the CPU: auto, cpu (nowhere else), cuda, cuda:1, ...
        batch: frames scored at once on a CUDA device.
        output: Markdown file to write; default benchmarks/results/<date>-metrics.md.
    """

    height: int = 360
    width: int = 640
    fixations: int = 150
    others: int = 1500
    rounds: int = 31
    calls: int = 5
    device: str = "auto"
    batch: int = 64
    output: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame as arrays and as tensors over the same memory; `looked` and `shuffled` are (row, column)."""

    pred: np.ndarray
    density: np.ndarray
    fixated: np.ndarray
    other: np.ndarray

    @property
    def tensors(self) -> dict[str, torch.Tensor]:
        """The arguments of `score`."""
        arrays = {"pred": self.pred, "density": self.density, "fixations": self.fixated, "others": self.other}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One implementation of one metric.

    Attributes:
        metric: what is computed; contenders of the same metric are compared.
        name: whose implementation.
        call: computes it once.
    """

    metric: str
    name: str
    call: Callable[[], object]


def make_frame(options: Options) -> Frame:
    """A smooth float32 prediction, as models make, beside blurred fixations drawn from a similar density."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[: options.height, : options.width]

    def blobs(centres: np.ndarray, sigma: float) -> np.ndarray:
        total = np.zeros((options.height, options.width))
        for y, x in centres:
            total += np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2))
        return total / total.max()

    def draw(density: np.ndarray, count: int) -> np.ndarray:
        chosen = rng.choice(density.size, count, replace=False, p=(density / density.sum()).ravel())
        mask = np.zeros(density.shape, bool)
        mask.ravel()[chosen] = True
        return mask

    size = np.array([options.height, options.width])
    centres = rng.uniform(0.2, 0.8, (4, 2)) * size
    hidden = blobs(centres, 0.12 * options.height) + 0.02
    fixated = draw(hidden, options.fixations)
    other = draw(blobs(size[None] / 2, 0.3 * options.height) + 0.02, options.others)
    pred = blobs(centres + 0.04 * rng.standard_normal((4, 2)) * size, 0.14 * options.height)
    pred = 0.97 * pred + 0.03 * rng.random(pred.shape)
    density = blobs(np.argwhere(fixated), 12.74 * options.width / 640)
    return Frame(pred=pred.astype(np.float32), density=density.astype(np.float32), fixated=fixated, other=other)


def plain_auc_judd(pred: np.ndarray, fixated: np.ndarray, jitter: bool) -> float:
    """The MIT algorithm as it is usually written: a loop over the fixated values, highest first."""
    if jitter:
        pred = pred + np.random.default_rng(0).random(pred.shape) * 1e-7
    pred = ((pred - pred.min()) / (pred.max() - pred.min())).ravel()
    positives = np.sort(pred[fixated.ravel()])[::-1]
    hits, alarms = [0.0], [0.0]
    for i, threshold in enumerate(positives, start=1):
        above = np.sum(pred >= threshold)
        hits.append(i / len(positives))
        alarms.append((above - i) / (len(pred) - len(positives)))
    return float(np.trapezoid([*hits, 1.0], [*alarms, 1.0]))


def plain_auc_shuffled(pred: np.ndarray, fixated: np.ndarray, other: np.ndarray) -> float:
    """The DHF1K algorithm as it is usually written: 100 draws, thresholds 0.1 apart."""
    rng = np.random.default_rng(0)
    pred = (pred - pred.min()) / (pred.max() - pred.min())
    positives, pool = pred[fixated], pred[other]
    values = []
    for _ in range(100):
        negatives = rng.permutation(pool)[: len(positives)]
        thresholds = np.arange(10, -1, -1) / 10
        hits = [0.0, *((positives >= t).mean() for t in thresholds), 1.0]
        alarms = [0.0, *((negatives >= t).mean() for t in thresholds), 1.0]
        values.append(np.trapezoid(hits, alarms))
    return float(np.mean(values))


def plain_cc(pred: np.ndarray, density: np.ndarray) -> float:
    """Standardise both maps, then corrcoef."""
    p, g = ((a - a.mean()) / a.std() for a in (pred, density))
    return float(np.corrcoef(p.ravel(), g.ravel())[0, 1])


def plain_nss(pred: np.ndarray, fixated: np.ndarray) -> float:
    """Standardise the map, then average it over the fixations."""
    return float(((pred - pred.mean()) / pred.std(ddof=1))[fixated].mean())


def plain_sim(pred: np.ndarray, density: np.ndarray) -> float:
    """Min-max, then sum to one, then the smaller of both."""
    p, g = ((a - a.min()) / (a.max() - a.min()) for a in (pred, density))
    return float(np.minimum(p / p.sum(), g / g.sum()).sum())


def plain_kld(pred: np.ndarray, density: np.ndarray) -> float:
    """The MIT formula."""
    p, g = pred / pred.sum(), density / density.sum()
    return float((g * np.log(2.2204e-16 + g / (p + 2.2204e-16))).sum())


def import_pysaliency() -> types.ModuleType:
    """Import pysaliency where two things it needs are gone: setuptools' pkg_resources and numpy's trapz."""
    if find_spec("pkg_resources") is None:
        stub = types.ModuleType("pkg_resources")  # reads files of models that are not used here
        stub.__dict__.update(resource_string=None, resource_listdir=None)
        sys.modules["pkg_resources"] = stub
    if not hasattr(np, "trapz"):
        setattr(np, "trapz", np.trapezoid)  # noqa: B010 - the name before numpy 2.4
    return importlib.import_module("pysaliency")


def contenders(frame: Frame) -> list[Contender]:
    """Every implementation, on this frame."""
    pysaliency = import_pysaliency()
    numbers = importlib.import_module("pysaliency.metrics")
    pred, density, fixated, other = frame.pred, frame.density, frame.fixated, frame.other
    rows, columns = np.nonzero(fixated)
    frame_ids = np.zeros(len(rows), int)
    stimuli = pysaliency.Stimuli([np.zeros(pred.shape, np.uint8)])
    looks = pysaliency.Fixations.create_without_history(columns, rows, frame_ids)
    other_rows, other_columns = np.nonzero(other)
    elsewhere = pysaliency.Fixations.create_without_history(other_columns, other_rows, np.zeros(len(other_rows), int))

    class Model(pysaliency.SaliencyMapModel):
        """A pysaliency model that always predicts the frame's map."""

        def _saliency_map(self, stimulus: object) -> np.ndarray:
            return pred

    model = Model(caching=False)
    t = frame.tensors
    p, d, f, o = t["pred"], t["density"], t["fixations"], t["others"]
    listed = {**t, "others": [o.nonzero()]}
    rows_of = [
        ("auc_judd", "this project", lambda: auc_judd(p, f)),
        ("auc_judd", "plain loop, with jitter", lambda: plain_auc_judd(pred, fixated, jitter=True)),
        ("auc_judd", "plain loop, without jitter", lambda: plain_auc_judd(pred, fixated, jitter=False)),
        ("auc_judd", "pysaliency (default: jitter)", lambda: model.AUC_Judd(stimuli, looks)),
        ("auc_judd", "pysaliency, jitter=False", lambda: model.AUC_Judd(stimuli, looks, jitter=False)),
        ("auc", "this project", lambda: auc(p, f)),
        ("auc", "scikit-learn", lambda: sklearn.metrics.roc_auc_score(fixated.ravel(), pred.ravel())),
        ("auc", "pysaliency", lambda: model.AUC(stimuli, looks, nonfixations="unfixated", average="image")),
        ("auc_borji", "this project", lambda: auc_borji(p, f)),
        ("auc_borji", "pysaliency", lambda: model.AUC(stimuli, looks, nonfixations="uniform", average="image")),
        ("auc_shuffled", "this project", lambda: auc_shuffled(p, f, o)),
        ("auc_shuffled", "pysaliency", lambda: model.AUC(stimuli, looks, nonfixations=elsewhere, average="image")),
        ("auc_shuffled_step", "this project", lambda: auc_shuffled_step(p, f, o)),
        ("auc_shuffled_step", "plain, 100 draws", lambda: plain_auc_shuffled(pred, fixated, other)),
        ("cc", "this project", lambda: cc(p, d)),
        ("cc", "plain", lambda: plain_cc(pred, density)),
        ("cc", "pysaliency", lambda: numbers.CC(pred, density)),
        ("nss", "this project", lambda: nss(p, f)),
        ("nss", "plain", lambda: plain_nss(pred, fixated)),
        ("nss", "pysaliency", lambda: numbers.NSS(pred, columns, rows).mean()),
        ("sim", "this project", lambda: sim(p, d)),
        ("sim", "plain", lambda: plain_sim(pred, density)),
        ("sim_sum", "this project", lambda: sim(p, d, "sum")),
        ("sim_sum", "pysaliency", lambda: numbers.SIM(pred, density)),
        ("kld", "this project", lambda: kld(p, d)),
        ("kld", "plain", lambda: plain_kld(pred, density)),
        ("kld", "pysaliency", lambda: numbers.MIT_KLDiv(pred, density)),
        ("DHF1K metrics of a frame", "this project", lambda: score(**t, names=DHF1K)),
        ("DHF1K metrics of a frame", "this project, others as a list", lambda: score(**listed, names=DHF1K)),
        (
            "DHF1K metrics of a frame",
            "plain",
            lambda: (
                plain_auc_judd(pred, fixated, jitter=True),
                plain_sim(pred, density),
                plain_auc_shuffled(pred, fixated, other),
                plain_cc(pred, density),
                plain_nss(pred, fixated),
            ),
        ),
        ("DHF1K metrics and KL of a frame", "this project", lambda: score(**t, names=STANDARD)),
        (
            "all metrics of a frame",
            "this project",
            lambda: score(**t, baseline=torch.ones_like(d), names=METRICS),
        ),
    ]
    return [Contender(metric=metric, name=name, call=call) for metric, name, call in rows_of]


def measure(entries: list[Contender], options: Options) -> list[float]:
    """Median CPU milliseconds of one call of every contender, rounds interleaved."""
    for entry in entries:
        entry.call()  # compile, allocate
    seconds: list[list[float]] = [[] for _ in entries]
    for _ in range(options.rounds):
        for times, entry in zip(seconds, entries, strict=True):
            start = time.process_time()
            for _ in range(options.calls):
                entry.call()
            times.append((time.process_time() - start) / options.calls)
    return [1e3 * float(np.median(times)) for times in seconds]


def measure_cuda(frame: Frame, options: Options) -> str:
    """A line about scoring batches on the GPU, or why there is none."""
    device = pick_device(options.device)
    if device.type != "cuda":
        return f"CUDA: {'not asked for' if torch.cuda.is_available() else 'no device here'}, not measured."
    given = {name: tensor.expand(options.batch, -1, -1).to(device) for name, tensor in frame.tensors.items()}
    given = {name: tensor.contiguous() for name, tensor in given.items()}
    lines = []
    for title, names in (("AUC-Judd", ("auc_judd",)), ("all DHF1K metrics", DHF1K)):
        seconds = []
        for _ in range(options.rounds + 3):
            torch.cuda.synchronize(device)
            start = time.perf_counter()
            score(**given, names=names)
            torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - start)
        each = 1e3 * float(np.median(seconds[3:])) / options.batch
        lines.append(f"{title} {each:.3f} ms per frame")
    return f"CUDA ({torch.cuda.get_device_name(device)}, batches of {options.batch}, wall time): {', '.join(lines)}."


def shown(value: object) -> str:
    """A contender's result, for the table."""
    if isinstance(value, dict | tuple):
        return ""
    return f"{float(value):.6f}"  # pyright: ignore[reportArgumentType]


def report(options: Options, entries: list[Contender], milliseconds: list[float], cuda: str) -> str:
    """The Markdown page."""
    ours = {e.metric: t for e, t in zip(entries, milliseconds, strict=True) if e.name == "this project"}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    where = environment()
    lines = [
        "# Speed of the saliency metrics",
        "",
        f"- date {datetime.date.today()}, commit {commit or 'unknown'}",
        f"- command `python {shlex.join(sys.argv)}`",
        f"- frame {options.height}x{options.width}, {options.fixations} fixations, {options.others} of other frames",
        f"- CPU milliseconds of the process per call, 1 thread, median of {options.rounds} interleaved rounds of "
        f"{options.calls} calls",
        *(f"- {key}: {value}" for key, value in where.items()),
        f"- pysaliency {importlib.metadata.version('pysaliency')}, scikit-learn {sklearn.__version__}",
        f"- load average at the end {Path('/proc/loadavg').read_text().split()[0]}"
        if Path("/proc/loadavg").is_file()
        else "",
        "",
        "| metric | implementation | ms | times this project | value |",
        "|---|---|---:|---:|---:|",
    ]
    for entry, spent in zip(entries, milliseconds, strict=True):
        ratio = f"{spent / ours[entry.metric]:.1f}"
        lines.append(f"| {entry.metric} | {entry.name} | {spent:.2f} | {ratio} | {shown(entry.call())} |")
    return "\n".join([*lines, "", cuda, ""])


def main() -> None:
    """Measure, print and store the table."""
    options = tyro.cli(Options, description=__doc__)
    pick_device(options.device)  # refuse before measuring
    torch.set_num_threads(1)
    frame = make_frame(options)
    entries = contenders(frame)
    page = report(options, entries, measure(entries, options), measure_cuda(frame, options))
    output = options.output or RESULTS / f"{datetime.date.today()}-metrics.md"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(page, encoding="utf-8")
    print(page)
    print(f"written to {output}")


if __name__ == "__main__":
    exit_with(main)
