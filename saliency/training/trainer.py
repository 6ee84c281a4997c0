"""The training loop: stages of a run, one after the other, any number of learners at once.

Everything random follows from (seed, stage, step, learner), and every sample from (seed, epoch, index): a run
that was stopped anywhere goes on from its last checkpoint with the same numbers as one that never stopped.
"""

import contextlib
import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from saliency.config.run import Ordered, Run, Samples, Stage, Subsets, Training
from saliency.data.trained_on import KEY as TRAINED_ON
from saliency.data.trained_on import checksums
from saliency.distillation.base import check_heads, combine
from saliency.distillation.control import TaskOnly
from saliency.errors import InputError, nearest
from saliency.io.weights import save_model
from saliency.metrics.frame import lower_is_better
from saliency.runtime import interrupt
from saliency.runtime.distributed import World, join
from saliency.tasks.base import Pictures, Task
from saliency.training import average, checkpoint, run_folder
from saliency.training.bf16_guard import Bf16Guard
from saliency.training.checkpoint import Checkpoint
from saliency.training.learners import Progress, Trained, make_learners
from saliency.training.logbook import Logbook
from saliency.training.meters import Meter, Tally
from saliency.training.optimization import LossScale, rate
from saliency.training.predicted_loss import LossPredictor
from saliency.training.run_folder import best_file
from saliency.training.sampler import Steps, epoch_order, seed_of
from saliency.training.samples import RunSamples

log = logging.getLogger(__name__)

FIRST_STEPS = 20
"""A learner that cannot do a single one of so many first steps of a stage will never learn."""

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def train(run: Run, folder: Path, *, resume: bool = False, force: bool = False) -> None:
    """Train all stages of `run`, writing everything below `folder`.

    Args:
        run: what to train.
        folder: config, checkpoints, best weights, logs and curves go here.
        resume: go on with what `folder` holds.
        force: resume although the config has changed.

    Raises:
        InputError: the folder, the data or a checkpoint cannot be used.
        Interrupted: Ctrl-C or SIGTERM arrived; the run is saved and can be resumed.
    """
    with join(run.train.device) as world, contextlib.ExitStack() as stack:
        with world.together():
            # before the folder is claimed: a run whose data is missing leaves nothing behind
            samples = RunSamples.of(run)
            check_splits(run, samples, world.size)
            if not all(stage.alone for stage in run.stages):
                check_enough(run.train, len(samples.training))
            check_metrics(run)
        facts = {"processes": world.size, **samples.fingerprints()}
        with world.together():
            if world.main:
                stack.enter_context(run_folder.claim(folder, run, facts, resume=resume, force=force))
        if run.train.threads is not None:
            torch.set_num_threads(run.train.threads)
        request = stack.enter_context(interrupt.listen())
        logbook = stack.enter_context(Logbook(folder, main=world.main))
        trainer = Trainer(run, folder, world, request, logbook, samples)
        for stage in run.stages:
            trainer.run_stage(stage, resume=resume)
        logbook.summary(run)


def check_metrics(run: Run) -> None:
    """Refuse to choose weights by what the task does not measure.

    Raises:
        InputError: names the option, and the metric that may have been meant.
    """
    known = list(dict.fromkeys(["loss", run.task.monitor, *run.task.metrics]))
    asked = [("train.keep_best", name) for name in run.train.keep_best]
    asked += [
        (f"stages.{stage.name}.alone.{name}.monitor", alone.monitor)
        for stage in run.stages
        for name, alone in stage.alone.items()
        if alone.monitor is not None
    ]
    for option, name in asked:
        if name not in known:
            raise InputError(f"{option}: no metric '{name}'{nearest(name, known)}; this task has {', '.join(known)}")


def check_splits(run: Run, samples: RunSamples, processes: int) -> None:
    """Refuse a run with a step that cannot be split into equal parts for all processes.

    Raises:
        InputError: says which numbers do not fit.
    """
    if not all(stage.alone for stage in run.stages):
        check_split(run.train, len(samples.training), processes)
    for (stage, name), own in samples.alone.items():
        part = run.part(next(each for each in run.stages if each.name == stage), name)
        check_split(part.train, len(own.training), processes, f"stages.{stage}.alone.{name}")


