"""What adapting to 20 photographs brings: `python benchmarks/own_data.py` writes its page.

A folder of 20 photographs of a set's training part, and 10 more of it to choose the step by, is trained on as
`saliency train --data FOLDER --from WEIGHTS` does: from the default model, which has learned from that part already,
and from a small network that has seen the two other sets only. The weights before, those learnt, and the mean of
both, which the command keeps, are scored on the validation parts of all three sets.
"""

import csv
import platform
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import torch
import tyro

from saliency.commands.main import exit_with
from saliency.config.run import Stage
from saliency.configs.real_gaze_scratch import config
from saliency.data.still_samples import StillClips
from saliency.datasets.stills import Stills
from saliency.inference.zoo import resolve
from saliency.io.weights import load_model
from saliency.models.appearance_net import AppearanceNetConfig
from saliency.recipes.own_data import own_run
from saliency.report.adaptation import FILE, scores
from saliency.training.run_folder import best_file
from saliency.training.seeds import train_seeds
from saliency.types import InputSpec

SETS = ("osie", "crowd", "scene")
PAGE = Path(__file__).parent / "results" / "2026-11-29-own-data.md"
METRICS = {"nss": "NSS", "cc": "CC", "sim": "SIM", "kld": "KL", "auc_judd": "AUC-Judd"}

Table = dict[str, dict[str, dict[str, float]]]
"""weights -> set -> metric -> mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Measure and write the page.

    Attributes:
        name: the set to adapt to.
        count: photographs to learn from.
        epochs: of the small network on the other sets.
    """

    name: str = "scene"
    count: int = 20
    epochs: int = 12


def main() -> int:
    """Adapt both and write what came out."""
    arguments = tyro.cli(Arguments, description=__doc__)
    found: dict[str, tuple[Table, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        small = learned_elsewhere(arguments.name, Path(folder) / "small", arguments.epochs)
        starts = {"a small network that has seen the other sets": str(small), "the default model": "default"}
        for k, (title, start) in enumerate(starts.items()):
            begin = time.process_time()
            files = adapted(arguments.name, Path(folder) / str(k), count=arguments.count, start=start)
            found[title] = (scored(files), time.process_time() - begin)
    text = page(found, arguments)
    PAGE.write_text(text)
    print(text)
    return 0


def learned_elsewhere(name: str, out: Path, epochs: int) -> Path:
    """Train a small network on all sets but one; return its weights."""
    run = config()
    model = AppearanceNetConfig(
        input=InputSpec(length=1, size=(112, 160)), channels=(24, 48, 96, 160), dropout=0.2, memory=False
    )
    others = tuple(Stills(name=other) for other in SETS if other != name)
    run = replace(
        run,
        data=replace(run.data, sources=others, kept=(144, 208)),
        learners={"appearance": replace(run.learners["appearance"], model=model)},
        stages=(Stage(name="scratch", epochs=epochs),),
        train=replace(run.train, threads=1, validate_every=epochs),
    )
    train_seeds(run, out)
    return best_file(out, "scratch", "appearance")


def adapted(name: str, folder: Path, *, count: int, start: str) -> dict[str, Path]:
    """Adapt weights to a part of a set; return the weights before, learnt, and the mean."""
    run = own_run(subset(name, folder / name, count, validate=count // 2), start=start)
    run = replace(run, train=replace(run.train, threads=1))
    out = folder / "run"
    train_seeds(run, out)
    before = resolve(None if start == "default" else start)
    return {"before": before, "learnt": best_file(out, "train", "own"), "mean": out / FILE}


def subset(name: str, folder: Path, train: int, validate: int) -> Path:
    """Make a folder of photographs out of a set's training part, drawn with seed 0."""
    source = Stills(name=name).folder
    videos = Stills(name=name).videos("train")
    drawn = np.random.default_rng(0).permutation(len(videos))[: train + validate]
    names = [videos[i].path.name for i in drawn]
    (folder / "images").mkdir(parents=True)
    for image in names:
        (folder / "images" / image).symlink_to(source.resolve() / "images" / image)
    for file in ("images.csv", "fixations.npz"):
        shutil.copy(source / file, folder / file)
    with (folder / "split.csv").open("w", newline="") as file:
        rows = [(image, "train" if i < train else "val") for i, image in enumerate(names)]
        csv.writer(file).writerows([("image", "split"), *rows])
    return folder


def scored(files: dict[str, Path]) -> Table:
    """Score weights on the validation parts."""
    table: Table = {}
    for kind, file in files.items():
        loaded = load_model(file)
        views = {"own": loaded.config.input}
        for name in SETS:
            data = StillClips(sources=(Stills(name=name),), kept=loaded.config.input.size)
            run = replace(config(), data=data)
            table.setdefault(kind, {})[name] = scores(run, data.validation(views), "own", loaded.model.float())
    return table


def page(found: dict[str, tuple[Table, float]], arguments: Arguments) -> str:
    """Return the page."""
    lines = ["| start | weights | scored on | " + " | ".join(METRICS.values()) + " |"]
    lines.append("|---|---|---|" + "---:|" * len(METRICS))
    for title, (table, _) in found.items():
        for kind, sets in table.items():
            for other, values in sets.items():
                cells = " | ".join(f"{values[metric]:.3f}" for metric in METRICS)
                own = " (adapted to)" if other == arguments.name else ""
                lines.append(f"| {title} | {kind} | {other}{own} | {cells} |")
    seconds = " and ".join(f"{spent:.0f}" for _, spent in found.values())
    return f"""# Adapting weights to {arguments.count} photographs

`saliency train --data FOLDER --from WEIGHTS` on {arguments.count} photographs of the training part of {arguments.name},
with {arguments.count // 2} more of it to choose the step by (seed 0, one seed). Scored on the sets' validation parts,
on a grid of 96x128, without intervals. *Mean* is what the command keeps. CPU seconds of each, scoring included:
{seconds}.

{chr(10).join(lines)}

The default model has learned from the whole training part of {arguments.name} before: there is nothing left to adapt
to, and what the table shows is what it costs. The small network learned {arguments.epochs} epochs from the two others.

{date.today()}, {processor()}, torch {torch.__version__}, one thread. Made by `python benchmarks/own_data.py`.
"""


def processor() -> str:
    """Return what the processor calls itself."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    exit_with(main)
