"""What a run will cost: a few real steps of every stage, nothing kept."""

import math
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from saliency.config.run import Data, Run, Stage
from saliency.data.clips import SaliencyClips
from saliency.datasets.ade20k import ADE20K
from saliency.datasets.image_folder import ImageFolder
from saliency.datasets.synthetic import Synthetic
from saliency.datasets.synthetic_images import SyntheticADE20K, SyntheticImageFolder
from saliency.errors import InputError
from saliency.runtime import memory
from saliency.runtime.distributed import World, join
from saliency.runtime.interrupt import StopRequest
from saliency.training.logbook import Logbook
from saliency.training.samples import RunSamples
from saliency.training.trainer import Trainer, check_splits

SLOW_STEP = 5.0
"""Seconds of a step beyond which a larger batch teaches nothing more about the time of a sample."""
SHARE = 0.8
"""Part of the free memory that a batch may be expected to take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCost:
    """The cost of a stage.

    Attributes:
        stage: its name; of learners that train alone, STAGE/LEARNER.
        steps: steps of the whole stage.
        batch: samples of a step.
        measured_batch: samples of each step that was done: fewer where `batch` does not fit into the memory at once,
            where it is split by ``train.accumulate``, or where a step takes longer than `SLOW_STEP`.
        step_seconds: of each step that was done; the first one warms up.
        samples_per_second: over all processes; 0 if the stage has no step.
        validation_seconds: of scoring all learners on the whole validation set once.
        validations: how often that happens.
        memory_gib: largest memory in the measured steps, of the GPU where there is one, else of this process.
    """

    stage: str
    steps: int
    batch: int
    measured_batch: int
    step_seconds: list[float]
    samples_per_second: float
    validation_seconds: float
    validations: int
    memory_gib: float

    @property
    def hours(self) -> float:
        """Projected duration of the stage; a step takes as long as its parts."""
        step = steady(self.step_seconds) * self.batch / self.measured_batch if self.step_seconds else 0.0
        return (self.steps * step + self.validations * self.validation_seconds) / 3600


def with_synthetic_data(run: Run) -> Run:
    """Return `run` with made-up videos or images in place of its data set, as many and as large as the real ones.

    Raises:
        InputError: nothing stands in for its data.
    """
    data, stand_in = run.data, None
    if isinstance(data, SaliencyClips):
        stand_in: Data | None = replace(data, source=Synthetic(), cache="none", alone={})
    elif isinstance(data, ImageFolder):
        classes = min(getattr(learner.model, "classes", 1000) for learner in run.learners.values())
        stand_in = SyntheticImageFolder(augmentation=data.augmentation, classes=classes)
    elif isinstance(data, ADE20K):
        stand_in = SyntheticADE20K(size=data.size, augmentation=data.augmentation)
    if stand_in is None:
        raise InputError(
            f"--synthetic stands in for videos, ImageNet and ADE20K; {run.name} learns from {type(data).__name__}"
        )
    return replace(run, data=stand_in, train=replace(run.train, workers=0))  # made-up data costs nothing to read


def dry_run(run: Run, steps: int) -> Iterator[StageCost]:
    """Do `steps` real steps of every stage and score one batch; all weights are drawn at random.

    The batch is as large as the memory allows, at most that of the run.

    Args:
        run: what would be trained.
        steps: at least 1; with more than 1 the first does not count.

    Yields:
        the cost of each stage, or of each learner of a stage in which they train alone.

    Raises:
        InputError: `steps` is below 1, the data cannot be used, or not even one sample fits.
    """
    if steps < 1:
        raise InputError(f"--dry-run wants at least 1 step, got {steps}")
    run = replace(run, learners={name: replace(learner, init="scratch") for name, learner in run.learners.items()})
    with join(run.train.device) as world, tempfile.TemporaryDirectory() as folder:
        with world.together():
            samples = RunSamples.of(run)
            check_splits(run, samples, world.size)
        if run.train.threads is not None:
            torch.set_num_threads(run.train.threads)
        for stage in run.stages:
            if not stage.alone:
                yield _Rehearsal(run, stage, samples, world, Path(folder)).cost(stage.name, steps)
            for name, alone in stage.alone.items():
                part, own = run.part(stage, name), replace(stage, epochs=alone.epochs, alone={})
                rehearsal = _Rehearsal(part, own, samples.alone[stage.name, name], world, Path(folder))
                yield rehearsal.cost(f"{stage.name}/{name}", steps)


class _Rehearsal:
    """A stage with learners of random weights."""

    def __init__(self, run: Run, stage: Stage, samples: RunSamples, world: World, folder: Path) -> None:
        self.run, self.stage, self.samples = run, replace(stage, start=None), samples
        self.world, self.folder = world, folder
        self.learners = self._trainer(run.train.batch_size).fresh(stage)

    def cost(self, name: str, steps: int) -> StageCost:
        """Measure the stage."""
        run, stage = self.run, self.stage
        batch = self._fitting()
        seconds: list[float] = []
        memory.reset_peak(self.world.device)
        if stage.epochs:
            seconds = self._trainer(batch).rehearse(stage, self.learners, steps)
        scoring = self._trainer(batch).rehearse_scoring(self.learners)
        return StageCost(
            stage=name,
            steps=max(1, len(self.samples.training) // run.train.batch_size) * stage.epochs,
            batch=run.train.batch_size,
            measured_batch=batch,
            step_seconds=seconds,
            samples_per_second=batch / steady(seconds) if seconds else 0.0,
            validation_seconds=scoring * len(self.samples.validation) / self.world.size,
            validations=max(1, math.ceil(stage.epochs / run.train.validate_every)),
            memory_gib=memory.peak(self.world.device) / 2**30,
        )

    def _fitting(self) -> int:
        """The most samples, over all processes, that a step can take at once."""
        limit = self.run.train.batch_size // self.run.train.accumulate
        if self.world.size > 1 or not self.stage.epochs:
            return limit
        batch, device = min(2, limit), self.world.device
        while True:
            free, before = memory.left(device), memory.taken(device)
            memory.reset_peak(device)
            try:
                (seconds,) = self._trainer(batch).rehearse(self.stage, self.learners, 1)
            except torch.OutOfMemoryError as error:
                if batch == 1:
                    raise InputError(f"stage {self.stage.name}: not even one sample fits into the memory") from error
                return max(1, batch // 2)
            larger = min(limit, 2 * batch)
            wanted = (memory.peak(device) - before) * larger / batch  # gradients and moments do not grow: too much
            if larger == batch or seconds > SLOW_STEP or (free is not None and wanted > SHARE * free):
                return batch
            batch = larger

    def _trainer(self, batch: int) -> Trainer:
        """A trainer whose steps have so many samples."""
        train = replace(self.run.train, batch_size=batch, accumulate=1)
        if train.validation_batch is not None:
            train = replace(train, validation_batch=min(batch, train.validation_batch))
        logbook = Logbook(self.folder, main=False)
        request = StopRequest()  # of nobody: there is nothing to save, so a signal ends the process at once
        run = replace(self.run, stages=(self.stage,), train=train)
        return Trainer(run, self.folder, self.world, request, logbook, self.samples)


def steady(seconds: list[float]) -> float:
    """Return the median without the first, which warms up."""
    return statistics.median(seconds[1:] or seconds)
