"""Score the default model on photographs with real gaze; make its weights file and its page.

`python benchmarks/real_gaze.py score` writes benchmarks/results/real-gaze.md anew from the weights that come with the
project. `python benchmarks/real_gaze.py bundle runs/real_gaze/scratch/appearance.safetensors --minutes 28` makes that
file first: half precision, without the memory (which photographs do not train), with its card.
"""

import copy
import hashlib
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from safetensors.torch import load_file

from saliency.commands.main import exit_with
from saliency.data.still_video import StillVideo
from saliency.data.video import AnnotatedVideo
from saliency.datasets.mini import Mini
from saliency.datasets.stills import Stills
from saliency.evaluation.baselines import ModelPredictor, centre_prior, chance, mean_train_map
from saliency.evaluation.dataset_run import evaluate_dataset
from saliency.evaluation.map_source import FixedMap, MapSource
from saliency.evaluation.result import Result
from saliency.evaluation.settings import EvaluationSettings
from saliency.evaluation.spectral_residual import SpectralResidual
from saliency.evaluation.still_viewers import StillViewers
from saliency.inference.card import KEY, METRICS, Card, LearnedFrom, Score, card_of, score_table
from saliency.inference.zoo import BUNDLED
from saliency.io.weights import load_model, save_model
from saliency.models.appearance_net import AppearanceNetConfig
from saliency.preparation.open_data import find_source
from saliency.report.statistics import bootstrap_mean
from saliency.types import InputSpec

NAME = "real_gaze"
FILE = BUNDLED / f"{NAME}.safetensors"
PAGE = Path(__file__).parent / "results" / "real-gaze.md"
SETS = ("osie", "crowd", "scene")
INPUT = InputSpec(length=1, size=(240, 320), keep_shape=True)
"""Larger than in training (192x256), where crops make things larger than they are: chosen on the validation parts."""

