"""A study of methods: every arm against its control, the seed as the unit.

The protocol is docs/science/protocol.md. The arms are the stages of a run that start from the same stage; several
seeds of the run make the study. Writes ``study.json`` and ``study.md``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from saliency.config.run import Run, Samples
from saliency.errors import InputError
from saliency.io.atomic import replacing, write_atomic
from saliency.io.weights import load_model
from saliency.metrics.cc import cc
from saliency.metrics.kld import kld
from saliency.metrics.nss import nss
from saliency.metrics.sim import sim
from saliency.report.statistics import bootstrap_nested, holm, sign_flip_test
from saliency.runtime.distributed import pick_device
from saliency.training import checkpoint
from saliency.training.run_folder import best_file
from saliency.training.run_log import read_log

METRICS = ("nss", "cc", "sim", "kld")
SCORES, NAME = "scores.npz", "study"
LAST, EARLY = "last", "early"
BATCH = 35


class Scored(Protocol):
    """Data with images that no network of the study learns from."""

    def scoring(self, views: Mapping[str, object]) -> Samples:
        """The images that all arms are scored on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A difference between two arms.

    Attributes:
        mean: over seeds and images, of `metric`.
        low: lower end of the 95 % interval; None with one seed.
        high: upper end.
        p: of the sign-flip test over seeds, not adjusted; None with one seed.
        holm: the same, adjusted for the tests made together.
        seeds: each seed's mean difference.
    """

    mean: float
    low: float | None
    high: float | None
    p: float | None
    holm: float | None
    seeds: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Scores every arm on images of its own and compares the arms over seeds.

    Attributes:
        before: stage whose best weights all arms start from.
        control: stage that continues without transfer.
        contrasts: pairs of arms that are compared with each other besides.
        metric: the score of the tests.
    """

    before: str
    control: str
    contrasts: tuple[tuple[str, str], ...] = ()
    metric: str = "nss"

    def __call__(self, run: Run, folder: Path) -> None:
        """Score all arms of one seed, unless that was done."""
        if not (folder / SCORES).is_file():
            scores = _score_all(run, folder, self.before)
            with replacing(folder / SCORES) as file:
                np.savez_compressed(file, **scores)  # pyright: ignore[reportArgumentType]
        self.combine(run, [folder], folder)

    def combine(self, run: Run, folders: Sequence[Path], out: Path) -> None:
        """Compare the arms over the seeds."""
        data = self.read(run, folders)
        arms = [stage.name for stage in run.stages if stage.name not in (self.before, self.control)]
        tested = [self.before, f"{self.control}/{EARLY}", *arms]
        content = {
            "run": run.name,
            "metric": self.metric,
            "seeds": len(folders),
            "images": next(iter(data.values())).shape[1],
            "control": {m: float(data[self.control][..., i].mean()) for i, m in enumerate(METRICS)},
            "against_control": _as_json(compare(data, [(arm, self.control) for arm in tested], self.metric)),
            "contrasts": _as_json(compare(data, [c for c in self.contrasts if set(c) <= set(arms)], self.metric)),
            "early": _as_json(compare(data, [(f"{a}/{EARLY}", f"{self.control}/{EARLY}") for a in arms], self.metric)),
            "other_metrics": {
                arm: {m: float((data[arm] - data[self.control])[..., i].mean()) for i, m in enumerate(METRICS)}
                for arm in tested
            },
            "mass": {arm: float(np.mean([transfer_mass(f / "log.jsonl", arm) for f in folders])) for arm in arms},
        }
        with write_atomic(out / f"{NAME}.json") as file:
            file.write(json.dumps(content, indent=2))
        with write_atomic(out / f"{NAME}.md") as file:
            file.write(study_text(content))

    def read(self, run: Run, folders: Sequence[Path]) -> dict[str, np.ndarray]:
        """Return arm -> (S, V, M): scores per seed, image and metric, the mean over the learners.

        An arm's name stands for its last step, ``ARM/early`` for its best step on the stopping set; `before` has one
        state only.

        Raises:
            InputError: a seed was not scored.
        """
        for folder in folders:
            if not (folder / SCORES).is_file():
                raise InputError(f"{folder} holds no {SCORES}: train and score this seed first")
        seeds = [np.load(folder / SCORES) for folder in folders]

        def of(stage: str, state: str) -> np.ndarray:
            return np.stack([np.mean([seed[f"{stage}/{n}/{state}"] for n in run.learners], axis=0) for seed in seeds])

        data = {self.before: of(self.before, EARLY)}
        for stage in run.stages:
            if stage.name != self.before:
                data[stage.name] = of(stage.name, LAST)
                data[f"{stage.name}/{EARLY}"] = of(stage.name, EARLY)
        return data


