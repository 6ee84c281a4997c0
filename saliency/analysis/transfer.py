"""What a finished transfer did: one pass of every stage's models over the validation samples, then the analyses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from saliency.analysis.cases import Cases, pairwise_cases, teacher_share
from saliency.analysis.cca import Similarity, similarity
from saliency.analysis.recovery import Discordance, Interval, Recovery, ensemble, mcnemar, recovery, wilson
from saliency.config.run import Run
from saliency.errors import InputError, nearest
from saliency.io.weights import load_model
from saliency.metrics.frame import lower_is_better
from saliency.runtime.distributed import pick_device
from saliency.tasks.classification import ClassificationTask
from saliency.training.run_folder import best_file

Floats = NDArray[np.float64]


@dataclass(slots=True)
class Observed:
    """What one learner did on every validation sample at the end of one stage.

    Attributes:
        metrics: name -> (N,).
        ranking: (N,) what decides who teaches, lowest first.
        features: (N, D) what the head sees; None if the model does not tell or was not asked.
    """

    metrics: dict[str, Floats]
    ranking: Floats
    features: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageAnalysis:
    """One stage against the stage it started from.

    Attributes:
        stage: its name.
        scores: learner -> metric -> mean over the validation samples.
        recovered: learner -> metric -> share of the ensemble's advantage.
        changed: learner -> which samples' top-1 changed; classification only.
        taught: learner -> share of the validation samples it would teach.
        cases: "teacher -> student" (or "all") -> who was right; classification only.
        similarity: "a / b" -> CCA of their features; only where it was asked for.
    """

    stage: str
    scores: dict[str, dict[str, float]]
    recovered: dict[str, dict[str, Recovery]] = field(default_factory=dict)
    changed: dict[str, Discordance] = field(default_factory=dict)
    taught: dict[str, float] = field(default_factory=dict)
    cases: dict[str, Cases] = field(default_factory=dict)
    similarity: dict[str, Similarity] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """All stages of a run.

    Attributes:
        run: name of the run.
        samples: validation samples.
        before: the stage all others are compared with.
        ensemble: metric -> score of the ensemble of the models at the end of `before`.
        intervals: learner (or "ensemble") -> 95 % interval of its top-1 share before; classification only.
        stages: `before` first.
    """

    run: str
    samples: int
    before: str
    ensemble: dict[str, float]
    intervals: dict[str, Interval]
    stages: list[StageAnalysis]


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """How models' features are compared (CCA).

    Attributes:
        top: canonical correlations to average.
        force: compare although the samples are too few.
    """

    top: int = 100
    force: bool = False


def analyse(
    run: Run,
    folder: Path,
    *,
    before: str,
    stages: Sequence[str] = (),
    features: Features | None = None,
    device: str = "auto",
) -> Analysis:
    """Analyse the best weights of a run's stages on its validation samples.

    Args:
        run: the run.
        folder: its folder.
        before: the stage from which the others started.
        stages: which of them to analyse; empty takes all that started from `before`.
        features: how to compare the models' features as well; None leaves them alone.
        device: where the models run.

    Raises:
        InputError: an unknown stage, missing weights, or fewer than two learners.
    """
    names = [stage.name for stage in run.stages]
    chosen = [before, *(stages or [stage.name for stage in run.stages if stage.start == before])]
    for stage in chosen:
        if stage not in names:
            raise InputError(f"the run has no stage '{stage}' (stages: {', '.join(names)}){nearest(stage, names)}")
    if len(run.learners) < 2:
        raise InputError("an analysis of transfer needs at least 2 learners")
    observed, together, count = observe(run, folder, chosen, before, features is not None, pick_device(device))

    own = observed[before]
    classify = isinstance(run.task, ClassificationTask)
    return Analysis(
        run=run.name,
        samples=count,
        before=before,
        ensemble=_means(together),
        intervals=_intervals({n: o.metrics for n, o in own.items()} | {"ensemble": together}) if classify else {},
        stages=[
            _stage(stage, observed[stage], own, together, features=features, classify=classify) for stage in chosen
        ],
    )


def observe(
    run: Run, folder: Path, stages: Sequence[str], before: str, features: bool, device: torch.device
) -> tuple[dict[str, dict[str, Observed]], dict[str, Floats], int]:
    """Run every stage's models over the validation samples once.

    Returns:
        stage -> learner -> what it did; metric -> (N,) scores of the ensemble of the models of `before`; N.
    """
    models = {(stage, name): _load(folder, stage, name, device) for stage in stages for name in run.learners}
    samples = run.data.validation({name: learner.model.input for name, learner in run.learners.items()})
    task, size = run.task, run.train.validation_batch or run.train.batch_size
    rows: dict[tuple[str, str], list[dict[str, Tensor]]] = {key: [] for key in models}
    together: list[dict[str, Tensor]] = []
    with torch.inference_mode():
        for start in range(0, len(samples), size):
            raw = [samples[i] for i in range(start, min(start + size, len(samples)))]
            batch = samples.prepare(raw, device)
            preds = {}
            for (stage, name), model in models.items():
                seen = _Features(model) if features else None
                pred = task.align(model(batch.inputs[name]), batch.target)
                loss = task.loss(pred, batch.target)
                row = {metric: score(pred, batch.target) for metric, score in task.metrics.items()}
                row["ranking"] = task.ranking(pred, batch.target, loss)
                if seen is not None and seen.offered:
                    row["features"] = seen.of(batch.inputs[name])
                rows[stage, name].append({key: value.cpu() for key, value in row.items()})
                if stage == before:
                    preds[name] = pred
            mixed = ensemble(task, list(preds.values()))
            together.append({metric: score(mixed, batch.target).cpu() for metric, score in task.metrics.items()})
    found: dict[str, dict[str, Observed]] = {stage: {} for stage in stages}
    for (stage, name), parts in rows.items():
        found[stage][name] = Observed(
            metrics={metric: _column(parts, metric) for metric in task.metrics},
            ranking=_column(parts, "ranking"),
            features=torch.cat([p["features"] for p in parts]).float().numpy() if "features" in parts[0] else None,
        )
    return found, {metric: _column(together, metric) for metric in task.metrics}, len(samples)


class _Features:
    """What a model's head sees, if the model offers it."""

    def __init__(self, model: nn.Module) -> None:
        self.call: Callable[[Tensor], Tensor] | None = getattr(model, "features", None)

    @property
    def offered(self) -> bool:
        return self.call is not None

    def of(self, images: Tensor) -> Tensor:
        assert self.call is not None
        return self.call(images)


