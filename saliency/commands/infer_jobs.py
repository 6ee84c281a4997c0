"""What `saliency infer` does with many sources: who does them, what is left out, what is said in the end."""

import dataclasses
import hashlib
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from saliency.attention.rank import write_ranking
from saliency.commands.explain import explain
from saliency.commands.predicting import Choice, build, describe
from saliency.errors import InputError
from saliency.inference.journal import Job, Journal, identity
from saliency.inference.many import Outcome, Work, packs, run_jobs
from saliency.inference.outputs import MAP_FORMATS
from saliency.inference.thinning import LARGEST_STEP
from saliency.io.images import IMAGE_SUFFIXES
from saliency.io.sources import VIDEO_SUFFIXES
from saliency.runtime.distributed import World, join
from saliency.runtime.progress import progress_bar

log = logging.getLogger(__name__)

PATIENCE = timedelta(days=30)
"""How long a process of torchrun waits for the slowest one; torchrun itself ends all when one dies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the user asked for.

    Attributes:
        sources: files and folders, each once.
        work: what to do with each.
        choice: which models.
        skip_done: whether complete ones are left out.
    """

    sources: Sequence[Path]
    work: Work
    choice: Choice
    skip_done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A plan whose sources have names.

    Attributes:
        rows: packs that are still to be done.
        work: with its fingerprint.
        jobs: every source.
        done: those of earlier calls.
    """

    rows: Sequence[Sequence[Job]]
    work: Work
    jobs: Sequence[Job]
    done: Sequence[Outcome]


def place(out: str) -> tuple[Path, bool]:
    """Return where --out leads, and whether it is a file.

    Raises:
        InputError: it is an address that cannot be written to, or a file of a kind that is not written.
    """
    if "://" in out:
        address = urlsplit(out)
        if address.scheme != "file" or address.netloc not in ("", "localhost"):
            raise InputError(f"--out {out}: only folders and file:// addresses are written to; copy from there after")
        out = unquote(address.path)
    path = Path(out)
    suffix = path.suffix.lower()
    if suffix in (".mp4", ".png") and not path.is_dir():
        return path, True
    if suffix in VIDEO_SUFFIXES | IMAGE_SUFFIXES and not path.is_dir():
        raise InputError(
            f"--out {out}: a video is written as .mp4 and a picture as .png; name such a file, or a folder"
        )
    if path.is_file():
        raise InputError(f"--out {out}: is a file; name a folder, or of one source the .mp4 or .png to write")
    return path, False


def step(every: str) -> int | None:
    """Read --every: None stands for auto.

    Raises:
        InputError: it is no such number.
    """
    if every == "auto":
        return None
    if not every.isdecimal() or not 1 <= int(every) <= LARGEST_STEP:
        raise InputError(f"--every {every}: a number from 1 to {LARGEST_STEP}, or auto")
    return int(every)


def do_here(plan: Plan) -> list[Outcome] | None:
    """Do the work in this process, or in those that torchrun started; None in all but the main one."""
    again = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0  # what was complete before one died
    with join(plan.choice.device, patience=PATIENCE) as world:
        if world.size > 1 and plan.work.one_file:
            raise InputError(f"--out {plan.work.out}: several processes write into a folder; name a folder")
        choice = dataclasses.replace(plan.choice, device=str(world.device))
        with world.together():
            models = choice.load()
            if world.main:
                print(describe(models))
        started = _start(plan, world, skip_done=plan.skip_done or again)
        own = started.rows[world.rank :: world.size]
        predictor = choice.predictor(models)
        with _bar(own, shown=world.main) as (on_frame, on_source):
            outcomes = []
            for row in own:
                for outcome in run_jobs(row, predictor, started.work, explain=_explainer(plan), on_frame=on_frame):
                    on_source(outcome)
                    outcomes.append(outcome)
        found = world.gather(outcomes)
    return [*started.done, *(outcome for part in found for outcome in part)] if world.main else None


def do_with_ray(plan: Plan, workers: int | None) -> list[Outcome]:
    """Do the work in processes of Ray."""
    from saliency.inference.ray_engine import Recipe, run_with_ray

    if plan.work.one_file:
        raise InputError(f"--out {plan.work.out}: --engine ray writes into a folder; name a folder")
    import torch

    print(describe(dataclasses.replace(plan.choice, device="cpu").load()))
    on_gpu = plan.choice.device != "cpu" and torch.cuda.is_available()
    count = workers or (torch.cuda.device_count() if on_gpu else max(1, (os.cpu_count() or 1) // 2))
    started = _start(plan, None, skip_done=plan.skip_done)
    work = dataclasses.replace(started.work, out=started.work.out.resolve())
    rows = [[dataclasses.replace(job, source=job.source.resolve()) for job in row] for row in started.rows]
    recipe = Recipe(build=partial(build, plan.choice.absolute()), work=work, explain=_explainer(plan))
    outcomes = list(started.done)
    with _bar(rows) as (_, on_source):
        for outcome in run_with_ray(rows, recipe, workers=count, gpus=1 if on_gpu else 0):
            on_source(outcome)
            outcomes.append(outcome)
    return outcomes


def report(plan: Plan, outcomes: Iterable[Outcome]) -> int:
    """Say what could not be done, and write the ranking.

    Raises:
        InputError: a source could not be done, or not to its end.
    """
    outcomes = list(outcomes)
    if plan.work.measure is not None:
        measured = {str(o.job.source): o.measured for o in outcomes if o.measured and o.problem is None}
        if measured:
            order = write_ranking(plan.work.out / "rank.csv", measured)
            print(f"ranking of {len(order)}: {plan.work.out / 'rank.csv'} (first: {order[0]})")
    failed = [outcome for outcome in outcomes if outcome.problem is not None]
    if not failed:
        return 0
    if len(plan.sources) == 1:
        raise InputError(_with_rest(failed[0]))
    print(f"could not be done: {len(failed)} of {len(plan.sources)}")
    for outcome in failed:
        print(f"  {_with_rest(outcome)}")
    raise InputError(
        f"{len(failed)} of {len(plan.sources)} sources could not be done, see above; the others are in {plan.work.out}"
    )


def _start(plan: Plan, world: World | None, *, skip_done: bool) -> Started:
    """Name the sources, and leave out what is done.

    Raises:
        InputError: what is asked for does not fit together, or a source would be written over.
    """
    work = dataclasses.replace(plan.work, settings=_fingerprint(plan))
    if work.one_file:
        if len(plan.sources) > 1:
            raise InputError(f"--out {work.out}: {len(plan.sources)} sources need a folder; name a folder")
        if skip_done:
            raise InputError(f"--out {work.out}: --skip-done needs a folder as --out")
        job = Job(source=plan.sources[0], name="")
        return Started(rows=[[job]], work=work, jobs=[job], done=())
    if len(plan.sources) == 1 and not work.out.exists():  # what cannot be read leaves no folder behind
        work.open(Job(source=plan.sources[0], name="")).close()
    journal = Journal(work.out)
    jobs, done = [], {}
    if world is None or world.main:
        jobs, done = journal.claim(plan.sources), journal.done(work.settings) if skip_done else {}
        _refuse_sources(jobs, work)
        journal.begin([job.source for job in jobs if identity(job.source) not in done])
    if world is not None:
        jobs, done = world.gather((jobs, done))[0]
    rows = packs([job for job in jobs if identity(job.source) not in done])
    before = [
        Outcome(job=job, frames=done[identity(job.source)].frames, measured=done[identity(job.source)].measured)
        for job in jobs
        if identity(job.source) in done
    ]
    if before and (world is None or world.main):
        print(f"{len(before)} of {len(jobs)} are done already")
    return Started(rows=rows, work=work, jobs=jobs, done=before)


def _refuse_sources(jobs: Sequence[Job], work: Work) -> None:
    """Refuse to write over a source."""
    endings = ("_saliency.mp4", "_saliency.png", *(f"_maps.{kind}" for kind in MAP_FORMATS), "_maps")
    sources = {identity(job.source) for job in jobs}
    for job in jobs:
        for ending in endings:
            target = work.out / f"{job.name}{ending}"
            if identity(target) in sources:
                raise InputError(f"{job.source}: its output would be {target}, a source itself; choose another --out")


def _fingerprint(plan: Plan) -> str:
    """What tells two calls with different results apart."""
    work = dataclasses.replace(plan.work, out=Path(), settings="")
    return hashlib.sha256(f"{work!r} {plan.choice.fingerprint()}".encode()).hexdigest()[:16]


def _explainer(plan: Plan):  # noqa: ANN202
    return explain if len(plan.sources) == 1 else explain_any


def explain_any(error: Exception) -> str:
    """Return what went wrong in one line, whatever it is; a bug's traceback goes to the log."""
    told = explain(error)
    if told is None:
        log.error("a source could not be done", exc_info=error)
        told = f"{type(error).__name__}: {error} (a bug in this program)"
    return told