CITATIONS = {
    "osie": "Xu, Jiang, Wang, Kankanhalli, Zhao: Predicting human gaze beyond pixels. Journal of Vision 14(1):28, 2014",
    "crowd": "Jiang, Xu, Zhao: Saliency in Crowd. ECCV 2014",
    "scene": "Liang and others. IEEE SMC 2015",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Make the weights file, its card and the page.

    Attributes:
        run: the kept weights of a run of configs/real_gaze.py.
        minutes: what the run took.
        processor: on what.
    """

    run: tyro.conf.Positional[Path]
    minutes: float
    processor: str = "one core of an AMD EPYC with AVX-512 bf16, shared"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreIt:
    """Write the page from the weights that come with the project."""


Subcommand = Annotated[Bundle, tyro.conf.subcommand("bundle")] | Annotated[ScoreIt, tyro.conf.subcommand("score")]


def main() -> int:
    """Do one or the other."""
    chosen = tyro.cli(Subcommand, description=__doc__)  # pyright: ignore[reportArgumentType, reportCallIssue]
    if isinstance(chosen, Bundle):
        bundle(chosen)
    card = card_of(load_model(FILE).metadata, FILE.name)
    assert card is not None
    scores = measure()
    save(replace(card, scores=scores))
    write_page(replace(card, scores=scores))
    print(score_table(scores))
    return 0


def bundle(chosen: Bundle) -> None:
    """Write the weights file, its card still without scores."""
    trained = load_model(chosen.run)
    assert isinstance(trained.config, AppearanceNetConfig)
    config = replace(trained.config, input=INPUT, memory=False)
    model = config.build()
    state = {name: tensor for name, tensor in load_file(chosen.run).items() if not name.startswith("memories.")}
    model.load_state_dict(state)
    card = Card(
        name=NAME,
        version="1",
        about=(
            "Where people look in photographs, learned from eye tracking of real people. It sees the appearance of "
            "each frame alone and nothing of motion; it was not validated on real video."
        ),
        learned_from=tuple(learned_from(name) for name in SETS),
        training={
            "command": "saliency train real_gaze",
            "seeds": "one: 0",
            "steps": trained.metadata["step"],
            "minutes": f"{chosen.minutes:.0f}",
            "processor": chosen.processor,
            "chosen by": "the validation parts: settings, input size and step; the test parts were never seen",
        },
        licences={
            "code": "Apache-2.0",
            "weights": "Apache-2.0, as far as the project can grant it; keep the notices in real_gaze.md with them",
            "data": "MIT, in the laboratories' words, which cover what they could grant; the photographs are other "
            "people's and no part of this file",
        },
        good_for=("photographs of people, crowds, objects and everyday scenes: see the table",),
        not_for=(
            "motion: nothing of it is seen",
            "measured by nobody: video, screen recordings, cartoons, very dark pictures, sports with small balls",
            "small pictures: on Scene, most of it 256x256, the gain over the mean map is the smallest",
        ),
        protocol="canonical, each validation part as a whole (docs/protocol.md), at the photographs' own size",
        scores=(),
    )
    save(card, model, config)


def save(card: Card, model: torch.nn.Module | None = None, config: AppearanceNetConfig | None = None) -> None:
    """Write the weights file in half precision; without a model, its weights stay what they are."""
    if model is None or config is None:
        loaded = load_model(FILE)
        assert isinstance(loaded.config, AppearanceNetConfig)
        model, config = loaded.model, loaded.config
    save_model(FILE, copy.deepcopy(model).half(), config, {KEY: card.to_json()})


def learned_from(name: str) -> LearnedFrom:
    """Count what one set's training part holds."""
    videos = [video for video in Stills(name=name).videos("train") if isinstance(video, StillVideo)]
    digest = hashlib.sha256()
    for video in videos:
        digest.update(video.id.encode() + video.gaze().points.tobytes())
    return LearnedFrom(
        name=name,
        photographs=len(videos),
        viewers=max(len(np.unique(video.gaze().viewers)) for video in videos),
        fixations=sum(len(video.gaze().points) for video in videos),
        sha256=digest.hexdigest(),
        licence=find_source(name).licence,
        citation=CITATIONS[name],
    )


def measure() -> tuple[Score, ...]:
    """Score everybody on the validation parts, and the models and fixed maps on the one real video."""
    models = [predictor("default model", FILE), predictor("simulated-data model", BUNDLED / "mini_vinet_a.safetensors")]
    scores: list[Score] = []
    means: list[FixedMap] = []
    for name in SETS:
        train = Stills(name=name).videos("train")
        means.append(mean_train_map(train, name=f"mean map of {name}"))
        sources: list[MapSource] = [chance(), centre_prior(train), means[-1], SpectralResidual(), *models]
        sources += [StillViewers(name="one viewer"), StillViewers(name="half of the viewers", predict="half")]
        scores += scored(f"{name} val", sources, Stills(name=name).videos("val"), 1)
    scores += scored("DHF1K 002, every 16th frame", [*means, *models], Mini().videos("real"), 16)
    return tuple(scores)


def predictor(name: str, file: Path) -> ModelPredictor:
    """Return a bundled model as an evaluation wants it."""
    loaded = load_model(file)
    return ModelPredictor(name=name, model=loaded.model, spec=loaded.config.input)


def scored(data: str, sources: list[MapSource], videos: list[AnnotatedVideo], every: int) -> list[Score]:
    """Score sources on videos."""
    with tempfile.TemporaryDirectory() as folder:
        results = evaluate_dataset(sources, videos, folder, EvaluationSettings(every=every, dataset=data))
    return [row(data, result, alone=len(videos) == 1) for result in results or ()]


def row(data: str, result: Result, *, alone: bool) -> Score:
    """Return a row of the table; one video alone has no interval over videos."""
    values, intervals = {}, {}
    for metric in METRICS:
        means = np.array([value for value in result.per_video(metric).values() if not np.isnan(value)])
        if not len(means):
            continue
        values[metric] = round(float(result.summary()[metric].mean or 0), 4)
        interval = None if alone else bootstrap_mean(means, np.ones(len(means)))
        if interval is not None and metric in ("auc_shuffled", "nss", "cc"):
            intervals[metric] = (round(interval.low, 4), round(interval.high, 4))
    return Score(data=data, predictor=result.name, frames=len(result.rows), values=values, intervals=intervals)


def write_page(card: Card) -> None:
    """Write the page of results."""
    learned = "; ".join(
        f"{each.name}: {each.photographs} photographs, {each.fixations:,} fixations" for each in card.learned_from
    )
    facts = "\n".join(f"- {key}: {value}" for key, value in card.training.items())
    PAGE.write_text(f"""# Real gaze on photographs

The default model (`real_gaze`, version {card.version}) on the validation parts of three public sets of photographs
(`saliency data get osie crowd scene`), means over photographs with 95 % bootstrap intervals over photographs. These
parts chose the settings, the input size and the step: expect a little less on others. The test parts were never seen.
One viewer and half of the viewers are scored on the other viewers, everyone else on all.

{score_table(card.scores)}
DHF1K 002 is one video and rewards central maps: fixed pictures, the mean maps, stand beside the models. It was looked
at once, after everything was chosen, and says nothing about video.

The default model learned from {learned}.

{facts}

Protocol: {card.protocol}. Made by `python benchmarks/real_gaze.py score`.
""")


if __name__ == "__main__":
    exit_with(main)
