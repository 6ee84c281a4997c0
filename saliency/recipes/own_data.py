"""Runs on a folder of your own without a config file: a model from scratch, or trained weights adapted.

The folder is one of videos (`saliency.datasets.folder`) or one of photographs (`saliency.datasets.stills`).
"""

import logging
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from saliency.config.run import Learner, Optimizer, Run, Stage, Training
from saliency.data.clips import SaliencyClips
from saliency.data.still_samples import StillClips
from saliency.datasets.folder import Folder, Inventory, as_patterns, inventory
from saliency.datasets.stills import Stills
from saliency.errors import InputError, nearest
from saliency.inference.zoo import open_model, resolve
from saliency.models.appearance_net import AppearanceNetConfig
from saliency.models.tmfi_net import TMFINetConfig
from saliency.models.vinet_a import ViNetAConfig
from saliency.models.vinet_s import ViNetSConfig
from saliency.recipes import saliency as published
from saliency.report.adaptation import Adaptation
from saliency.tasks.saliency import SaliencyTask
from saliency.types import InputSpec

log = logging.getLogger(__name__)

GRID = (96, 160)
"""(H, W) on which predictions and ground truth meet."""

MEMORY = 2**30
"""Bytes of decoded training and validation videos that are kept in memory; more are decoded anew for every clip."""