def check_split(train: Training, size: int, processes: int, option: str = "train") -> None:
    """Refuse steps that cannot be split into equal parts for all processes; `option` holds the batch size.

    Raises:
        InputError: says which numbers do not fit.
    """
    if train.batch_size % (train.accumulate * processes):
        raise InputError(
            f"a batch of {train.batch_size} cannot be split over {processes} processes and accumulate="
            f"{train.accumulate}; choose {option}.batch_size as a multiple of {train.accumulate * processes}"
        )
    if size < 1:
        raise InputError("the training set has no sample: nothing can be learnt; look at the data and its splits")
    if processes > 1 and size < train.batch_size:
        raise InputError(
            f"the training set has {size} samples, less than a batch of {train.batch_size}; start one process"
        )


def check_enough(train: Training, size: int) -> None:
    """Refuse a batch that the training set cannot fill: the run would be another one than was asked for.

    Raises:
        InputError: says how many samples there are.
    """
    if size < train.batch_size:
        raise InputError(
            f"the training set has {size} samples, less than a batch of {train.batch_size}; lower train.batch_size"
        )


class Trainer:
    """Runs the stages of one run in one process (of possibly several)."""

    def __init__(
        self,
        run: Run,
        folder: Path,
        world: World,
        request: interrupt.StopRequest,
        logbook: Logbook,
        samples: RunSamples,
    ) -> None:
        self.run, self.folder, self.world, self.request, self.logbook = run, folder, world, request, logbook
        self.samples, self.training, self.validation = samples, samples.training, samples.validation
        self._trained_on: str | None = None
        self.device = world.device
        self.loss_scale: LossScale | None = None
        guarded = self.device.type == "cpu" and run.train.precision == "bf16"
        self.guard = Bf16Guard(compiled=run.train.compile) if guarded else None
        self.validation_loaders: dict[int | None, DataLoader[Any]] = {}
        self.predictor: LossPredictor | None = None
        self.recent: list[list[str]] = []  # ids of the samples of each step since the last log line
        self.offsets, spent = {}, 0  # epochs spent before each stage
        for stage in run.stages:
            # stages that start from the same weights see the same samples, so that they can be compared
            origin = stage.start
            self.offsets[stage.name] = spent if origin is None else self.offsets[origin] + self._epochs(origin)
            spent = max(spent, self.offsets[stage.name] + stage.length)

    def _epochs(self, stage_name: str) -> int:
        return next(stage.length for stage in self.run.stages if stage.name == stage_name)

    def alone(self, stage: Stage, name: str) -> tuple["Trainer", Stage]:
        """Return the trainer of one learner, and its stage, where the learners of a stage train alone."""
        part = self.run.part(stage, name)
        samples = self.samples.alone[stage.name, name]
        trainer = Trainer(part, self.folder, self.world, self.request, self.logbook, samples)
        trainer.offsets = self.offsets
        return trainer, replace(stage, epochs=stage.alone[name].epochs, alone={})

    # One stage

    def run_stage(self, stage: Stage, *, resume: bool, alone: str = "") -> None:
        """Train all learners through `stage`, or what is left of it.

        Args:
            stage: the stage.
            resume: go on with what the folder holds.
            alone: the learner that this trainer trains by itself; empty: all together.
        """
        for name in stage.alone:
            trainer, own = self.alone(stage, name)
            trainer.run_stage(own, resume=resume, alone=name)
        if stage.alone:
            return
        states = self.folder / stage.name / "checkpoints" / alone
        saved = checkpoint.steps(states) if resume else []
        state = checkpoint.load(saved[-1]) if saved else None
        progress = Progress.of(state.progress, saved[-1]) if state else Progress()
        if progress.done:
            return
        learners = self._learners(stage, state, progress)
        steps = self._steps(stage, progress.step)
        self.logbook.begin(stage.name, steps.total, progress.step, alone)
        self.logbook.settings(self.run)
        meter = Meter([learner.name for learner in learners], self.device)
        self.loss_scale = LossScale(progress.loss_scale, self.device) if self.run.train.precision == "fp16" else None
        self.recent = []
        self.predictor = self._predictor(stage, learners)
        if len(progress.unlogged) == self.world.size:  # with another number of processes they are let go
            self._recall(learners, meter, progress.unlogged[self.world.rank])
        loader = self._loader(self.training, steps, self.run.train.workers)
        parts = iter(loader)
        if steps.total == 0:  # nothing to learn: score and keep the starting point
            self._validate(stage, learners, progress)
            progress.done = True
            self._save(states, learners, meter, progress)
        for number in range(progress.step, steps.total):
            self._step(stage, learners, parts, steps, number, meter)
            progress.step = number + 1
            if progress.step == min(FIRST_STEPS, steps.total):
                self._check_first_steps(stage, learners, progress)
            at_end_of_epoch = progress.step % steps.per_epoch == 0
            if progress.step % self.run.train.log_every == 0 or at_end_of_epoch:
                self._log(stage, learners, meter, progress, lr_at=number, total=steps.total)
            epoch = progress.step // steps.per_epoch
            last = progress.step == steps.total
            if at_end_of_epoch and (last or epoch % self.run.train.validate_every == 0):
                self._validate(stage, learners, progress)
            progress.done = last
            stop = self._stop_requested()
            if last or stop or progress.step % self.run.train.checkpoint_every == 0:
                self._save(states, learners, meter, progress)
            if stop and not last:
                raise interrupt.Interrupted(self.request.signal or 15)
        self.logbook.end()

    def fresh(self, stage: Stage) -> list[Trained]:
        """Return the learners of a stage at the weights that the run itself gives them."""
        return self._learners(replace(stage, start=None), None, Progress())

    def rehearse(self, stage: Stage, learners: list[Trained], count: int) -> list[float]:
        """Do the first `count` steps of a stage, keeping nothing, and return the seconds of each."""
        steps = self._steps(stage, 0)
        meter = Meter([learner.name for learner in learners], self.device)
        self.loss_scale = LossScale(Progress().loss_scale, self.device) if self.run.train.precision == "fp16" else None
        self.predictor = self._predictor(stage, learners)
        parts = iter(self._loader(self.training, steps, self.run.train.workers))
        seconds = []
        for number in range(min(count, steps.total)):
            begin = time.perf_counter()
            self._step(stage, learners, parts, steps, number, meter)
            meter.read(self.world)  # waits for the device
            seconds.append(time.perf_counter() - begin)
        return seconds

    def rehearse_scoring(self, learners: list[Trained]) -> float:
        """Score one batch and return the seconds of a sample."""
        begin = time.perf_counter()
        self._scores(learners, 0, limit=1)
        size = self.run.train.validation_batch or self.run.train.batch_size // self.run.train.accumulate
        return (time.perf_counter() - begin) / min(size, len(self.validation))

    def _learners(self, stage: Stage, state: Checkpoint | None, progress: Progress) -> list[Trained]:
        learners = make_learners(self.run, stage, self.folder, self.world, state, progress)
        if self.guard is not None:
            for learner in learners:
                self.guard.watch(learner.name, learner.model)
        return learners

    def _steps(self, stage: Stage, first: int) -> Steps:
        size, order = self._visited(stage)
        return Steps(
            seed=self.run.train.seed,
            size=size,
            epochs=stage.epochs,
            batch_size=self.run.train.batch_size,
            accumulate=self.run.train.accumulate,
            first=first,
            rank=self.world.rank,
            world=self.world.size,
            offset=self.offsets[stage.name],
            order=order,
        )

    def _visited(self, stage: Stage) -> tuple[int, Callable[[int, int], list[int] | None] | None]:
        """How many samples an epoch of a stage visits, and in which order; None: any.

        Raises:
            InputError: there are no such samples, or less than a batch.
        """
        training, order = self.training, None
        if isinstance(training, Ordered):
            order = training.order
        if stage.samples == "all":
            return len(training), order
        chosen = training.subset(labelled=stage.samples == "labelled") if isinstance(training, Subsets) else []
        if not chosen:
            raise InputError(f"stage {stage.name}: the data has no {stage.samples} samples; leave `samples` out")
        check_enough(self.run.train, len(chosen))
        there = set(chosen)

        def visit(seed: int, epoch: int) -> list[int]:
            given = None if order is None else order(seed, epoch)
            if given is not None:
                return [i for i in given if i in there]
            return [chosen[i] for i in epoch_order(seed, epoch, len(chosen))]

        return len(chosen), visit

    def _loader(self, samples: Samples, batches: Any, workers: int, *, keep_workers: bool = False) -> DataLoader[Any]:
        return DataLoader(
            samples,  # pyright: ignore[reportArgumentType]  # any object with __len__ and __getitem__
            batch_sampler=batches,
            collate_fn=_keep,
            num_workers=workers,
            pin_memory=self.device.type == "cuda",
            multiprocessing_context="spawn" if workers else None,
            persistent_workers=keep_workers and workers > 0,
        )

    def _predictor(self, stage: Stage, learners: list[Trained]) -> LossPredictor | None:
        if stage.confidence != "predicted":
            return None
        return LossPredictor([learner.name for learner in learners], self.device)

    # One step

    def _step(
        self,
        stage: Stage,
        learners: list[Trained],
        parts: Iterator[Any],
        steps: Steps,
        number: int,
        meter: Meter,
    ) -> None:
        plan = steps.step(number)
        samples = sum(len(part) for part in plan)
        for learner in learners:
            if learner.optimizer is not None:
                learner.optimizer.zero_grad(set_to_none=True)
        self.recent.append([])
        for position, part in enumerate(plan):
            batch = self.training.prepare(next(parts), self.device)
            self.recent[-1] += batch.ids
            final = position == len(plan) - 1
            with contextlib.ExitStack() as stack:
                if not final:  # gradients are exchanged between processes once a step
                    for learner in learners:
                        if isinstance(learner.forward, DistributedDataParallel):
                            stack.enter_context(learner.forward.no_sync())
                preds = self._forward(stage, learners, batch, number, position)
                task = stage.task or self.run.task
                compared = {name: task.comparable(pred) for name, pred in preds.items()}
                check_heads(compared, f"stage {stage.name}")
                losses = {name: task.loss(pred, batch.target) for name, pred in preds.items()}
                ranked = {name: task.ranking(preds[name], batch.target, loss.detach()) for name, loss in losses.items()}
                for learner in learners:
                    if learner.stopped:  # keeps its place without a score: it neither teaches nor learns
                        for values in (losses, compared, ranked):
                            values[learner.name] = torch.full_like(next(iter(values.values())).detach(), torch.nan)
                confidences: Mapping[str, Tensor] = Confidences(task, compared)
                if stage.confidence == "mirror":
                    confidences = self._constancy(task, learners, batch, compared)
                elif self.predictor is not None:
                    confidences = self.predictor.confidences(task, compared, ranked)
                transfer = stage.distiller(compared, ranked, task.divergence, confidences=confidences)
                trained = {learner.name: losses[learner.name] for learner in learners if learner.active}
                total = combine(trained, transfer)
                if total.requires_grad:
                    # mean over the step; DDP averages over processes, whose parts are equally large
                    total = total * (len(part) / samples)
                    (total if self.loss_scale is None else total * self.loss_scale.value).backward()
            meter.add(losses, transfer.loss, transfer.teachers, list(compared))
        for learner in learners:
            if learner.active:
                self._update(learner, number, steps.total)
        if self.guard is not None:
            self.guard.tell()
        if self.loss_scale is not None:
            self.loss_scale.update([learner.flags[-1] for learner in learners if learner.active and learner.flags])

    def _forward(
        self, stage: Stage, learners: list[Trained], batch: Any, number: int, position: int
    ) -> dict[str, Tensor]:
        """Predict with every learner; what is random in a learner depends on no other learner."""
        dtype = PRECISIONS[self.run.train.precision]
        preds = {}
        for learner in learners:
            if learner.stopped:
                continue
            seed = seed_of("forward", self.run.train.seed, stage.name, number, position, learner.name, self.world.rank)
            torch.default_generator.manual_seed(seed)  # torch.manual_seed costs 100 times as much
            if self.device.type == "cuda":
                torch.cuda.manual_seed(seed)
            clip = batch.inputs[learner.view]
            if self.run.train.channels_last and clip.ndim == 5:
                clip = clip.to(memory_format=torch.channels_last_3d)
            autocast = torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None)
            with autocast, torch.set_grad_enabled(learner.active):
                output = learner.forward(clip)
            preds[learner.name] = self.run.task.align(output, batch.target)
        return preds

    @torch.no_grad()
    def _constancy(
        self, task: Task[Any], learners: list[Trained], batch: Any, compared: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """(B,) of each learner: minus the divergence of its prediction from the mirrored one of the mirrored clip."""
        dtype, found = PRECISIONS[self.run.train.precision], {}
        for learner in learners:
            if learner.stopped:
                found[learner.name] = torch.full_like(task.confidence(compared[learner.name].detach()), torch.nan)
                continue
            training = learner.model.training
            learner.model.eval()  # statistics of batches are not to see a clip twice
            with torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None):
                output = learner.model(batch.inputs[learner.view].flip(-1))
            learner.model.train(training)
            pred = task.comparable(task.align(output, batch.target))
            pred = pred.flip(-1) if pred.ndim > 2 else pred  # logits of a picture have no left and right
            found[learner.name] = -task.divergence(compared[learner.name].detach(), pred)
        return found

    def _update(self, learner: Trained, number: int, total: int) -> None:
        """Move a learner's weights, unless its gradient is not finite; decided on the device."""
        assert learner.optimizer is not None and learner.plan is not None
        parameters = [p for group in learner.optimizer.param_groups for p in group["params"] if p.grad is not None]
        if not parameters:
            return
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        scale = None if self.loss_scale is None else self.loss_scale.value
        if scale is not None:
            norm = norm / scale
        learner.norm = norm
        bad = (~torch.isfinite(norm)).float()
        learner.bad_steps.add_(1).mul_(bad)
        learner.skipped.add_(bad)
        learner.flags.append(bad)
        if learner.plan.clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(parameters, learner.plan.clip_norm, norm)
        for group in learner.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * rate(learner.plan, number, total)
        # fused optimizers read these two: they divide by the scale and leave everything as it is when found_inf is 1
        learner.optimizer.found_inf = bad  # pyright: ignore[reportAttributeAccessIssue]
        learner.optimizer.grad_scale = scale  # pyright: ignore[reportAttributeAccessIssue]
        learner.optimizer.step()
        if learner.average is not None:
            average.follow(learner.average, learner.model, self.run.train.ema, number)

    # Validation, logging, saving

    def _validate(self, stage: Stage, learners: list[Trained], progress: Progress) -> None:
        """Score every learner on the validation samples and keep its best weights."""
        scored = [learner for learner in learners if not learner.stopped]
        for learner, scores in zip(scored, self._scores(scored, progress.step), strict=True):
            self.logbook.scores(stage.name, learner.name, progress.step, scores)
            self._keep_best(stage, learner, progress, scores)

    @torch.no_grad()
    def _scores(self, learners: list[Trained], step: int, limit: int | None = None) -> list[dict[str, float]]:
        """Score learners on the validation samples, or on `limit` batches of them."""
        loader = self._validation_loader(limit)
        tallies = {learner.name: Tally(self.run.task) for learner in learners}
        for learner in learners:
            learner.scored.eval()
            self.world.share_buffers(learner.scored)
        for number, raw in enumerate(loader):
            batch = self.validation.prepare(raw, self.device)
            for learner in learners:
                pred = self.run.task.align(learner.scored(batch.inputs[learner.view]), batch.target)
                tallies[learner.name].add(pred, batch.target)
                if number == 0 and self.world.main and isinstance(self.run.task, Pictures):
                    spec = learner.config.model.input
                    picture = self.run.task.picture(batch.inputs[learner.view], batch.target, pred, spec)
                    self.logbook.picture(learner.name, step, picture)
        for learner in learners:
            learner.model.train(learner.active)
        return [tallies[learner.name].scores(self.world) for learner in learners]

    def _validation_loader(self, limit: int | None) -> DataLoader[Any]:
        """Make the loader of this process's share once: starting workers costs seconds."""
        if limit not in self.validation_loaders:
            size = self.run.train.validation_batch or self.run.train.batch_size // self.run.train.accumulate
            mine = range(self.world.rank, len(self.validation), self.world.size)
            batches = [list(mine[at : at + size]) for at in range(0, len(mine), size)][:limit]
            workers = min(self.run.train.workers, len(batches))
            self.validation_loaders[limit] = self._loader(self.validation, batches, workers, keep_workers=True)
        return self.validation_loaders[limit]

    def _keep_best(self, stage: Stage, learner: Trained, progress: Progress, scores: Mapping[str, float]) -> None:
        """Keep the learner's weights if they are the best so far by the monitored metric, or by another asked for."""
        monitor = self.run.task.monitor
        if learner.optimizer is None:
            return
        facts = {"run": self.run.name, "stage": stage.name, "learner": learner.name, "step": str(progress.step)}
        facts |= {f"val_{name}": f"{score:.6g}" for name, score in scores.items()}
        for metric in dict.fromkeys((monitor, *self.run.train.keep_best)):
            file = learner.name if metric == monitor else f"{learner.name}.{metric}"
            value = -scores[metric] if metric == "loss" or lower_is_better(metric) else scores[metric]
            best = progress.best.get(file)
            if not math.isfinite(value) or (best is not None and value <= best):
                continue
            progress.best[file] = value
            if self.world.main:
                path = best_file(self.folder, stage.name, file)
                path.parent.mkdir(parents=True, exist_ok=True)
                if self._trained_on is None:  # every file is read for it: once, and by one process
                    self._trained_on = json.dumps(checksums(self.training))
                save_model(path, learner.scored, learner.config.model, facts | {TRAINED_ON: self._trained_on})

    def _log(
        self,
        stage: Stage,
        learners: list[Trained],
        meter: Meter,
        progress: Progress,
        lr_at: int,
        total: int,
    ) -> None:
        """Bring the running means to the host: the one place where the loop waits for the device."""
        values = meter.read(self.world, transfer=not isinstance(stage.distiller, TaskOnly))
        for learner in learners:
            if learner.optimizer is None or learner.stopped:
                continue
            self._log_skipped(stage, learner, progress)
            values[f"lr/{learner.name}"] = learner.optimizer.param_groups[0]["lr"]
            if math.isfinite(norm := float(learner.norm)):
                values[f"grad_norm/{learner.name}"] = norm
            progress.bad_steps[learner.name] = int(learner.bad_steps)
            progress.skipped[learner.name] = int(learner.skipped)
            if progress.bad_steps[learner.name] >= self.run.train.max_bad_steps:
                learner.stopped = True
                if progress.bad_steps[learner.name] == progress.step:
                    progress.never_moved.append(learner.name)
                progress.stopped.append(learner.name)
                log.error(
                    "learner %s is stopped in stage %s at step %d: its last %d gradients were not finite; "
                    "lower its learning rate (its best weights so far are kept)",
                    learner.name, stage.name, progress.step, progress.bad_steps[learner.name],
                )  # fmt: skip
        if self.predictor is not None and math.isfinite(right := self.predictor.read()):
            values["teacher_predicted"] = right
        self.recent = []
        self.logbook.step(stage.name, progress.step, values, samples=self.run.train.batch_size)
        if not any(learner.active for learner in learners):
            raise InputError(f"stage {stage.name}: no learner is left to train at step {progress.step}")

    def _check_first_steps(self, stage: Stage, learners: list[Trained], progress: Progress) -> None:
        """End the run if a learner's first steps were all skipped, or all steps of all learners of a short stage.

        Raises:
            InputError: names the learner and what to do.
        """
        moved = any(learner.active and int(learner.skipped) < progress.step for learner in learners)
        for learner in learners:
            skipped = learner.active and int(learner.skipped) == progress.step
            if progress.step < FIRST_STEPS and moved:
                continue  # the others have learnt something that is worth keeping
            if skipped or learner.name in progress.never_moved:
                remedy = "lower its learning rate" if self.run.train.precision == "fp32" else "set train.precision=fp32"
                raise InputError(
                    f"stage {stage.name}: all of the first {int(learner.skipped)} steps of learner {learner.name} were "
                    f"skipped, its gradients are not finite; {remedy}, and look at its starting weights and samples"
                )

    def _log_skipped(self, stage: Stage, learner: Trained, progress: Progress) -> None:
        """Name the samples of the steps that were skipped since the last log line."""
        flags = torch.stack(learner.flags).tolist() if learner.flags else []
        learner.flags = []
        first = progress.step - len(self.recent) + 1
        for position, bad in enumerate(flags):
            if bad:  # on every process alike: gradients are shared
                ids = [name for part in self.world.gather(self.recent[position]) for name in part]
                self.logbook.skipped(stage.name, learner.name, first + position, ids)

    def _recall(self, learners: list[Trained], meter: Meter, unlogged: Mapping[str, Any]) -> None:
        """Go on with the log line that was being gathered when the checkpoint was written."""
        meter.set_state(unlogged["meter"])
        self.recent = [list(ids) for ids in unlogged["recent"]]
        if self.predictor is not None and unlogged.get("predictor"):
            self.predictor.set_state(unlogged["predictor"])
        for learner in learners:
            flags = unlogged["flags"].get(learner.name, [])
            learner.flags = [torch.tensor(flag, device=self.device) for flag in flags]

    def _save(self, states: Path, learners: list[Trained], meter: Meter, progress: Progress) -> None:
        for learner in learners:
            if learner.optimizer is not None:
                progress.bad_steps[learner.name] = int(learner.bad_steps)
                progress.skipped[learner.name] = int(learner.skipped)
        if self.loss_scale is not None:
            progress.loss_scale = self.loss_scale.state()
        flags = {learner.name: torch.stack(learner.flags).tolist() for learner in learners if learner.flags}
        unlogged = {"meter": meter.state(), "recent": self.recent, "flags": flags}
        if self.predictor is not None:
            unlogged["predictor"] = self.predictor.state()
        progress.unlogged = self.world.gather(unlogged)
        if self.world.main:
            trained = [learner for learner in learners if learner.optimizer is not None]
            state = Checkpoint(
                models={learner.name: learner.model.state_dict() for learner in trained}
                | {f"{t.name}.average": t.average.state_dict() for t in trained if t.average is not None},
                optimizers={t.name: t.optimizer.state_dict() for t in trained if t.optimizer is not None},
                progress={f: getattr(progress, f) for f in Progress.__slots__},
            )
            checkpoint.save_step(states, progress.step, state, self.run.train.keep)
        self.world.barrier()

    def _stop_requested(self) -> bool:
        return self.world.any(self.request.signal is not None)


class Confidences(Mapping[str, Tensor]):
    """The task's confidence of each learner's prediction, computed when a distiller asks for it."""

    def __init__(self, task: Task[Any], preds: Mapping[str, Tensor]) -> None:
        self.task, self.preds = task, preds

    def __getitem__(self, name: str) -> Tensor:
        return self.task.confidence(self.preds[name].detach())

    def __iter__(self) -> Iterator[str]:
        return iter(self.preds)

    def __len__(self) -> int:
        return len(self.preds)


def _keep(samples: list[Any]) -> list[Any]:
    """Leave the samples of a batch as they are: their sizes may differ, `prepare` brings them together."""
    return samples
