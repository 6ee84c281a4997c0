"""Train the models of a config, or one model on a folder of your own: `saliency train mini_tmfi_vinet`, `--data`."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from saliency.commands.arguments import at_least, parse
from saliency.errors import InputError

if TYPE_CHECKING:
    from saliency.config.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Train the models of a config file, or one model on a folder of your own.

    Attributes:
        config: name of a config (mini_tmfi_vinet, or with a variant imagenet_bi_kd:vit_b_vit_s), a .py file with a
            function config(), or the config.json of a run; left out with --data.
        set: changes of the config, e.g. train.batch_size=8 learners.vinet_s.optimizer.lr=1e-4.
        data: folder of your own videos (videos/ and gaze/, or maps/ and fixations/) or photographs; trains on it
            without a config (docs/own-data.md).
        model: with --data: vinet_s-small (the default), vinet_a-small, tmfi_net-small, appearance, or full size
            vinet_s, vinet_a, tmfi_net.
        from_: with --data: adapt these weights, default or what --weights takes elsewhere, in a few small steps; the
            mean of the weights before and after is kept.
        splits: videos by name, e.g. train=a,b val=c*, or train=1-20 val=601-605 of DHF1K: parts of a data set; with
            --data every fifth is validated on otherwise.
        out: folder of the run; default runs/NAME.
        resume: go on with what the folder holds.
        force: resume although the config has changed.
        seeds: number of seeds to run, one after the other, with a table over all of them.
        dry_run: do that many real steps of every stage, with the largest batch that fits, say what the run would
            cost, and keep nothing.
        synthetic: with --dry-run: measure with made-up videos or images, before the data set is there.
        options: list every option of the config with its type and value, and exit.
    """

    config: tyro.conf.Positional[Path | None] = None
    set: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[KEY.PATH=VALUE ...]")] = ()
    data: Path | None = None
    model: str = ""
    from_: Annotated[str, tyro.conf.arg(name="from")] = ""
    splits: tuple[str, ...] = ()
    out: Path | None = None
    resume: bool = False
    force: bool = False
    seeds: int = 1
    dry_run: int | None = None
    synthetic: bool = False
    options: bool = False


def main(words: Sequence[str]) -> int:
    """Run the tool."""
    arguments = parse(Arguments, words, command="train")
    at_least(arguments, seeds=1, dry_run=1)
    from rich.logging import RichHandler

    from saliency.config import overrides
    from saliency.report.run_page import write_run_pages
    from saliency.runtime.interrupt import Interrupted
    from saliency.training.dry_run import with_synthetic_data
    from saliency.training.run_folder import CONFIG
    from saliency.training.seeds import train_seeds

    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[RichHandler(show_path=False)])
    run, changes = chosen_run(arguments)
    run = overrides.apply(run, changes)
    if arguments.options:
        for path, kind, value in overrides.options(run):
            print(f"{path}={value}  ({kind})")
        return 0
    if arguments.dry_run is not None:
        rehearse(with_synthetic_data(run) if arguments.synthetic else run, arguments.dry_run)
        return 0
    if arguments.synthetic:
        raise InputError("--synthetic goes with --dry-run N: nothing can be learnt from made-up data")
    out = arguments.out or Path("runs") / run.name
    try:
        train_seeds(
            run,
            out,
            seeds=arguments.seeds,
            resume=arguments.resume,
            force=arguments.force,
        )
        for page in write_run_pages(run, out, arguments.seeds):
            print(f"  page {page}")
    except (RuntimeError, OSError, MemoryError) as error:  # a killed loader process, a full disk
        if (out / CONFIG).exists():
            error.add_note("what is saved is whole: go on with --resume")
        raise
    except Interrupted as request:
        logging.getLogger(__name__).warning("%s; go on with --resume", request)
        return request.exit_status
    return 0


def chosen_run(arguments: Arguments) -> "tuple[Run, Sequence[str]]":
    """Return the run that is asked for, and the changes to apply to it.

    Raises:
        InputError: neither a config nor a folder is named, or both.
    """
    from saliency.commands.splits import parse_splits

    splits = parse_splits(arguments.splits)
    if arguments.data is None:
        for name, value in (("model", arguments.model), ("from", arguments.from_)):
            if value:
                raise InputError(
                    f"--{name} goes with --data FOLDER; in a config it is a setting (--options lists them)"
                )
        if arguments.config is None:
            raise InputError("name a config (mini_tmfi_vinet), or a folder of your own with --data FOLDER")
        from saliency.config.load import load_run
        from saliency.recipes.parts import with_splits

        run = load_run(arguments.config)
        return (with_splits(run, splits) if splits else run), arguments.set
    # without a config the first change stands in its place
    changes = (*([] if arguments.config is None else [str(arguments.config)]), *arguments.set)
    if config := next((word for word in changes if "=" not in word), None):
        raise InputError(f"give a config ({config}) or --data {arguments.data}, not both")
    from saliency.recipes.own_data import own_run

    return own_run(arguments.data, model=arguments.model, start=arguments.from_, splits=splits), changes


def rehearse(run: "Run", steps: int) -> None:
    """Print what each stage of a run costs."""
    from saliency.training.dry_run import dry_run
    from saliency.training.sizes import learner_sizes

    for size in learner_sizes(run):
        work = "" if size.gflop is None else f", {size.gflop:,.1f} GFLOP a map"
        print(f"{size.learner}: {size.parameters / 1e6:,.2f} M parameters, {size.trained / 1e6:,.2f} M learn{work}")
    costs = []
    for cost in dry_run(run, steps):
        costs.append(cost)
        seconds = ", ".join(f"{value:.2f}" for value in cost.step_seconds) or "none"
        lowered = f" of {cost.measured_batch} at once" if cost.measured_batch < cost.batch else ""
        print(
            f"{cost.stage}: {cost.steps:,} steps of {cost.batch} samples; measured {seconds} s a step{lowered}, "
            f"{cost.samples_per_second:.3g} samples/s, peak memory {cost.memory_gib:.1f} GiB; scoring the validation "
            f"set takes {cost.validation_seconds:.0f} s, {cost.validations} times; in all {cost.hours:.2f} hours",
            flush=True,
        )
    print(f"{run.name}: {sum(cost.hours for cost in costs):.2f} hours for all stages, nothing was kept")