VALIDATE_ON_EVERY = 5
"""One of so many videos is validated on where nothing says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnModel:
    """A model by name, and how it is trained on data of your own.

    Attributes:
        learner: the model and its optimizer.
        clips: training samples of an epoch, whatever the number of videos.
        epochs: of the only stage.
        batch_size: samples of a step.
    """

    learner: Learner
    clips: int = 240
    epochs: int = 20
    batch_size: int = 8


_ADAM = Optimizer(name="adam", lr=2e-3, schedule="cosine", warmup_steps=20, clip_norm=1.0)
_CLIP = InputSpec(length=16, stride=2, size=(112, 192))

MODELS: Mapping[str, OwnModel] = {
    "appearance": OwnModel(
        learner=Learner(
            model=AppearanceNetConfig(input=InputSpec(length=4, stride=4, size=(144, 192)), dropout=0.2),
            optimizer=replace(_ADAM, name="adamw", weight_decay=0.1, decay_norms=False),
        )
    ),
    "vinet_s-small": OwnModel(
        learner=Learner(model=ViNetSConfig(input=_CLIP, width=0.25, norm_momentum=0.1), optimizer=_ADAM)
    ),
    "vinet_a-small": OwnModel(
        learner=Learner(
            model=ViNetAConfig(
                input=replace(ViNetAConfig().input, length=16, size=(128, 224)),
                width=0.25,
                depths=(1, 1, 1, 1),
            ),
            optimizer=_ADAM,
        )
    ),
    "tmfi_net-small": OwnModel(
        learner=Learner(
            model=TMFINetConfig(
                input=_CLIP,
                embed_dim=24,
                depths=(1, 1, 2, 1),
                heads=(2, 2, 4, 8),
                window=(4, 4, 4),
                decoder_channels=48,
            ),
            optimizer=replace(_ADAM, lr=4e-4),
        )
    ),
    # full size, from the published weights of their backbones, with their published optimizers
    "vinet_s": OwnModel(learner=published.learner("vinet_s"), epochs=40),
    "vinet_a": OwnModel(learner=published.learner("vinet_a"), epochs=40, batch_size=6),
    "tmfi_net": OwnModel(learner=published.learner("tmfi_net"), epochs=40, batch_size=1),
}
"""Name -> model. The small ones learn from scratch, on a CPU if need be."""

ADAPTING = OwnModel(
    learner=Learner(
        model=AppearanceNetConfig(),  # stands for the model of the weights
        optimizer=Optimizer(
            name="adamw",
            lr=2e-4,
            weight_decay=0.01,
            schedule="cosine",
            warmup_steps=10,
            clip_norm=1.0,
            decay_norms=False,
        ),
    ),
    clips=160,
    epochs=5,
)
"""How trained weights are adapted: few and small steps."""


def own_run(root: Path, *, model: str = "", start: str = "", splits: Mapping[str, str] | None = None) -> Run:
    """Return the run that trains a model on a folder.

    Args:
        root: folder of videos, or of photographs.
        model: a name of `MODELS`; empty: `start`'s own, without one the first of the small ones.
        start: weights to adapt, whatever `saliency.inference.zoo.resolve` takes; empty: from scratch.
        splits: ``train`` and ``val`` -> names of videos, as in `Folder.splits`; what is not named is chosen.

    Raises:
        InputError: the folder holds nothing to learn from, or a name is unknown.
    """
    if start and model:
        raise InputError("--from brings its own model; leave --model out")
    chosen = _adapting(start) if start else _named(model or "vinet_s-small")
    splits = dict(splits or {})
    what = Path(start).stem if start else model or "vinet_s-small"
    title = re.sub(r"[^\w.-]+", "_", f"{root.resolve().name}-{what}").lstrip(".")
    data = _photographs(root, splits, chosen) if (root / "fixations.npz").is_file() else _videos(root, splits, chosen)
    return Run(
        name=title[:80] or "own",
        task=SaliencyTask(monitor="loss"),
        data=data,
        learners={"own": chosen.learner},
        stages=(Stage(name="train", epochs=chosen.epochs),),
        train=Training(batch_size=chosen.batch_size, validate_every=1 if start else 2, checkpoint_every=50),
        report=Adaptation() if start else None,
    )


def _named(name: str) -> OwnModel:
    if name not in MODELS:
        raise InputError(f"no model '{name}' to train{nearest(name, MODELS)}; there are {', '.join(MODELS)}")
    return MODELS[name]


def _adapting(start: str) -> OwnModel:
    """The model of the weights, with those weights."""
    path = resolve(start)
    learner = replace(ADAPTING.learner, model=open_model(path).config, init=str(path))
    return replace(ADAPTING, learner=learner)


def _photographs(root: Path, splits: Mapping[str, str], chosen: OwnModel) -> StillClips:
    if splits:
        raise InputError(f"{root / 'split.csv'} says which photograph belongs where; leave --splits out")
    source = Stills(name=re.sub(r"[^\w.-]+", "_", root.resolve().name), root=root)
    count = len(source.videos("train"))
    height, width = chosen.learner.model.input.size
    return StillClips(
        sources=(source,),
        grid=GRID,
        kept=(height * 5 // 4, width * 5 // 4),  # crops keep their detail
        repeats=math.ceil(chosen.clips / count),
    )


def _videos(root: Path, splits: Mapping[str, str], chosen: OwnModel) -> SaliencyClips:
    found = inventory(root)
    for line in found.complaints():
        log.warning("%s", line)
    source = Folder(root=root, splits=divide(found, splits))
    used = {video.id: video for split in ("train", "val") for video in source.videos(split)}
    size = sum(video.num_frames * video.size[0] * video.size[1] * 3 for video in used.values())
    training = source.videos("train")
    for split in ("train", "val"):
        names = [video.id for video in source.videos(split)]
        log.info("%s: %d videos: %s", split, len(names), ", ".join(names))
    return SaliencyClips(
        source=source,
        grid=GRID,
        clips_per_video=math.ceil(chosen.clips / len(training)),
        flip=True,
        cache="memory" if size <= MEMORY else "none",
    )


def divide(found: Inventory, splits: Mapping[str, str]) -> dict[str, str]:
    """Return the splits of a folder: what is named, and of the others every fifth to validate on.

    Args:
        found: the folder.
        splits: ``train``, ``val`` and ``test`` -> names; what is missing is chosen.

    Raises:
        InputError: there are too few videos to choose from, or a name is wrong.
    """
    ready, named = found.ready, found.named(splits)
    taken = {name for names in named.values() for name in names}
    left = [name for name in ready if name not in taken]
    if "val" not in named:
        named["val"] = left[VALIDATE_ON_EVERY // 2 :: VALIDATE_ON_EVERY] or left[-1:]
    if "train" not in named:
        named["train"] = [name for name in left if name not in named["val"]]
    for split in ("train", "val"):
        if not named[split]:
            raise InputError(
                f"no video is left for {split}: of {len(ready)} with ground truth {len(taken)} are named; at least two "
                "are needed, one to validate on"
            )
    return {split: as_patterns(names) for split, names in named.items()}
