"""The default model: learns where people look from photographs and the gaze of real people.

Its encoder knows things already: it starts from EfficientNet-Lite0 as Google trained it on ImageNet.
"""

from saliency.backbones.efficientnet_lite import CHANNELS, MEAN, STD
from saliency.config.run import Learner, Optimizer, Run, Stage, Training
from saliency.data.still_samples import Changes, StillClips
from saliency.datasets.stills import Stills
from saliency.models.appearance_net import AppearanceNetConfig
from saliency.tasks.saliency import SaliencyTask
from saliency.types import InputSpec

APPEARANCE = AppearanceNetConfig(
    input=InputSpec(length=1, size=(192, 256), mean=MEAN, std=STD),
    encoder="efficientnet_lite0",
    channels=CHANNELS,
    dropout=0.2,
    memory=False,
)


def config() -> Run:
    """Return the run."""
    adam = Optimizer(
        name="adamw",
        lr=1e-3,
        weight_decay=0.05,
        schedule="cosine",
        warmup_steps=50,
        clip_norm=1.0,
        lr_factors={"backbone": 0.2},
        decay_norms=False,
    )
    return Run(
        name="real_gaze",
        task=SaliencyTask(monitor="nss"),
        data=StillClips(
            sources=(Stills(name="osie"), Stills(name="crowd"), Stills(name="scene")),
            kept=(384, 512),
            changes=Changes(crop=0.9, smallest=0.5, stretch=1.4),
        ),
        learners={"appearance": Learner(model=APPEARANCE, optimizer=adam, init="imagenet")},
        stages=(Stage(name="alone", epochs=10),),
        train=Training(batch_size=16, ema=0.998, validate_every=1, checkpoint_every=85, log_every=17),
    )
