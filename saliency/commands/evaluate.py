"""Score models, maps of any method and baselines: `saliency evaluate --data mini --weights model.safetensors`.

Each gets a folder below --out with its scores per frame, per video and in summary; saliency leaderboard makes
tables of them. A killed evaluation goes on where it was. With several GPUs: `torchrun --nproc-per-node N
-m saliency evaluate ...`.
"""

import dataclasses
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from rich.box import SIMPLE
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from saliency.commands.arguments import parse
from saliency.data.video import AnnotatedVideo
from saliency.datasets.dhf1k import DHF1K
from saliency.datasets.folder import Folder
from saliency.datasets.hollywood2 import Hollywood2
from saliency.datasets.mini import Mini
from saliency.datasets.ucf_sports import UCFSports
from saliency.errors import InputError, nearest
from saliency.evaluation import parquet, protocols
from saliency.evaluation.baselines import (
    Ensemble,
    MapFolder,
    ModelPredictor,
    OneVersusRest,
    centre_prior,
    chance,
    mean_train_map,
)
from saliency.evaluation.dataset_run import POLL_SECONDS, evaluate_dataset, slug
from saliency.evaluation.protocols import protocol_named
from saliency.evaluation.result import Result
from saliency.evaluation.submission import check_submission, is_written, write_submission
from saliency.evaluation.video_run import Predictor, oddities
from saliency.inference.zoo import open_model
from saliency.report.formats import heading, number
from saliency.report.gallery import write_gallery
from saliency.runtime.distributed import World, join
from saliency.types import InputSpec

SPLITS = {"mini": "test", "real": "real", "dhf1k": "val", "hollywood2": "test", "ucf_sports": "test"}
"""Data set -> the split that is scored unless told otherwise."""

