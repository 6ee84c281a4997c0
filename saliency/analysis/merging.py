"""One model out of several of one architecture, by averaging their weights, measured against each of them.

Three soups: the uniform and the greedy one (Wortsman et al., "Model soups", ICML 2022, arXiv:2203.05482) and the
Fisher-weighted one (Matena & Raffel, "Merging Models with Fisher-Weighted Averaging", NeurIPS 2022, arXiv:2111.09832).
A mean of weights is a good model only where its ingredients lie in one valley of the loss, as those do that went on
from the same weights; whether they do is what the scores show.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from saliency.config.load import load_run
from saliency.config.run import Run, Samples
from saliency.data.trained_on import KEY as TRAINED_ON
from saliency.data.trained_on import trained_on
from saliency.errors import InputError, nearest
from saliency.io.serial import encode
from saliency.io.weights import load_model, save_model
from saliency.metrics.frame import lower_is_better
from saliency.runtime.distributed import World, pick_device
from saliency.tasks.base import Task
from saliency.training.meters import Tally
from saliency.training.run_folder import CONFIG, best_file
from saliency.training.sampler import epoch_order
from saliency.types import ModelConfig

State = Mapping[str, Tensor]
"""A model's weights and buffers by name."""

FLOOR = 1e-6
"""Share of the mean Fisher information added to that of every weight: one that no model cares for gets a plain mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A model and its scores on the validation samples.

    Attributes:
        name: of an ingredient ``RUN/STAGE/LEARNER``; of a soup how it was made.
        members: the ingredients in it, in the order in which they were taken.
        scores: metric -> mean over the samples, ``loss`` among them.
        state: its weights and buffers.
    """

    name: str
    members: Sequence[str]
    scores: Mapping[str, float]
    state: State = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Merging:
    """The models of one architecture and their soups.

    Attributes:
        name: of the learners, joined by ``+``.
        config: of all of them.
        metric: what greedy chooses by: the task's monitor.
        samples: validation samples.
        ingredients: as they were trained, in the order given.
        soups: ``uniform``, ``greedy``, ``fisher``.
        trained_on: checksums of the videos that any ingredient learned from.
    """

    name: str
    config: ModelConfig
    metric: str
    samples: int
    ingredients: Sequence[Scored]
    soups: Sequence[Scored]
    trained_on: Sequence[str] = ()

    @property
    def best(self) -> Scored:
        """The best ingredient."""
        return max(self.ingredients, key=lambda each: goodness(each.scores, self.metric))

    def save(self, folder: Path) -> list[Path]:
        """Write each soup as ``NAME_SOUP.safetensors``; return the files.

        Raises:
            InputError: they cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        files = []
        for soup in self.soups:
            model = self.config.build()
            model.load_state_dict(dict(soup.state))
            facts = {"merged": soup.name, "members": json.dumps(list(soup.members))}
            facts |= {f"val_{metric}": f"{score:.6g}" for metric, score in soup.scores.items()}
            files.append(folder / f"{self.name}_{soup.name}.safetensors")
            save_model(files[-1], model, self.config, facts | {TRAINED_ON: json.dumps(list(self.trained_on))})
        return files


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where models of one architecture are scored and their Fisher information is taken.

    Attributes:
        task: of the runs.
        training: samples for the Fisher information, by keys (seed, epoch, index).
        validation: samples for the scores, by index.
        view: name under which a batch holds the models' input.
        batch_size: samples scored at once.
        device: where it is computed.
    """

    task: Task[Any]
    training: Samples
    validation: Samples
    view: str
    batch_size: int
    device: torch.device

    @torch.no_grad()
    def scores(self, model: nn.Module) -> dict[str, float]:
        """Return metric -> mean over the validation samples."""
        model.to(self.device).eval()
        tally = Tally(self.task)
        for start in range(0, len(self.validation), self.batch_size):
            keys = range(start, min(start + self.batch_size, len(self.validation)))
            batch = self.validation.prepare([self.validation[key] for key in keys], self.device)
            tally.add(self.task.align(model(batch.inputs[self.view]), batch.target), batch.target)
        return tally.scores(World(rank=0, size=1, device=self.device))

    def fisher(self, model: nn.Module, seed: int, count: int) -> dict[str, Tensor]:
        """Return the diagonal of the empirical Fisher information: the mean squared gradient of a sample's loss.

        Args:
            model: the model.
            seed: of the training samples.
            count: how many of them, at least 1.

        Returns:
            Name of each trainable weight -> values >= 0 of its shape, float64 on the CPU.
        """
        model.to(self.device).eval()
        squares = {name: torch.zeros(w.shape, dtype=torch.float64) for name, w in model.named_parameters()}
        indices = epoch_order(seed, 0, len(self.training))[:count]
        for index in indices:
            batch = self.training.prepare([self.training[seed, 0, index]], self.device)
            model.zero_grad(set_to_none=True)
            pred = self.task.align(model(batch.inputs[self.view]), batch.target)
            self.task.loss(pred, batch.target).sum().backward()
            for name, weight in model.named_parameters():
                if weight.grad is not None:
                    squares[name] += weight.grad.detach().cpu().double() ** 2
        return {name: square / len(indices) for name, square in squares.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """An ingredient that was not scored yet."""

    name: str
    learner: str
    config: ModelConfig
    path: Path


def merge(
    folders: Sequence[Path], *, stages: Sequence[str] = (), fisher_samples: int = 64, device: str = "auto"
) -> list[Merging]:
    """Merge the learners of one architecture, of every architecture that at least two models have.

    Args:
        folders: of finished runs of one config (seeds of it).
        stages: whose best weights are merged; none: those of the last stage.
        fisher_samples: training samples for the Fisher information, at least 1.
        device: where the models run.

    Raises:
        InputError: a folder is none of a run, the runs differ in data or task, a stage is unknown or not trained, or no
            two models have one architecture.
    """
    if fisher_samples < 1:
        raise InputError(f"--fisher-samples must be at least 1, got {fisher_samples}")
    runs = [_read(folder) for folder in folders]
    for folder, run in zip(folders, runs, strict=True):
        if encode(run.data) != encode(runs[0].data) or encode(run.task) != encode(runs[0].task):
            raise InputError(f"{folder} was trained on other data or for another task than {folders[0]}")
    members = [member for folder, run in zip(folders, runs, strict=True) for member in _members(folder, run, stages)]
    groups: dict[str, list[_Member]] = {}
    for member in members:
        groups.setdefault(json.dumps(encode(member.config), sort_keys=True), []).append(member)
    several = [group for group in groups.values() if len(group) > 1]
    if not several:
        names = ", ".join(member.name for member in members) or "none that was trained"
        raise InputError(f"no two models have one architecture ({names}); name several --stages, or several runs")
    return [_merge(group, runs[0], fisher_samples, pick_device(device)) for group in several]


def _merge(group: Sequence[_Member], run: Run, fisher_samples: int, device: torch.device) -> Merging:
    view, config = group[0].learner, group[0].config
    bench = Bench(
        task=run.task,
        training=run.data.training({view: config.input}),
        validation=run.data.validation({view: config.input}),
        view=view,
        batch_size=run.train.validation_batch or run.train.batch_size,
        device=device,
    )
    metric, model = run.task.monitor, config.build().to(device)
    ingredients, fishers, seen = [], [], set()
    for member in group:
        loaded = load_model(member.path)
        state = {name: value.clone() for name, value in loaded.model.state_dict().items()}
        scores = bench.scores(loaded.model)
        ingredients.append(Scored(name=member.name, members=(member.name,), scores=scores, state=state))
        fishers.append(bench.fisher(loaded.model, run.train.seed, fisher_samples))
        seen |= trained_on(loaded.metadata)

    def score(state: State) -> dict[str, float]:
        model.load_state_dict(dict(state))
        return bench.scores(model)

    states, names = [each.state for each in ingredients], [each.name for each in ingredients]
    soups = [
        _scored("uniform", names, mean(states), score),
        greedy(ingredients, metric, score),
        _scored("fisher", names, fisher_mean(states, fishers), score),
    ]
    return Merging(
        name="+".join(dict.fromkeys(member.learner for member in group)),
        config=config,
        metric=metric,
        samples=len(bench.validation),
        ingredients=ingredients,
        soups=soups,
        trained_on=sorted(seen),
    )


def greedy(ingredients: Sequence[Scored], metric: str, score: Callable[[State], Mapping[str, float]]) -> Scored:
    """Return the greedy soup: from the best ingredient on, each next one stays in it unless it makes it worse.

    Args:
        ingredients: at least one, with its scores.
        metric: what is better by it is better.
        score: returns the scores of a state.
    """
    order = sorted(ingredients, key=lambda each: goodness(each.scores, metric), reverse=True)
    chosen, scores, state = [order[0]], order[0].scores, order[0].state
    for candidate in order[1:]:
        mixed = mean([*(each.state for each in chosen), candidate.state])
        found = score(mixed)
        if goodness(found, metric) >= goodness(scores, metric):
            chosen, scores, state = [*chosen, candidate], found, mixed
    return Scored(name="greedy", members=[each.name for each in chosen], scores=scores, state=state)


def mean(states: Sequence[State]) -> dict[str, Tensor]:
    """Return the mean of weights and buffers; counters and other whole numbers are those of the first."""
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(value.dtype)
        if value.is_floating_point()
        else value.clone()
        for name, value in states[0].items()
    }