def _load(folder: Path, stage: str, name: str, device: torch.device) -> nn.Module:
    path = best_file(folder, stage, name)
    if not path.is_file():
        raise InputError(f"there is no {path}: train stage '{stage}' first (frozen learners cannot be analysed)")
    return load_model(path).model.to(device).eval()


def _stage(
    stage: str,
    observed: Mapping[str, Observed],
    own: Mapping[str, Observed],
    together: Mapping[str, Floats],
    *,
    features: Features | None,
    classify: bool,
) -> StageAnalysis:
    names = list(observed)
    analysis = StageAnalysis(
        stage=stage,
        scores={name: _means(observed[name].metrics) for name in names},
        taught=dict(zip(names, teacher_share([-observed[n].ranking for n in names]).tolist(), strict=True)),
    )
    if observed is not own:
        for name in names:
            earlier, later, ens = _means(own[name].metrics), analysis.scores[name], _means(together)
            analysis.recovered[name] = {
                metric: recovery(earlier[metric], later[metric], ens[metric], lower=lower_is_better(metric))
                for metric in later
            }
            if classify:
                analysis.changed[name] = mcnemar(own[name].metrics["top1"] > 0, observed[name].metrics["top1"] > 0)
    if classify:
        scores = [-observed[name].ranking for name in names]
        correct = [observed[name].metrics["top1"] > 0 for name in names]
        for (teacher, student), found in pairwise_cases(scores, correct).items():
            key = "all" if teacher is None or student is None else f"{names[teacher]} -> {names[student]}"
            analysis.cases[key] = found
    for a, b in combinations(names, 2):
        x, y = observed[a].features, observed[b].features
        if features is not None and x is not None and y is not None:
            analysis.similarity[f"{a} / {b}"] = similarity(x, y, top=features.top, force=features.force)
    return analysis


def _intervals(metrics: Mapping[str, Mapping[str, Floats]]) -> dict[str, Interval]:
    found = {}
    for name, own in metrics.items():
        top1 = own["top1"][~np.isnan(own["top1"])]
        found[name] = wilson(int(top1.sum()), max(1, len(top1)))
    return found


def _means(metrics: Mapping[str, Floats]) -> dict[str, float]:
    return {name: float(np.nanmean(values)) for name, values in metrics.items() if not np.isnan(values).all()}


def _column(parts: Sequence[Mapping[str, Tensor]], name: str) -> Floats:
    return torch.cat([part[name] for part in parts]).double().numpy()
