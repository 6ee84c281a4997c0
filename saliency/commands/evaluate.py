"""Score models, maps of any method and baselines: `saliency evaluate --data mini --weights model.safetensors`.

Each gets a folder below --out with its scores per frame, per video and in summary; `saliency leaderboard` makes
tables of them. A killed evaluation goes on where it was. With several GPUs: `torchrun --nproc-per-node N
-m saliency evaluate ...`.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from saliency.commands.arguments import parse
from saliency.errors import InputError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from saliency.data.video import AnnotatedVideo
    from saliency.evaluation.contenders import Contenders
    from saliency.evaluation.over_time import OverTime
    from saliency.evaluation.protocols import Protocol
    from saliency.evaluation.result import Result
    from saliency.runtime.distributed import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Score predictions on a data set.

    Attributes:
        data: a data set by name (mini, real, dhf1k, hollywood2, ucf_sports, ...), or a folder of your own with
            videos/ and maps/, fixations/ or gaze/ (see docs/datasets.md): scored with the default model, the centre
            prior, viewers and pages of frames, unless others are named.
        splits: the videos of a split in place of all, e.g. test=a,b train=c* or val=601-605 train=1-20: for partial
            downloads and folders of your own.
        split: which split; default val of dhf1k, else test.
        root: folder of the data set; default its environment variable, such as DHF1K_ROOT.
        weights: models by name, or weights saved by this project or published, FILE or NAME=FILE.
        maps: maps of any method, FOLDER or NAME=FOLDER, with one folder of PNG or NPY files, or one grey .mp4, per
            video.
        baselines: what to score besides; the priors are fitted on the training split, appearance is the project's
            default model, which sees every frame alone.
        ensemble: also score the mean map of all --weights.
        protocol: canonical, dhf1k, vinet, tmfi, unisal, msu, aim2024, ntire2026 or crowdsal, see docs/protocol.md.
        metrics: metrics to report besides the protocol's, such as information_gain, which compares with the centre
            prior of the training split (docs/metrics.md lists all).
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
        backend: who computes: auto takes OpenVINO on a CPU when it is installed and there is enough to do, else torch.
        precision: arithmetic: auto is fp32; bf16 and fp16 where the processor has them.
        count_bad: count frames with a NaN or infinite prediction instead of stopping at the first.
        gallery: also write an HTML page with the N best, median and worst frames of each; 0 writes none. Default: 3 for
            a folder of your own if nothing to score is named, else 0.
        gallery_metric: orders the frames of that page.
        export: instead of scoring, write what organisers score, and check it: dhf1k-test the maps of DHF1K's test
            videos, videos a grey video for each video, as AIM 2024, NTIRE 2026 and CrowdSAL want it.
    """

    data: str = "mini"
    split: str | None = None
    splits: tuple[str, ...] = ()
    root: Path | None = None
    weights: tuple[str, ...] = ()
    maps: tuple[str, ...] = ()
    baselines: tuple[
        Literal[
            "centre-prior",
            "mean-train-map",
            "chance",
            "one-observer",
            "other-observers",
            "spectral-residual",
            "appearance",
        ],
        ...,
    ] = ()
    ensemble: bool = False
    protocol: str = "canonical"
    metrics: tuple[str, ...] = ()
    shuffled: Literal["dhf1k", "video", "all"] | None = None
    every: int = 1
    seed: int = 0
    out: Path = Path("runs/evaluate")
    restart: bool = False
    processes: int = 1
    per_frame: Literal["csv", "parquet"] = "csv"
    device: str = "auto"
    batch_size: int = 8
    backend: Literal["auto", "torch", "openvino", "onnx"] = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    count_bad: bool = False
    gallery: int | None = None
    gallery_metric: str = "cc"
    export: Literal["dhf1k-test", "videos"] | None = None


MORE = (
    *("metrics", "shuffled", "seed", "restart", "processes", "per_frame", "count_bad"),
    *("gallery", "gallery_metric", "export", "root", "batch_size", "device", "backend", "precision", "ensemble"),
)
"""Options that only --help-all shows."""


