"""The default model's task from random weights: no picture but those with gaze is ever seen."""

from saliency.config.run import Learner, Optimizer, Run, Stage, Training
from saliency.data.still_samples import Changes, StillClips
from saliency.datasets.stills import Stills
from saliency.models.appearance_net import AppearanceNetConfig
from saliency.tasks.saliency import SaliencyTask
from saliency.types import InputSpec

APPEARANCE = AppearanceNetConfig(input=InputSpec(length=4, stride=4, size=(192, 256)), dropout=0.2)


def config() -> Run:
    """Return the run."""
    adam = Optimizer(
        name="adamw",
        lr=2e-3,
        weight_decay=0.1,
        schedule="trapezoid",
        warmup_steps=100,
        clip_norm=1.0,
        decay_norms=False,
    )
    return Run(
        name="real_gaze_scratch",
        task=SaliencyTask(monitor="nss"),
        data=StillClips(
            sources=(Stills(name="osie"), Stills(name="crowd"), Stills(name="scene")),
            kept=(384, 512),
            changes=Changes(crop=0.9, smallest=0.5, stretch=1.4),
            length=1,
        ),
        learners={"appearance": Learner(model=APPEARANCE, optimizer=adam)},
        stages=(Stage(name="scratch", epochs=75),),
        train=Training(
            batch_size=16, precision="bf16", ema=0.998, validate_every=5, checkpoint_every=250, log_every=85
        ),
    )