def fisher_mean(states: Sequence[State], fishers: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of the weights, each weighted by its own Fisher information, that is ``sum F w / sum F``.

    Buffers, such as the statistics of BatchNorm, have no Fisher information: theirs is the plain mean.

    Args:
        states: of the models.
        fishers: of each, name -> values >= 0.
    """
    total = sum(float(f.sum()) for fisher in fishers for f in fisher.values())
    count = sum(f.numel() for fisher in fishers for f in fisher.values())
    floor = FLOOR * total / count if total > 0 else 1.0
    merged = mean(states)
    for name in fishers[0]:
        shares = torch.stack([fisher[name] for fisher in fishers]) + floor  # (K, ...)
        values = torch.stack([state[name].double().cpu() for state in states])
        merged[name] = ((shares * values).sum(0) / shares.sum(0)).to(states[0][name].dtype)
    return merged


def goodness(scores: Mapping[str, float], metric: str) -> float:
    """Return a score such that more is better; what is not a number is worst."""
    value = -scores[metric] if metric == "loss" or lower_is_better(metric) else scores[metric]
    return value if value == value else float("-inf")


def _scored(name: str, members: Sequence[str], state: State, score: Callable[[State], Mapping[str, float]]) -> Scored:
    return Scored(name=name, members=members, scores=score(state), state=state)


def _read(folder: Path) -> Run:
    if not (folder / CONFIG).is_file():
        seeds = sorted(folder.glob(f"*/{CONFIG}"))
        one = f"name the folders of its seeds, such as {seeds[0].parent}" if seeds else "train first"
        raise InputError(f"{folder} is not the folder of a run: {one}")
    return load_run(folder / CONFIG)


def _members(folder: Path, run: Run, stages: Sequence[str]) -> list[_Member]:
    known = {stage.name: stage for stage in run.stages}
    members = []
    for name in stages or [run.stages[-1].name]:
        if name not in known:
            raise InputError(f"{folder} has no stage '{name}' (stages: {', '.join(known)}){nearest(name, known)}")
        for learner, config in run.learners.items():
            if config.optimizer is None and learner not in known[name].alone:
                continue  # a frozen teacher
            path = best_file(folder, name, learner)
            if not path.is_file():
                raise InputError(f"there is no {path}: train stage '{name}' first")
            label = f"{folder.name}/{name}/{learner}"
            members.append(_Member(name=label, learner=learner, config=config.model, path=path))
    return members
