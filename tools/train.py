"""Train the models of a config file: `python tools/train.py configs/mini_tmfi_vinet.py`."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.logging import RichHandler

from saliency import cli
from saliency.config import overrides
from saliency.config.load import load_run
from saliency.engine.interrupt import Interrupted
from saliency.engine.seeds import train_seeds


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Train the models of a config file.

    Attributes:
        config: a .py file with a function config(), or the config.json of an earlier run.
        set: changes of the config, e.g. train.batch_size=8 learners.vinet_s.optimizer.lr=1e-4.
        out: folder of the run; default runs/NAME.
        resume: go on with what the folder holds.
        force: resume although the config has changed.
        seeds: number of seeds to run, one after the other, with a table over all of them.
        options: list every option of the config with its type and value, and exit.
    """

    config: tyro.conf.Positional[Path]
    set: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[KEY.PATH=VALUE ...]")] = ()
    out: Path | None = None
    resume: bool = False
    force: bool = False
    seeds: int = 1
    options: bool = False


def main() -> int:
    """Run the tool."""
    arguments = tyro.cli(Arguments, description=__doc__)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[RichHandler(show_path=False)])
    run = overrides.apply(load_run(arguments.config), arguments.set)
    if arguments.options:
        for path, kind, value in overrides.options(run):
            print(f"{path}={value}  ({kind})")
        return 0
    try:
        train_seeds(
            run,
            arguments.out or Path("runs") / run.name,
            seeds=arguments.seeds,
            resume=arguments.resume,
            force=arguments.force,
        )
    except Interrupted as request:
        logging.getLogger(__name__).warning("%s; go on with --resume", request)
        return request.exit_status
    return 0


if __name__ == "__main__":
    cli.run(main)
