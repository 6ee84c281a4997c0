"""What a run will cost: a few real steps of every stage, nothing kept."""

import resource
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from saliency.config.run import Run
from saliency.data.clips import SaliencyClips
from saliency.datasets.synthetic import Synthetic
from saliency.errors import InputError
from saliency.runtime.distributed import join
from saliency.runtime.interrupt import StopRequest
from saliency.training.logbook import Logbook
from saliency.training.trainer import Trainer, check_split


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCost:
    """The cost of a stage.

    Attributes:
        stage: its name.
        steps: steps of the whole stage.
        step_seconds: of each step that was done; the first one warms up.
        samples_per_second: over all processes; 0 if the stage has no step.
        validation_seconds: of scoring all learners on the whole validation set once.
        validations: how often that happens.
        memory_gib: largest memory so far, of the GPU where there is one, else of this process.
    """

    stage: str
    steps: int
    step_seconds: list[float]
    samples_per_second: float
    validation_seconds: float
    validations: int
    memory_gib: float

    @property
    def hours(self) -> float:
        """Projected duration of the stage."""
        steps = self.steps * steady(self.step_seconds) if self.step_seconds else 0.0
        return (steps + self.validations * self.validation_seconds) / 3600


def with_synthetic_videos(run: Run) -> Run:
    """Return `run` with made-up videos in place of its data set.

    Raises:
        InputError: the run does not learn from videos.
    """
    if not isinstance(run.data, SaliencyClips):
        raise InputError(f"--synthetic stands in for videos; {run.name} learns from {type(run.data).__name__}")
    return replace(run, data=replace(run.data, source=Synthetic(), cache="none"))


def dry_run(run: Run, steps: int) -> Iterator[StageCost]:
    """Do `steps` real steps of every stage, at full size, and score one batch; all weights are drawn at random.

    Args:
        run: what would be trained.
        steps: at least 1; with more than 1 the first does not count.

    Yields:
        the cost of each stage.

    Raises:
        InputError: `steps` is below 1, or the data cannot be used.
    """
    if steps < 1:
        raise InputError(f"--dry-run wants at least 1 step, got {steps}")
    run = replace(run, learners={name: replace(learner, init="scratch") for name, learner in run.learners.items()})
    views = {name: learner.model.input for name, learner in run.learners.items()}
    request = StopRequest()  # of nobody: there is nothing to save, so a signal ends the process at once
    with join(run.train.device) as world, tempfile.TemporaryDirectory() as folder:
        with world.together():
            training, validation = run.data.training(views), run.data.validation(views)
            check_split(run.train, len(training), world.size)
        if run.train.threads is not None:
            torch.set_num_threads(run.train.threads)
        trainer = Trainer(run, Path(folder), world, request, Logbook(Path(folder), main=False), training, validation)
        for stage in run.stages:
            total, seconds, validation_second = trainer.rehearse(stage, steps)
            epochs = range(1, stage.epochs + 1)
            validated = [e for e in epochs if e % run.train.validate_every == 0 or e == stage.epochs]
            yield StageCost(
                stage=stage.name,
                steps=total,
                step_seconds=seconds,
                samples_per_second=run.train.batch_size / steady(seconds) if seconds else 0.0,
                validation_seconds=validation_second * len(validation) / world.size,
                validations=max(1, len(validated)),
                memory_gib=_peak_memory(world.device),
            )


def steady(seconds: list[float]) -> float:
    """Return the median without the first, which warms up."""
    return statistics.median(seconds[1:] or seconds)


def _peak_memory(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # kilobytes