@contextmanager
def _bar(rows: Sequence[Sequence[Job]], *, shown: bool = True) -> Iterator[tuple]:
    """A bar over the sources, or over the frames of the only one; yields what moves it."""
    jobs = [job for row in rows for job in row]
    alone = len(jobs) == 1

    def told(outcome: Outcome) -> None:
        if not alone:
            advance(1)
        if shown:
            print(_line(outcome))

    with progress_bar("frames" if alone else "sources", None if alone else len(jobs), shown=shown) as advance:
        yield (lambda: advance(1)) if alone else (lambda: None), told


def _line(outcome: Outcome) -> str:
    """What is said of a source when it is done."""
    if outcome.problem is not None:
        return f"{outcome.job.source}: failed"
    rate = outcome.frames / outcome.seconds if outcome.seconds else 0
    places = [str(path) for path in (outcome.picture, outcome.maps) if path is not None]
    words = f"{outcome.frames} frames in {outcome.seconds:.1f} s ({rate:.1f} fps)"
    if outcome.every > 1:
        words += f", one in {outcome.every} predicted, the others drawn between them (--every 1 predicts all)"
    return f"{outcome.job.source.name}: {words}{''.join(f' -> {place}' for place in places)}"


def _with_rest(outcome: Outcome) -> str:
    """A problem, and what is there in spite of it."""
    problem = outcome.problem or ""
    if not outcome.frames:
        return problem
    kept = outcome.picture or outcome.maps
    return f"{problem}; {outcome.frames} frames were written{f' to {kept}' if kept else ''}"
