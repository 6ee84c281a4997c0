"""Merge models of one architecture and say whether it helps: `saliency analyze merge runs/NAME/seed-*`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from saliency.commands.arguments import parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Merge the models of one architecture in finished runs by averaging their weights (uniform, greedy and
    Fisher-weighted), score every ingredient and every soup on the runs' validation samples, and write merging.md,
    merging.json and the soups.

    Attributes:
        folders: of finished runs of one config (one seed each).
        stages: whose best weights are merged, e.g. stages that went on from one start; default the last stage.
        fisher_samples: training samples for the Fisher information.
        device: auto, cpu, cuda, ...
        out: folder of the results; default FOLDER/merged of the first run.
    """  # noqa: D205

    folders: tyro.conf.Positional[tuple[Path, ...]]
    stages: tuple[str, ...] = ()
    fisher_samples: int = 64
    device: str = "auto"
    out: Path | None = None


def main(words: Sequence[str]) -> int:
    """Run the tool."""
    arguments = parse(Arguments, words, command="analyze merge")
    from rich.console import Console
    from rich.markdown import Markdown

    from saliency.analysis.merging import merge
    from saliency.analysis.merging_text import merging_markdown, write_merging
    from saliency.errors import InputError

    if not arguments.folders:
        raise InputError("name the folder of a run: saliency analyze merge runs/NAME/seed-0 --stages control bi_kd")
    mergings = merge(
        arguments.folders,
        stages=arguments.stages,
        fisher_samples=arguments.fisher_samples,
        device=arguments.device,
    )
    written = write_merging(mergings, arguments.out or arguments.folders[0] / "merged")
    console = Console()
    console.print(Markdown(merging_markdown(mergings)))
    console.print(f"written: {', '.join(map(str, written))}", soft_wrap=True)
    return 0
