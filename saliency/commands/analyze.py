"""Say what a transfer did: `saliency analyze runs/digits_bi_kd/seed-0 --features`.

`saliency analyze merge …` averages weights (`saliency.commands.analyze_merge`), `saliency analyze power …` plans a
study (`saliency.commands.analyze_power`).

Scores of every stage's models and of their ensemble before the transfer, the share of the ensemble each model
recovered, who taught whom, cases of right and wrong, and the similarity of the models' features. Writes
analysis.md, analysis.json and plots into the folder.
"""

import importlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from saliency.commands.arguments import parse
from saliency.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Say what a transfer did. Also: saliency analyze merge (one model out of several), and saliency analyze power
    (how many viewers and videos a study needs).

    Attributes:
        folder: of a finished run of saliency train (one seed).
        set: changes of its config, e.g. data.root=/data/imagenet.
        before: the stage the transfer started from; default the run's first stage.
        stages: the stages to analyse; default all that started from it.
        features: compare the models' features by canonical correlation; needs many samples.
        top: canonical correlations to average.
        force: compare features although the samples are too few.
        device: auto, cpu, cuda, ...
        out: folder of the results; default FOLDER.
    """  # noqa: D205

    folder: tyro.conf.Positional[Path]
    set: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[KEY.PATH=VALUE ...]")] = ()
    before: str | None = None
    stages: tuple[str, ...] = ()
    features: bool = False
    top: int = 100
    force: bool = False
    device: str = "auto"
    out: Path | None = None


OTHERS = ("merge", "power")
"""Analyses of something else than one run's transfer; their code is `saliency/commands/analyze_NAME.py`."""


def main(words: Sequence[str]) -> int:
    """Run the tool."""
    if words and words[0] in OTHERS:
        return importlib.import_module(f"saliency.commands.analyze_{words[0]}").main(words[1:])
    arguments = parse(Arguments, words, command="analyze")
    from rich.console import Console
    from rich.markdown import Markdown

    from saliency.analysis import summary
    from saliency.analysis.teacher_share import read_shares
    from saliency.analysis.transfer import Features, analyse
    from saliency.config import overrides
    from saliency.config.load import load_run
    from saliency.training.run_folder import CONFIG

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if not (arguments.folder / CONFIG).is_file():
        seeds = sorted(arguments.folder.glob(f"*/{CONFIG}"))
        one = f"name the folder of one seed, such as {seeds[0].parent}" if seeds else "train first"
        raise InputError(f"{arguments.folder} is not the folder of a run: {one}")
    run = overrides.apply(load_run(arguments.folder / CONFIG), arguments.set)
    analysis = analyse(
        run,
        arguments.folder,
        before=arguments.before or run.stages[0].name,
        stages=arguments.stages,
        features=Features(top=arguments.top, force=arguments.force) if arguments.features else None,
        device=arguments.device,
    )
    shares = read_shares(arguments.folder / "log.jsonl")
    written = summary.write(analysis, shares, arguments.out or arguments.folder)
    console = Console()
    console.print(Markdown(summary.markdown(analysis, shares)))
    console.print(f"written: {', '.join(map(str, written))}", soft_wrap=True)
    return 0