Baseline = Literal["centre-prior", "mean-train-map", "chance", "one-observer", "other-observers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Score predictions on a data set.

    Attributes:
        data: mini, real (the real video that comes with the project), dhf1k, hollywood2, ucf_sports, or a folder
            of your own with videos/ and maps/, fixations/ or gaze/ (see docs/datasets.md).
        split: which split; default val of dhf1k, else test.
        root: folder of the data set; default its environment variable, such as DHF1K_ROOT.
        weights: models saved by this project or published weights, FILE or NAME=FILE.
        maps: maps of any method, FOLDER or NAME=FOLDER, with one folder of PNG or NPY files per video.
        baselines: what to score besides; the priors are fitted on the training split.
        ensemble: also score the mean map of all --weights.
        protocol: canonical, dhf1k, vinet, tmfi, unisal or msu, see docs/protocol.md.
        shuffled: another source of the shuffled AUC's negatives: dhf1k (other videos), video (the same video) or
            all.
        every: score every n-th frame only; published numbers score all.
        seed: of everything that is drawn.
        out: folder of the results.
        restart: start again although there are results.
        processes: worker processes, for CPUs.
        per_frame: parquet writes frames.parquet beside frames.csv; it needs pyarrow.
        device: auto, cpu, cuda, cuda:1, ...
        batch_size: clips computed at once; lower it when memory runs out.
        count_bad: count frames with a NaN or infinite prediction instead of stopping at the first.
        gallery: also write an HTML page with the N best, median and worst frames of each; 0 writes none.
        gallery_metric: orders the frames of that page.
        export: dhf1k-test writes the maps that DHF1K's organisers score, and checks them.
    """

    data: str = "mini"
    split: str | None = None
    root: Path | None = None
    weights: tuple[str, ...] = ()
    maps: tuple[str, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    ensemble: bool = False
    protocol: str = "canonical"
    shuffled: Literal["dhf1k", "video", "all"] | None = None
    every: int = 1
    seed: int = 0
    out: Path = Path("runs/evaluate")
    restart: bool = False
    processes: int = 1
    per_frame: Literal["csv", "parquet"] = "csv"
    device: str = "auto"
    batch_size: int = 8
    count_bad: bool = False
    gallery: int = 0
    gallery_metric: str = "cc"
    export: Literal["dhf1k-test"] | None = None


MORE = (
    *("shuffled", "seed", "restart", "processes", "per_frame", "count_bad", "gallery", "gallery_metric", "export"),
    *("root", "batch_size", "device", "ensemble"),
)
"""Options that only --help-all shows."""


class Data(Protocol):
    """What every data set offers."""

    def videos(self, split: Any) -> list[AnnotatedVideo]:
        """Return the videos of a split."""
        ...

    def view(self, spec: InputSpec) -> InputSpec:
        """Return the clip a model gets on this data set."""
        ...


def main(words: Sequence[str]) -> int:
    """Run the tool."""
    arguments = parse(Arguments, words, command="evaluate", more=MORE)
    console = Console(stderr=True)
    logging.basicConfig(
        level=logging.WARNING, format="%(message)s", handlers=[RichHandler(console=console, show_path=False)]
    )
    with join(arguments.device) as world:
        return evaluate(arguments, console, world) if arguments.export is None else export(arguments, console, world)


def evaluate(arguments: Arguments, console: Console, world: World) -> int:
    """Score what the arguments name."""
    protocol = protocol_named(arguments.protocol)
    if arguments.shuffled is not None:
        protocol = protocol.with_shuffled(arguments.shuffled)
    check(arguments, protocol)
    data, split = find_data(arguments)
    videos = data.videos(split)
    name = arguments.data if arguments.data in SPLITS else Path(arguments.data).resolve().name
    dataset = name if name == split else f"{name} {split}"
    predictors = find_predictors(arguments, data, videos, world)
    with progress_bar(console, shown=world.main) as bar:
        task = bar.add_task(dataset, total=None)
        results = evaluate_dataset(
            predictors,
            videos,
            arguments.out,
            protocol,
            every=arguments.every,
            seed=arguments.seed,
            dataset=dataset,
            on_bad="count" if arguments.count_bad else "raise",
            processes=arguments.processes,
            restart=arguments.restart,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
            world=world,
        )
    if results is None:
        return 0
    show(results)
    for result in results if arguments.per_frame == "parquet" else ():
        print(f"per frame: {parquet.write(result, arguments.out / slug(result.name))}")
    if arguments.gallery:
        for result, predictor in zip(results, predictors, strict=True):
            page = arguments.out / slug(result.name) / "gallery.html"
            metric = arguments.gallery_metric
            if result.means().get(metric) is None and result.means()["nss"] is not None:
                metric = "nss"  # those scored on single observers have no density metrics
            print(f"gallery: {write_gallery(result, predictor, videos, page, n=arguments.gallery, metric=metric)}")
    print(f"results: {arguments.out}")
    return 0


def export(arguments: Arguments, console: Console, world: World) -> int:
    """Write and check DHF1K submissions."""
    if arguments.data not in ("dhf1k", "mini"):  # mini is the default, so it says nothing
        raise InputError(f"--export {arguments.export} needs DHF1K's test videos; leave --data {arguments.data} out")
    data = DHF1K(root=arguments.root)
    videos = data.videos("test")
    for predictor in find_predictors(arguments, data, videos, world):
        with progress_bar(console, shown=world.main) as bar:
            task = bar.add_task(predictor.name, total=None)
            method = write_submission(
                predictor,
                videos[world.rank :: world.size],
                arguments.out,
                progress=lambda done, total, task=task, bar=bar: bar.update(task, completed=done, total=total),
            )
        if not world.main:
            continue
        while not all(is_written(method, video) for video in videos):
            time.sleep(POLL_SECONDS)  # for the other processes; torchrun ends all when one of them fails
        print(f"{check_submission(method)} maps of {len(videos)} videos, complete: {method}")
    return 0


def check(arguments: Arguments, protocol: protocols.Protocol) -> None:
    """Refuse what would fail or be ignored only after hours of scoring.

    Raises:
        InputError: a number is too small, a metric unknown, or pyarrow missing.
    """
    for name, value, least in (("batch-size", arguments.batch_size, 1), ("gallery", arguments.gallery, 0)):
        if value < least:
            raise InputError(f"--{name} must be at least {least}, got {value}")
    metric, known = arguments.gallery_metric, protocol.metrics
    if arguments.gallery and metric not in known:
        raise InputError(f"--gallery-metric {metric} is none of {', '.join(known)}{nearest(metric, known)}")
    if arguments.per_frame == "parquet":
        parquet.require()


def find_data(arguments: Arguments) -> tuple[Data, str]:
    """Return the data set and the split.

    Raises:
        InputError: neither a known name nor a folder.
    """
    name, root = arguments.data, arguments.root
    split = arguments.split or SPLITS.get(name, "test")
    if name in ("mini", "real"):
        if root is not None:
            raise InputError(f"--data {name} is built by the project; leave --root out")
        return Mini(), split
    if name == "dhf1k":
        return DHF1K(root=root), split
    if name == "hollywood2":
        return Hollywood2(root=root), split
    if name == "ucf_sports":
        return UCFSports(root=root), split
    if Path(name).is_dir():
        return Folder(root=Path(name)), split
    raise InputError(f"--data {name} is no folder and none of {', '.join(SPLITS)}{nearest(name, SPLITS)}")


def find_predictors(
    arguments: Arguments, data: Data, videos: Sequence[AnnotatedVideo], world: World
) -> list[Predictor]:
    """Return what the arguments name.

    Raises:
        InputError: nothing is named, or something is missing.
    """
    device = world.device
    if arguments.processes > 1 and device.type == "cuda":
        raise InputError("--processes is for CPUs; use --device cpu, or torchrun for several GPUs")
    models = []
    for entry in arguments.weights:
        name, path = named(entry)
        loaded = open_model(path)
        models.append(
            ModelPredictor(
                name=name,
                model=loaded.model.to(device),
                spec=data.view(loaded.config.input),
                device=device,
                batch_size=arguments.batch_size,
                metadata={"weights": path.name, "sha256": loaded.sha256, "config": type(loaded.config).__name__},
            )
        )
    predictors: list[Predictor] = list(models)
    if arguments.ensemble:
        if len(models) < 2:
            raise InputError("--ensemble averages several models; give at least two --weights")
        predictors.append(Ensemble(name="ensemble", members=[dataclasses.replace(m) for m in models]))
    for entry in arguments.maps:
        name, path = named(entry)
        if not path.is_dir():
            raise InputError(f"{path} is no folder; --maps takes FOLDER or NAME=FOLDER")
        predictors.append(MapFolder(name=name, root=path, only=videos[0].id if len(videos) == 1 else None))
    for baseline in arguments.baselines:
        predictors.append(make_baseline(baseline, arguments, data))
    if not predictors:
        raise InputError("nothing to score; name --weights, --maps or --baselines")
    return predictors


def make_baseline(name: Baseline, arguments: Arguments, data: Data) -> Predictor:
    """Return a baseline, fitted on the training split where it needs fitting."""
    if name == "chance":
        return chance()
    if name == "other-observers":
        return OneVersusRest(name="other observers", predict="one", seed=arguments.seed)
    if name == "one-observer":
        return OneVersusRest(name="one observer", predict="rest", seed=arguments.seed)
    train = data.videos("train")
    return centre_prior(train) if name == "centre-prior" else mean_train_map(train)


def named(entry: str) -> tuple[str, Path]:
    """Split ``NAME=PATH``; without a name the file's or folder's own is taken."""
    name, equals, path = entry.partition("=")
    return (name, Path(path)) if equals else (Path(entry).stem, Path(entry))


def progress_bar(console: Console, *, shown: bool = True) -> Progress:
    """A bar with frames done, time and what is left of it."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, disable=not shown or not console.is_terminal)


def show(results: Sequence[Result]) -> None:
    """Print the means and the counts behind them."""
    first = results[0]
    table = Table(
        title=f"{first.dataset}, protocol {first.protocol.name}, mean over {first.protocol.averaging}s", box=SIMPLE
    )
    table.add_column("predictor")
    for metric in first.protocol.metrics:
        table.add_column(heading(metric), justify="right")
    for result in results:
        table.add_row(result.name, *(number(value) for value in result.means().values()))
    Console(markup=False).print(table)
    videos = len({row.video for row in first.rows})
    print(f"{len(first.rows)} frames of {videos} video{'s' if videos > 1 else ''}")
    for result in results:
        if told := oddities(result):
            print(f"{result.name}: {told}")
