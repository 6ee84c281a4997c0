"""The honest table of a saliency run: from scratch, the control, after transfer, between floor and ceiling."""

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from torch.utils.tensorboard import SummaryWriter

from saliency.config.run import Run, Stage
from saliency.data.video import AnnotatedVideo, VideoData
from saliency.errors import MissingData
from saliency.evaluation.baselines import ModelPredictor, OneVersusRest, centre_prior, chance
from saliency.evaluation.map_source import MapSource
from saliency.evaluation.protocols import CANONICAL
from saliency.evaluation.result import Result
from saliency.evaluation.settings import EvaluationSettings
from saliency.evaluation.video_run import evaluate_many
from saliency.inference.backends.base import Compute
from saliency.inference.engine import Engine
from saliency.inference.overlay import Overlay, side_by_side
from saliency.io.images import write_image
from saliency.io.transforms import resize_map
from saliency.io.weights import load_model
from saliency.metrics.frame import lower_is_better
from saliency.report.leaderboard import write_leaderboard
from saliency.report.tables import LeaderboardRow, build_tables
from saliency.report.tables import Table as LeaderboardTable
from saliency.runtime.distributed import pick_device
from saliency.runtime.progress import progress_bar
from saliency.training.run_folder import best_file

log = logging.getLogger(__name__)

