"""Learners while they are trained: how they are made, and where they stand."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from saliency.config.run import Learner, Optimizer, Run, Stage, Training
from saliency.errors import InputError
from saliency.io.weights import load_weights
from saliency.runtime.distributed import World
from saliency.training.average import copy_of
from saliency.training.checkpoint import Checkpoint
from saliency.training.optimization import make_optimizer
from saliency.training.run_folder import best_file
from saliency.training.sampler import seed_of
from saliency.types import Init

WEIGHT_FILES = (".safetensors", ".pt", ".pth")


@dataclass(slots=True)
class Trained:
    """A learner while it is being trained.

    Attributes:
        name: its name in the run.
        view: the learner whose input it sees: itself, or the learner of which it is a frozen copy.
        config: what it was made from.
        model: the module itself, for weights.
        forward: the same module, compiled or distributed.
        optimizer: None for a frozen teacher.
        plan: how its weights move; None for a frozen teacher.
        bad_steps: () non-finite steps in a row, on the device.
        skipped: () non-finite steps in all, on the device.
        flags: for each step since the last log line, () whether it was non-finite, on the device.
        norm: () of the gradient of the last step, before it is clipped, on the device; NaN before the first.
        stopped: whether it was taken out of the run.
        average: the running average of its weights, which is what is scored and kept; None: the weights are.
    """

    name: str
    view: str
    config: Learner
    model: nn.Module
    forward: nn.Module
    optimizer: torch.optim.Optimizer | None
    plan: Optimizer | None
    bad_steps: Tensor
    skipped: Tensor
    flags: list[Tensor] = field(default_factory=list)
    norm: Tensor = field(default_factory=lambda: torch.tensor(torch.nan))
    stopped: bool = False
    average: nn.Module | None = None

    @property
    def scored(self) -> nn.Module:
        """The module that is validated and kept."""
        return self.model if self.average is None else self.average

    @property
    def active(self) -> bool:
        """Whether its weights still move."""
        return self.optimizer is not None and not self.stopped


@dataclass(slots=True)
class Progress:
    """Where a stage stands; JSON data.

    Attributes:
        step: steps done.
        best: name of the file of kept weights -> best value so far, higher is better.
        stopped: learners taken out for non-finite values.
        never_moved: those of them that never did a step.
        bad_steps: learner -> non-finite steps in a row.
        skipped: learner -> non-finite steps in all.
        loss_scale: factor on the loss, and steps since it last fell; for fp16.
        unlogged: for each process what was gathered since the last log line: sums of the meter, ids of samples,
            learner -> which steps were non-finite.
        done: whether the stage is complete.
    """

    step: int = 0
    best: dict[str, float] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)
    never_moved: list[str] = field(default_factory=list)
    bad_steps: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    loss_scale: list[float] = field(default_factory=lambda: [2.0**16, 0.0])
    unlogged: list[dict[str, Any]] = field(default_factory=list)
    done: bool = False

    @classmethod
    def of(cls, stored: dict[str, Any], folder: Path) -> "Progress":
        """Return what a checkpoint says.

        Raises:
            InputError: it has other fields than this version writes.
        """
        try:
            return cls(**stored)
        except TypeError as error:
            raise InputError(
                f"{folder} was written by another version of the project ({error}); go on with that one, or remove it"
            ) from error


def make_learners(
    run: Run, stage: Stage, folder: Path, world: World, state: Checkpoint | None, progress: Progress
) -> list[Trained]:
    """Make all learners of a stage: from a checkpoint, from an earlier stage, or from what the run says.

    Args:
        run: the run.
        stage: the stage that begins, or goes on.
        folder: of the run; the weights of an earlier stage lie there.
        world: this process among all of them.
        state: what to go on with; None to begin.
        progress: where the stage stands.

    Raises:
        InputError: weights cannot be used, or a setting does not fit this machine.
    """
    members = [(name, name, config) for name, config in run.learners.items()]
    for copy, view in stage.frozen.items():
        members.append((copy, view, replace(run.learners[view], optimizer=None)))
    learners = []
    for name, view, config in members:
        torch.manual_seed(seed_of("init", run.train.seed, view))
        trained = config.optimizer is not None
        weights = config.init if Path(config.init).suffix in WEIGHT_FILES else None
        if stage.start is not None and run.learners[view].optimizer is not None:
            weights = str(best_file(folder, stage.start, view))
        saved = state.models.get(name) if state is not None else None
        model = _build(name, config, "scratch" if weights or saved else config.init)
        if saved is not None:
            model.load_state_dict(dict(saved))
        elif weights is not None:
            if stage.start is not None and not Path(weights).is_file():
                raise InputError(
                    f"stage {stage.name}: there is no {weights} to start from: the scores of learner {view} in stage "
                    f"{stage.start} were never finite; lower its learning rate, and look at its weights and samples"
                )
            load_weights(model, weights)
        model.to(world.device).train(trained)
        average = copy_of(model) if trained and run.train.ema else None
        if average is not None and state is not None:
            average.load_state_dict(dict(state.models[f"{name}.average"]))
        if not trained:
            model.requires_grad_(False)
        learner = Trained(
            name=name,
            view=view,
            config=config,
            model=model,
            forward=_wrap(model, run.train, world, trained=trained),
            optimizer=make_optimizer(config.optimizer, model, stage) if config.optimizer else None,
            plan=config.optimizer,
            bad_steps=torch.tensor(float(progress.bad_steps.get(name, 0)), device=world.device),
            skipped=torch.tensor(float(progress.skipped.get(name, 0)), device=world.device),
            stopped=name in progress.stopped,
            average=average,
        )
        if state is not None and learner.optimizer is not None:
            learner.optimizer.load_state_dict(state.optimizers[name])
        learners.append(learner)
    return learners


def _build(name: str, config: Learner, init: Init) -> nn.Module:
    """Build a learner's model.

    Raises:
        InputError: its settings fit together to no model, or see its `build`.
    """
    words = f"learner {name}: no model can be built of its {type(config.model).__name__} ({{}}); change its settings"
    try:
        model = config.model.build(init)
    except (InputError, MemoryError, torch.OutOfMemoryError):
        raise
    except (ValueError, ZeroDivisionError, RuntimeError) as error:
        raise InputError(words.format(" ".join(str(error).split())[:200])) from error
    if empty := [key for key, weight in model.named_parameters() if not weight.numel()]:
        raise InputError(words.format(f"{empty[0]} would be empty"))
    return model


def _wrap(model: nn.Module, train: Training, world: World, *, trained: bool) -> nn.Module:
    forward: nn.Module = model
    if train.sync_batchnorm and trained and world.size > 1:
        if world.device.type != "cuda":
            raise InputError("train.sync_batchnorm needs CUDA; set train.sync_batchnorm=false")
        forward = nn.SyncBatchNorm.convert_sync_batchnorm(forward)  # in place; the names stay
    if train.compile:
        forward = torch.compile(forward)  # pyright: ignore[reportAssignmentType]
    if world.size > 1 and trained:
        # a model may keep weights that it never uses, for checkpoints of the published code;
        # buffers are shared when they are needed, before validation
        forward = DistributedDataParallel(forward, find_unused_parameters=True, broadcast_buffers=False)
    return forward
