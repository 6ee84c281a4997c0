"""What a run is: a task, data, learners that learn in stages, and how the result is scored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import torch

from saliency.config import checks
from saliency.distillation.base import Distiller
from saliency.distillation.control import TaskOnly
from saliency.errors import InputError
from saliency.tasks.base import Task
from saliency.types import Batch, Init, InputSpec, ModelConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizer:
    """How one learner's weights move.

    Attributes:
        name: ``adam`` couples weight decay with the gradient (the papers' choice), ``adamw`` does not.
        lr: learning rate.
        weight_decay: weight decay of all parameters, unless `decay_norms` is False.
        schedule: ``constant``, or from `lr` to 0 over the stage by half a ``cosine`` or by ``poly`` (power 0.9), or
            ``trapezoid``: constant, and over the last fifth of the stage linearly to 0 (Hägele et al., NeurIPS 2024).
        warmup_steps: steps over which the rate rises linearly from 0.
        clip_norm: largest norm of the learner's whole gradient; None leaves it alone.
        lr_factors: part of a parameter's name -> factor of its learning rate, e.g. a slower backbone.
        decay_norms: False leaves normalisation layers, embeddings and position tables without weight decay.
    """

    name: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = 1e-4
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine", "poly", "trapezoid"] = "constant"
    warmup_steps: int = 0
    clip_norm: float | None = None
    lr_factors: dict[str, float] = field(default_factory=dict)
    decay_norms: bool = True

    def __post_init__(self) -> None:
        checks.choices(self)
        checks.counts(self, warmup_steps=0)
        checks.reals(self, lr=0, weight_decay=0, clip_norm=0)
        for part, factor in self.lr_factors.items():
            checks.real(f"lr_factors of '{part}'", factor, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learner:
    """A model in a run.

    Attributes:
        model: the model's config.
        optimizer: None makes it a frozen teacher, held in eval mode.
        init: the path of a checkpoint of this model (.safetensors, .pt, .pth), or a word that the model's config
            knows: ``"scratch"``, ``"kinetics"`` or ``"imagenet"`` (published weights of the backbone).
    """

    model: ModelConfig
    optimizer: Optimizer | None = field(default_factory=Optimizer)
    init: Init = "scratch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """How one learner is trained in a stage in which every learner trains alone.

    Attributes:
        epochs: passes over the training samples.
        batch_size: samples of one step, over all processes.
        accumulate: parts into which a step is split.
        validate_every: epochs between validations.
        monitor: what chooses its best weights; None: what the run's task says.
        optimizer: how its weights move in this stage; None: as in the run.
    """

    epochs: int
    batch_size: int
    accumulate: int = 1
    validate_every: int = 1
    monitor: str | None = None
    optimizer: Optimizer | None = None

    def __post_init__(self) -> None:
        checks.counts(self, epochs=0, batch_size=1, accumulate=1, validate_every=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One phase of training.

    Attributes:
        name: used in folders and tables, e.g. ``scratch``, ``control``, ``bi_kd``.
        epochs: passes over the training samples; 0 scores the starting point and keeps it as the stage's best. Of no
            meaning where the learners train alone.
        distiller: how the learners teach each other; `TaskOnly` trains each for itself.
        start: name of an earlier stage whose best checkpoints are the starting point.
        frozen: name -> learner: copies of learners as they are at the start of the stage, which take part in it
            without moving (as teachers, or as the "initial student" of KL+DP).
        lr: replaces every learner's learning rate in this stage.
        lr_factor: multiplies every learner's learning rate in this stage.
        weight_decay: replaces every learner's weight decay in this stage.
        alone: learner -> its own batch size, length and schedule. Then every learner is trained by itself, one after
            the other, to the last bit as in a run that has no other learner. Empty: all learn together.
        confidence: what methods that compare learners without ground truth go by: the ``task``'s own measure of a
            prediction, how little it changes when its clip is mirrored (``mirror``: minus the divergence between
            the two; one more forward pass of every learner), or minus its loss (``predicted``: the task's where there
            is ground truth, elsewhere predicted from what was seen with it, `saliency.training.predicted_loss`).
        samples: the training samples of the stage: ``all``, or those that are ``labelled`` or ``unlabelled``, where
            the data has samples without ground truth.
        task: replaces the run's task in training, for example by one with another rule of who teaches; what is
            validated stays the run's.
    """

    name: str
    epochs: int = 0
    distiller: Distiller = field(default_factory=TaskOnly)
    start: str | None = None
    frozen: dict[str, str] = field(default_factory=dict)
    lr: float | None = None
    lr_factor: float = 1.0
    weight_decay: float | None = None
    alone: dict[str, Alone] = field(default_factory=dict)
    confidence: Literal["task", "mirror", "predicted"] = "task"
    samples: Literal["all", "labelled", "unlabelled"] = "all"
    task: Task[Any] | None = None

    def __post_init__(self) -> None:
        checks.choices(self)
        checks.counts(self, epochs=0)
        checks.reals(self, lr=0, lr_factor=0, weight_decay=0)

    @property
    def length(self) -> int:
        """Epochs of the stage; where learners train alone, those of the longest."""
        return max((each.epochs for each in self.alone.values()), default=self.epochs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How the loop runs.

    Attributes:
        batch_size: samples of one step, over all processes.
        seed: everything random follows from it.
        workers: loader processes; 0 reads in the main process.
        device: ``auto`` takes a GPU when there is one.
        precision: arithmetic of the forward pass; losses are always in float32.
        accumulate: steps of gradient accumulation; the batch is split into that many parts.
        channels_last: memory format `channels_last_3d` for video models.
        compile: `torch.compile` every model.
        sync_batchnorm: share BatchNorm's statistics between processes (CUDA only); otherwise each process has
            those of its own part of the batch.
        validation_batch: samples validated at once; None: as many as a forward pass takes in training.
        validate_every: epochs between validations (the last epoch is always validated).
        checkpoint_every: steps between checkpoints to resume from.
        keep: how many of those are kept.
        keep_best: metrics, besides the one that the task monitors, by which a learner's best weights are kept too,
            as STAGE/LEARNER.METRIC.safetensors.
        log_every: steps between log lines; the loop waits for the device only there.
        max_bad_steps: a learner is stopped after this many non-finite steps in a row.
        threads: CPU threads of the main process; None leaves torch's choice.
        ema: a learner's weights are also averaged over the steps, each step keeping this share of the average
            (less at the beginning: `saliency.training.average`); the average is what is validated and kept. 0: not.
    """

    batch_size: int = 4
    seed: int = 0
    workers: int = 0
    device: str = "auto"
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    accumulate: int = 1
    channels_last: bool = False
    compile: bool = False
    sync_batchnorm: bool = False
    validation_batch: int | None = None
    validate_every: int = 1
    checkpoint_every: int = 200
    keep: int = 2
    keep_best: tuple[str, ...] = ()
    log_every: int = 20
    max_bad_steps: int = 10
    threads: int | None = None
    ema: float = 0.0

    def __post_init__(self) -> None:
        checks.choices(self)
        checks.counts(self, batch_size=1, accumulate=1, validate_every=1, checkpoint_every=1, keep=1, log_every=1)
        checks.counts(self, seed=0, workers=0, validation_batch=1, max_bad_steps=1, threads=1)
        checks.most(self, workers=1024, threads=1024)
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema must be in [0, 1), got {self.ema}")
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"batch_size {self.batch_size} cannot be split into accumulate={self.accumulate} equal parts"
            )


class Samples(Protocol):
    """A set of training or validation samples, made for the views of the run's learners.

    A training set is read by the key ``(seed, epoch, index)``, of which a sample is a pure function;
    a validation set by its index.
    """

    def __len__(self) -> int:
        """Samples in one epoch."""
        ...

    def __getitem__(self, key: Any) -> Any:
        """One raw sample, read on the CPU inside a loader process."""
        ...

    def prepare(self, samples: list[Any], device: torch.device) -> Batch[Any]:
        """Move the samples of a batch to the device and turn them into the learners' inputs."""
        ...


@runtime_checkable
class Fingerprint(Protocol):
    """Added by samples that can tell themselves from others: a resumed run refuses other data."""

    def fingerprint(self) -> str:
        """A hash of what the samples are made of."""
        ...


@runtime_checkable
class Ordered(Protocol):
    """Added by training samples that are not read in any order alike: those that come in shards."""

    def order(self, seed: int, epoch: int) -> list[int] | None:
        """Return the order in which an epoch visits them, each once; None: any."""
        ...


@runtime_checkable
class Subsets(Protocol):
    """Added by training samples of which some may have no ground truth."""

    def subset(self, *, labelled: bool) -> list[int]:
        """Return the indices of the samples that have ground truth, or of those that have none."""
        ...


class Data(Protocol):
    """What a run needs of its data."""

    def training(self, views: Mapping[str, InputSpec]) -> Samples:
        """Training samples for these learners."""
        ...

    def validation(self, views: Mapping[str, InputSpec]) -> Samples:
        """Validation samples for these learners."""
        ...


@runtime_checkable
class OwnData(Protocol):
    """Added by data that has rules of its own for a learner that trains alone."""

    def own(self, learner: str) -> Data:
        """The data as this learner alone takes it."""
        ...


class Report(Protocol):
    """What is made of a finished run, e.g. a leaderboard."""

    def __call__(self, run: "Run", folder: Path) -> None:
        """Score the best checkpoints below `folder` and write the tables there."""
        ...

    def combine(self, run: "Run", folders: Sequence[Path], out: Path) -> None:
        """Write tables over several runs that differ in their seed only."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A whole experiment.

    Attributes:
        name: the run's folder below the output folder.
        task: what is learnt.
        data: where samples come from.
        learners: name -> learner, in a fixed order.
        stages: run one after the other.
        train: how the loop runs.
        report: what is made of the result; None makes nothing.
    """

    name: str
    task: Task[Any]
    data: Data
    learners: dict[str, Learner]
    stages: tuple[Stage, ...]
    train: Training = field(default_factory=Training)
    report: Report | None = None

    def __post_init__(self) -> None:
        if not self.learners:
            raise ValueError("a run needs at least one learner")
        for what, names in (("learner", self.learners), ("stage", [stage.name for stage in self.stages])):
            for name in names:
                checks.file_name(what, name)
                if what == "stage" and name in checks.RESERVED:
                    raise InputError(f"a stage cannot be called '{name}': the run has a folder of that name")
        checks.file_name("run", self.name)
        seen: set[str] = set()
        for stage in self.stages:
            if stage.name in seen:
                raise ValueError(f"two stages are called '{stage.name}'")
            if stage.start is not None and stage.start not in seen:
                raise ValueError(f"stage '{stage.name}' starts from '{stage.start}', which does not come before it")
            for copy, source in stage.frozen.items():
                if source not in self.learners or copy in self.learners:
                    raise ValueError(f"stage '{stage.name}': '{copy}' cannot be a frozen copy of '{source}'")
            if stage.alone:
                self._check_alone(stage)
            seen.add(stage.name)

    def _check_alone(self, stage: Stage) -> None:
        trained = [name for name, learner in self.learners.items() if learner.optimizer is not None]
        if set(stage.alone) != set(trained):
            raise ValueError(
                f"stage '{stage.name}' trains {', '.join(stage.alone)} alone; it must say how for each of "
                f"{', '.join(trained)}"
            )
        if stage.frozen or not isinstance(stage.distiller, TaskOnly):
            raise ValueError(f"stage '{stage.name}': learners that train alone have no teachers")

    def part(self, stage: Stage, learner: str) -> "Run":
        """Return the run, without stages, of one learner in a stage in which the learners train alone."""
        alone, config = stage.alone[learner], self.learners[learner]
        task: Any = self.task
        return replace(
            self,
            task=task if alone.monitor is None else replace(task, monitor=alone.monitor),
            data=self.data.own(learner) if isinstance(self.data, OwnData) else self.data,
            learners={learner: replace(config, optimizer=alone.optimizer or config.optimizer)},
            stages=(),
            train=replace(
                self.train,
                batch_size=alone.batch_size,
                accumulate=alone.accumulate,
                validate_every=alone.validate_every,
            ),
        )