RESULTS = "results"
SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferReport:
    """Scores every learner after every stage, with the floor and the ceiling, and writes the leaderboard.

    Written below the run's folder: ``leaderboard.{md,csv,json,html,tex}``, the results per frame below
    ``results/``, and some overlays below ``overlays/`` (and in TensorBoard), made by the learner with the lowest
    validation loss after the last stage. A split whose data is not on this machine is left out, and said so.

    Attributes:
        source: the data set.
        every: split -> score every n-th frame of its videos.
        overlays: pictures per split.
    """

    source: VideoData
    every: dict[str, int] = field(default_factory=lambda: {"test": 1})
    overlays: int = 3

    def __call__(self, run: Run, folder: Path) -> None:
        """Score the best weights of each stage and write the tables."""
        device = pick_device(run.train.device)
        models = [(stage, _predictor(folder, stage, name, device)) for stage in run.stages for name in run.learners]
        floor = [centre_prior(self.source.videos("train")), chance()]
        for split, every in self.every.items():
            try:
                videos = self.source.videos(split)
            except MissingData as missing:
                log.warning("split '%s' is left out: %s (then --resume scores it)", split, missing)
                continue
            known = [OneVersusRest(name="one observer against the others", predict="rest")]
            ceiling = [OneVersusRest(name="other observers against one", predict="one")]
            has_observers = videos[0].observers() is not None
            predictors: list[MapSource] = [p for _, p in models]
            predictors += [*floor, *(known + ceiling if has_observers else [])]
            results = _evaluate(predictors, videos, split, every)
            for predictor, result in zip(predictors, results, strict=True):
                result.save(folder / RESULTS / split / predictor.name.replace(" ", "_").replace("/", "."))
            last = [predictor for stage, predictor in models if stage.name == run.stages[-1].name]
            best = min(last, key=lambda predictor: float(str(predictor.metadata["val_loss"])))
            self._paint(folder, videos, split, best)
        self._write(run, [folder], folder)

    def combine(self, run: Run, folders: Sequence[Path], out: Path) -> None:
        """Write one table over the seeds: means with their standard deviation."""
        self._write(run, folders, out)

    def _write(self, run: Run, folders: Sequence[Path], out: Path) -> None:
        stages = {stage.name for stage in run.stages}
        rows = []
        for folder in folders:
            for path in sorted((folder / RESULTS).glob("*/*")):
                result = Result.load(path)
                learner, _, stage = result.name.partition("/")
                if stage in stages:
                    rows.append(LeaderboardRow.from_result(result, name=learner, stage=stage))
                else:
                    kind = None if result.metadata.get("own_truth") else "baseline"
                    rows.append(LeaderboardRow.from_result(result, kind=kind))
        names = tuple(stage.name for stage in run.stages)
        title = f"{run.name}: {len(folders)} seed{'s' if len(folders) > 1 else ''}"
        tables = build_tables(rows, baseline="centre prior", stages=names)
        command = f"saliency train {run.name}  # all settings: config.json"
        write_leaderboard([dataclasses.replace(table, reproduce=command) for table in tables], out, title=title)
        _show(rows, title)
        if len(names) > 2:
            Console().print(transfer_text(build_tables(rows, stages=names), *names[-2:]), highlight=False, markup=False)
        log.info("tables, results per frame and overlays are in %s", out)

    def _paint(self, folder: Path, videos: Sequence[AnnotatedVideo], split: str, predictor: ModelPredictor) -> None:
        """Write pictures with the ground truth on the left and the prediction on the right."""
        (folder / "overlays").mkdir(parents=True, exist_ok=True)
        paint, board = Overlay(), SummaryWriter(str(folder / "tensorboard" / "overlays"))
        for position in range(self.overlays):
            video = videos[position * len(videos) // self.overlays]
            frame = (position + 1) * video.num_frames // (self.overlays + 1)
            with video.open() as source:
                picture = source.read([frame])[0]
            (_, pred) = next(iter(predictor.maps(video, [frame])))
            truth, found = video.density(frame), resize_map(pred, video.size).numpy()
            both = side_by_side(paint.paint(picture, truth), paint.paint(picture, found))
            name = f"{split}-{video.id}-{frame:04d}"
            write_image(folder / "overlays" / f"{name}.png", both)
            board.add_image(f"{name} truth, {predictor.name}", both, dataformats="HWC")
        board.close()


def transfer_text(tables: Sequence[LeaderboardTable], control: str, transfer: str) -> str:
    """What the transfer changed against its control, in words made of the tables' own numbers.

    Every significant gain and every significant loss is named with its p (sign flips over videos, not adjusted).
    """
    lines = []
    for table in tables:
        for gain in table.gains:
            if (gain.earlier, gain.later) != (control, transfer):
                continue
            said = []
            for metric, cell in gain.cells.items():
                if cell.value is None or cell.p is None or cell.p >= SIGNIFICANT:
                    continue
                better = (cell.value > 0) != lower_is_better(metric)
                said.append(
                    f"significant {'gain' if better else 'loss'} of {metric} {cell.value:+.3f} (p {cell.p:.4f})"
                )
            lines.append(f"{table.dataset}, {gain.name}, {transfer} minus {control}: {'; '.join(said) or 'nothing'}")
            if not said:
                lines[-1] += " significant (or too few videos to tell)"
    return "\n".join(lines)


def _show(rows: Sequence[LeaderboardRow], title: str) -> None:
    """Print the means; the files have the intervals, tests and gains as well."""
    for dataset in dict.fromkeys(row.dataset for row in rows):
        own = [row for row in rows if row.dataset == dataset]
        table = Table(title=f"{title}, {dataset}", box=SIMPLE)
        table.add_column("model")
        metrics = list(own[0].metrics)
        for metric in metrics:
            table.add_column(metric, justify="right")
        for label in dict.fromkeys(row.label for row in own):
            same = [row for row in own if row.label == label]  # one per seed
            cells = []
            for metric in metrics:
                values = [value for row in same if (value := row.metrics[metric]) is not None]
                cells.append(f"{sum(values) / len(values):.3f}" if values else "–")
            table.add_row(label, *cells)
        Console(markup=False).print(table)


def _predictor(folder: Path, stage: Stage, learner: str, device: torch.device) -> ModelPredictor:
    loaded = load_model(best_file(folder, stage.name, learner))
    return ModelPredictor(
        name=f"{learner}/{stage.name}",
        engine=Engine(loaded.model, loaded.config.input, Compute(device=device)),
        metadata={"weights_sha256": loaded.sha256, "val_loss": loaded.metadata.get("val_loss", "nan")},
    )


def _evaluate(
    predictors: Sequence[MapSource], videos: Sequence[AnnotatedVideo], split: str, every: int
) -> list[Result]:
    # negatives of the shuffled AUC come from other videos, or from other frames where there is only one video
    protocol = CANONICAL if len(videos) > 1 else CANONICAL.with_shuffled("video")
    settings = EvaluationSettings(protocol=protocol, every=every, dataset=split)
    with progress_bar(f"scoring {split}") as bar:
        return evaluate_many(predictors, videos, settings, progress=bar.reach)