def compare(data: Mapping[str, np.ndarray], pairs: Sequence[tuple[str, str]], metric: str) -> dict[str, Effect]:
    """Return "ARM - BASE" -> effect, the p values adjusted for all pairs together.

    Args:
        data: arm -> (S, V, M) in the order of `METRICS`.
        pairs: (arm, base).
        metric: one of `METRICS`.
    """
    index = METRICS.index(metric)
    differences = {f"{arm} - {base}": (data[arm] - data[base])[..., index] for arm, base in pairs}  # each (S, V)
    tests = {name: sign_flip_test(d.mean(1)) for name, d in differences.items()}
    adjusted = dict(zip(tests, holm(list(tests.values())), strict=True))
    effects = {}
    for name, values in differences.items():
        interval = bootstrap_nested(values)
        effects[name] = Effect(
            mean=float(values.mean()),
            low=interval.low if interval else None,
            high=interval.high if interval else None,
            p=tests[name],
            holm=adjusted[name],
            seeds=tuple(values.mean(1).tolist()),
        )
    return effects


def transfer_mass(log: Path, stage: str) -> float:
    """Return the mean transfer loss of a stage's logged steps."""
    lines = [line for line in read_log(log) if line["stage"] == stage and line["kind"] == "train"]
    values = [line.get("transfer", 0.0) for line in lines]
    return float(np.mean(values)) if values else 0.0


def study_text(content: Mapping) -> str:
    """The study's tables as Markdown."""
    control = ", ".join(f"{m.upper()} {value:.3f}" for m, value in content["control"].items())
    metric = content["metric"].upper()
    out = [
        f"# {content['run']}: {content['seeds']} seed{'s' if content['seeds'] > 1 else ''}",
        "",
        f"Scored on {content['images']} images. Control: {control}. Effects are {metric}, arm minus control, mean of "
        "both learners; intervals over seeds and images, p by sign flips over seeds, adjusted by Holm.",
        "",
        f"| arm | {metric} [95 %] | p | p, Holm | seeds above 0 | mass | early, {metric} | CC | SIM | KL |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, effect in content["against_control"].items():
        arm = name.rpartition(" - ")[0]
        other = content["other_metrics"][arm]
        early = content["early"].get(f"{arm}/{EARLY} - {name.rpartition(' - ')[2]}/{EARLY}")
        mass = content["mass"].get(arm)
        cells = [arm, *_cells(effect), f"{mass:.3f}" if mass is not None else "–"]
        cells += [f"{early['mean']:+.3f}" if early else "–", *(f"{other[m]:+.3f}" for m in ("cc", "sim", "kld"))]
        out.append("| " + " | ".join(cells) + " |")
    if content["contrasts"]:
        out += ["", f"| contrast | {metric} [95 %] | p | p, Holm | seeds above 0 |", "|---|---|---:|---:|---:|"]
        out += ["| " + " | ".join([name, *_cells(effect)]) + " |" for name, effect in content["contrasts"].items()]
    return "\n".join([*out, ""])


def _cells(effect: Mapping) -> list[str]:
    text = f"{effect['mean']:+.3f}"
    if effect["low"] is not None:
        text += f" [{effect['low']:+.3f}, {effect['high']:+.3f}]"
    tests = [f"{effect[key]:.4f}" if effect[key] is not None else "–" for key in ("p", "holm")]
    return [text, *tests, f"{sum(value > 0 for value in effect['seeds'])}/{len(effect['seeds'])}"]


def _as_json(effects: Mapping[str, Effect]) -> dict[str, dict]:
    return {
        name: {field: getattr(effect, field) for field in Effect.__slots__} | {"seeds": list(effect.seeds)}
        for name, effect in effects.items()
    }


@torch.no_grad()
def _score_all(run: Run, folder: Path, before: str) -> dict[str, np.ndarray]:
    """Return "STAGE/LEARNER/STATE" -> (V, M)."""
    device = pick_device(run.train.device)
    views = {name: learner.model.input for name, learner in run.learners.items()}
    data: Scored = run.data  # pyright: ignore[reportAssignmentType]
    samples = data.scoring(views)
    scores = {}
    for stage in run.stages:
        states = {}
        if stage.name != before:
            states = checkpoint.load(checkpoint.steps(folder / stage.name / "checkpoints")[-1]).models
        for learner in run.learners:
            model = load_model(best_file(folder, stage.name, learner)).model.to(device).eval()
            scores[f"{stage.name}/{learner}/{EARLY}"] = _score(run, model, samples, learner)
            if learner in states:
                model.load_state_dict(dict(states[learner]))
                scores[f"{stage.name}/{learner}/{LAST}"] = _score(run, model, samples, learner)
    return scores


def _score(run: Run, model: torch.nn.Module, samples: Samples, learner: str) -> np.ndarray:
    """Return (V, M): the model's scores on each sample."""
    device, rows = next(model.parameters()).device, []
    for begin in range(0, len(samples), BATCH):
        keys = range(begin, min(begin + BATCH, len(samples)))
        batch = samples.prepare([samples[key] for key in keys], device)
        pred: Tensor = run.task.align(model(batch.inputs[learner]), batch.target)
        density, fixations = batch.target.density, batch.target.fixations
        values = (nss(pred, fixations), cc(pred, density), sim(pred, density), kld(pred, density))
        rows.append(torch.stack(values, dim=1).cpu())
    return torch.cat(rows).numpy()
