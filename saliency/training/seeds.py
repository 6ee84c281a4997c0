"""A run under one seed or several, with its report."""

from dataclasses import replace
from pathlib import Path

from saliency.config.run import Run
from saliency.training.trainer import train


def train_seeds(run: Run, folder: Path, *, seeds: int = 1, resume: bool = False, force: bool = False) -> None:
    """Train `run` under `seeds` seeds and report on each and on all of them.

    Args:
        run: the run; its own seed is the first one.
        folder: of the run; with several seeds each gets a folder ``seed-N`` below it.
        seeds: how many; at least 1.
        resume: go on with what is there, and start what is not.
        force: resume although the config has changed.
    """
    if seeds == 1:
        train(run, folder, resume=resume, force=force)
        if run.report is not None:
            run.report(run, folder)
        return
    folders = []
    for seed in range(run.train.seed, run.train.seed + seeds):
        # a data set that draws its own split from a seed draws another one
        data = replace(run.data, seed=seed) if hasattr(run.data, "seed") else run.data  # pyright: ignore
        one = replace(run, data=data, train=replace(run.train, seed=seed))
        folders.append(folder / f"seed-{seed}")
        train_seeds(one, folders[-1], resume=resume, force=force)
    if run.report is not None:
        run.report.combine(run, folders, folder)