def main(words: Sequence[str]) -> int:
    """Run the command."""
    arguments = parse(Arguments, words, command="evaluate", more=MORE)

    import logging

    from rich.console import Console
    from rich.logging import RichHandler

    from saliency.evaluation.contenders import Contenders
    from saliency.inference.backends.base import choose_compute
    from saliency.runtime.distributed import join

    handler = RichHandler(console=Console(stderr=True), show_path=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    contenders = Contenders(
        weights=arguments.weights,
        maps=arguments.maps,
        baselines=arguments.baselines,
        ensemble=arguments.ensemble,
        batch_size=arguments.batch_size,
        seed=arguments.seed,
    )
    with join(arguments.device) as world:
        if arguments.processes > 1 and world.device.type == "cuda":
            raise InputError("--processes is for CPUs; use --device cpu, or torchrun for several GPUs")
        compute = choose_compute(world.device, arguments.backend, arguments.precision)
        contenders = dataclasses.replace(contenders, compute=compute)
        work = evaluate if arguments.export is None else export
        return work(arguments, contenders, world)


def evaluate(arguments: Arguments, contenders: "Contenders", world: "World") -> int:
    """Score what the arguments name."""
    from saliency.commands.splits import parse_splits
    from saliency.datasets.folder import Folder
    from saliency.evaluation import parquet
    from saliency.evaluation.contenders import compared_with
    from saliency.evaluation.dataset_run import Workers, evaluate_dataset, movement, slug
    from saliency.evaluation.others_prior import OthersPrior
    from saliency.evaluation.over_time import recorded, write_table
    from saliency.evaluation.protocols import protocol_named
    from saliency.evaluation.settings import EvaluationSettings
    from saliency.preparation.picking import choose
    from saliency.report.gallery import write_galleries
    from saliency.runtime.progress import progress_bar

    protocol = protocol_named(arguments.protocol).with_metrics(arguments.metrics)
    if arguments.shuffled is not None:
        protocol = protocol.with_shuffled(arguments.shuffled)
    check(arguments, protocol)
    splits = parse_splits(arguments.splits)
    chosen = choose(arguments.data, root=arguments.root, split=arguments.split, splits=splits)
    videos = chosen.videos()
    gallery = arguments.gallery
    if isinstance(chosen.data, Folder) and not (contenders.weights or contenders.maps or contenders.baselines):
        contenders, gallery = usual(contenders, videos), 3 if gallery is None else gallery
    sources = contenders.sources(chosen.data, videos)
    title = chosen.title
    if any(isinstance(source, OthersPrior) for source in sources):
        title += " (centre prior of the other videos)" if len(videos) > 1 else " (fixed centre prior)"
    settings = EvaluationSettings(
        protocol=protocol,
        every=arguments.every,
        seed=arguments.seed,
        dataset=title,
        on_bad="count" if arguments.count_bad else "raise",
        baseline=compared_with(protocol, chosen.data),
    )
    workers = Workers(processes=arguments.processes, world=world)
    if arguments.every == 1 and arguments.processes == 1 and world.size == 1:  # one process sees every map
        sources = recorded(sources)
    with progress_bar(title, shown=world.main) as bar:
        results = evaluate_dataset(
            sources, videos, arguments.out, settings, workers=workers, restart=arguments.restart, progress=bar.reach
        )
    if results is None:
        return 0
    show(results)
    moving, lacking = movement(sources, videos, arguments.out)
    if moving:
        show_over_time(moving)
    for name, scores in moving.items():
        if lacking[name]:
            print(
                f"{name}: over time covers {len(scores)} of {len(videos)} videos, the others were scored by several "
                "processes or an earlier version: over_time.csv is not written, --restart covers all"
            )
        else:
            write_table(arguments.out / slug(name) / "over_time.csv", scores)
    for result in results if arguments.per_frame == "parquet" else ():
        print(f"per frame: {parquet.write(result, arguments.out / slug(result.name))}")
    if gallery:
        ranked = {"n": gallery, "metric": arguments.gallery_metric}
        for page in write_galleries(results, sources, videos, arguments.out, **ranked):
            print(f"gallery: {page}")
    print(f"results: {arguments.out}")
    return 0


def show_over_time(moving: "Mapping[str, Mapping[str, OverTime]]") -> None:
    """Print how the maps of each predictor move."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from saliency.evaluation.over_time import mean
    from saliency.report.formats import number

    table = Table(title="over time (docs/metrics.md): flicker, frames late after cuts and at new places", box=SIMPLE)
    for column in ("predictor", "flicker", "viewers' flicker", "late after cuts", "late at new places", "missed"):
        table.add_column(column, justify="left" if column == "predictor" else "right")
    for name, scores in moving.items():
        videos = list(scores.values())
        after_cuts = [late for video in videos for late in video.lags]
        places = [late for video in videos for late in video.notices]
        flickers = (mean([video.flicker for video in videos]), mean([video.viewers_flicker for video in videos]))
        table.add_row(
            name,
            *(number(value) for value in flickers),
            *(f"{number(mean(late))} ({len(late)})" if late else "–" for late in (after_cuts, places)),
            f"{sum(late != late for late in places)} of {len(places)}",
        )
    Console(markup=False).print(table)


def usual(contenders: "Contenders", videos: "Sequence[AnnotatedVideo]") -> "Contenders":
    """Return what a folder of your own is scored with where nothing is named: the default model, floor and viewers."""
    from dataclasses import replace

    from saliency.inference.zoo import list_models

    told_apart = all(video.observers() is not None for video in videos)
    viewers = ("one-observer", "other-observers") if told_apart else ()
    return replace(contenders, weights=(list_models()[0].name,), baselines=("centre-prior", *viewers))


def export(arguments: Arguments, contenders: "Contenders", world: "World") -> int:
    """Write and check submissions."""
    from saliency.evaluation.submission import submit
    from saliency.evaluation.video_submission import submit_videos
    from saliency.preparation.picking import choose
    from saliency.runtime.progress import progress_bar

    if arguments.export == "videos":
        if world.size > 1:
            raise InputError("--export videos runs in one process; start it without torchrun")
        chosen = choose(arguments.data, root=arguments.root, split=arguments.split)
        for source in contenders.sources(chosen.data, chosen.videos()):
            with progress_bar(source.name) as bar:
                written = submit_videos(source, chosen.videos(), arguments.out, progress=bar.reach)
            print(f"{written.videos} videos of {written.maps} maps, complete: {written.folder}")
        return 0
    if arguments.data not in ("dhf1k", Arguments.data):  # the default says nothing
        raise InputError(f"--export {arguments.export} needs DHF1K's test videos; leave --data {arguments.data} out")
    chosen = choose("dhf1k", root=arguments.root, split="test")
    videos = chosen.videos()
    for source in contenders.sources(chosen.data, videos):
        with progress_bar(source.name, shown=world.main) as bar:
            written = submit(source, videos, arguments.out, world=world, progress=bar.reach)
        if written is not None:
            print(f"{written.maps} maps of {written.videos} videos, complete: {written.folder}")
    return 0


def check(arguments: Arguments, protocol: "Protocol") -> None:
    """Refuse what would fail or be ignored only after hours of scoring.

    Raises:
        InputError: a number is too small, a metric unknown, or pyarrow missing.
    """
    from saliency.evaluation import parquet

    for name, value, least in (("batch-size", arguments.batch_size, 1), ("gallery", arguments.gallery or 0, 0)):
        if value < least:
            raise InputError(f"--{name} must be at least {least}, got {value}")
    metric, known = arguments.gallery_metric, protocol.metrics
    if arguments.gallery and metric not in known:
        raise InputError(f"--gallery-metric {metric} is none of {', '.join(known)}{nearest(metric, known)}")
    if arguments.per_frame == "parquet":
        parquet.require()


def show(results: Sequence["Result"]) -> None:
    """Print the means and the counts behind them."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from saliency.evaluation.video_run import oddities
    from saliency.report.formats import heading, number

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
