"""What adapting weights to other data brought, measured; the mean of the weights before and after is kept."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from torch import nn

from saliency.config.run import Learner, Run, Samples
from saliency.errors import InputError
from saliency.inference.card import card_of
from saliency.io.atomic import write_atomic
from saliency.io.weights import load_model, load_weights, save_model
from saliency.report.formats import heading, number
from saliency.runtime.distributed import World, pick_device
from saliency.training.average import mean_of
from saliency.training.meters import Tally
from saliency.training.run_folder import best_file

log = logging.getLogger(__name__)

FILE = "adapted.safetensors"
SCORES = "adaptation.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptation:
    """Keeps the mean of the weights before and after a run, and scores all three on the validation samples.

    The mean keeps most of what was learnt and loses less of what was known (Wortsman et al., "Robust fine-tuning of
    zero-shot models", CVPR 2022). Written below the run's folder: ``adapted.safetensors``, ``adaptation.json``.

    Attributes:
        share: of the weights after the run in the mean.
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InputError(f"share must be between 0 (as before) and 1 (as learnt), got {self.share}")

    def __call__(self, run: Run, folder: Path) -> None:
        """Average, score and write."""
        samples = run.data.validation({name: learner.model.input for name, learner in run.learners.items()})
        found: dict[str, dict[str, dict[str, float]]] = {}
        for name, learner in run.learners.items():
            before = learner.model.build()
            load_weights(before, learner.init)
            after = load_model(best_file(folder, run.stages[-1].name, name)).model
            mean = mean_of(before, after, self.share)
            models = {"before": before, "learnt": after, "mean": mean}
            found[name] = {kind: scores(run, samples, name, model) for kind, model in models.items()}
            path = folder / (FILE if len(run.learners) == 1 else f"{name}.{FILE}")
            save_model(path, mean, learner.model, self._facts(run, learner, found[name]["mean"]))
            log.info("%s: the mean, %g of it learnt; saliency infer VIDEO --weights %s", path, self.share, path)
            if not found[name]["mean"]["loss"] < found[name]["before"]["loss"]:
                log.warning("%s: the validation samples say that it is no better than before; keep those weights", path)
        with write_atomic(folder / SCORES) as file:
            json.dump({"share": self.share, "learners": found}, file, indent=2)
        _show(found)

    def combine(self, run: Run, folders: Sequence[Path], out: Path) -> None:
        """Write the means over the seeds."""
        each = [json.loads((folder / SCORES).read_text(encoding="utf-8"))["learners"] for folder in folders]
        found = {
            name: {
                kind: {m: sum(one[name][kind][m] for one in each) / len(each) for m in values}
                for kind, values in kinds.items()
            }
            for name, kinds in each[0].items()
        }
        with write_atomic(out / SCORES) as file:
            json.dump({"share": self.share, "seeds": len(folders), "learners": found}, file, indent=2)
        _show(found)

    def _facts(self, run: Run, learner: Learner, scored: Mapping[str, float]) -> dict[str, str]:
        """What is kept with the weights; the card of those before speaks of others, all but its licences."""
        start = load_model(learner.init) if learner.init.endswith(".safetensors") else None
        facts = {"run": run.name, "adapted_from": Path(learner.init).name, "share": f"{self.share:g}"}
        if start is not None:
            facts["adapted_from_sha256"] = start.sha256
            if card := card_of(start.metadata):
                facts["licences"] = json.dumps(dict(card.licences))
        return facts | {f"val_{metric}": f"{value:.6g}" for metric, value in scored.items()}


@torch.no_grad()
def scores(run: Run, samples: Samples, learner: str, model: nn.Module) -> dict[str, float]:
    """Return a model's mean scores on validation samples, by the measures of the run's task.

    Args:
        run: whose task scores.
        samples: made for the learners of the run.
        learner: whose input the model takes.
        model: it is put into evaluation mode.
    """
    device = pick_device(run.train.device)
    model.to(device).eval()
    tally = Tally(run.task)
    size = run.train.batch_size
    for first in range(0, len(samples), size):
        raw = [samples[i] for i in range(first, min(first + size, len(samples)))]
        batch = samples.prepare(raw, device)
        tally.add(run.task.align(model(batch.inputs[learner]), batch.target), batch.target)
    return tally.scores(World(rank=0, size=1, device=device))


def _show(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    """Print the scores."""
    for name, kinds in found.items():
        table = Table(title=f"{name}: validation samples, the mean is kept", box=SIMPLE)
        table.add_column("weights")
        for metric in kinds["before"]:
            table.add_column(metric if metric == "loss" else heading(metric), justify="right")
        for kind, values in kinds.items():
            table.add_row(kind, *(number(value) for value in values.values()))
        Console(markup=False).print(table)
