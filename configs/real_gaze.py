"""The default model: learns where people look from photographs and the gaze of real people."""

from saliency.config.run import Learner, Optimizer, Run, Stage, Training
from saliency.data.still_samples import StillClips
from saliency.models.appearance_net import AppearanceNetConfig
from saliency.tasks.saliency import SaliencyTask

APPEARANCE = AppearanceNetConfig()


def config() -> Run:
    """Return the run."""
    adam = Optimizer(
        name="adamw",
        lr=2e-3,
        weight_decay=0.05,
        schedule="trapezoid",
        warmup_steps=100,
        clip_norm=1.0,
        decay_norms=False,
    )
    return Run(
        name="real_gaze",
        task=SaliencyTask(monitor="nss"),
        data=StillClips(length=1),
        learners={"appearance": Learner(model=APPEARANCE, optimizer=adam)},
        stages=(Stage(name="scratch", epochs=200),),
        train=Training(
            batch_size=16, precision="bf16", ema=0.998, validate_every=10, checkpoint_every=500, log_every=85
        ),
    )
