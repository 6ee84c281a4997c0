"""Bi-KD between learners of different kinds on real gaze: one sees the appearance of a frame, one sees motion.

A small 2-D network and a small 3-D one learn where people look in photographs set in motion, each from scratch; then
they teach each other, beside the control of the same length without teaching. Small enough for a CPU. The report
scores both on the validation photographs, still and under motions that training does not show.
"""

from saliency.config.run import Learner, Optimizer, Run, Stage, Training
from saliency.data.clips import SaliencyClips
from saliency.data.motions import HELD_OUT
from saliency.datasets.animated import Animated
from saliency.distillation.bi_kd import BiKD
from saliency.models.appearance_net import AppearanceNetConfig
from saliency.models.vinet_s import ViNetSConfig
from saliency.report.transfer_report import TransferReport
from saliency.tasks.saliency import SaliencyTask
from saliency.types import InputSpec

APPEARANCE = AppearanceNetConfig(input=InputSpec(length=1, size=(72, 96)), memory=False)
MOTION = ViNetSConfig(
    input=InputSpec(length=8, stride=2, size=(48, 64)),
    width=0.125,
    norm_momentum=0.1,  # as in configs/mini_tmfi_vinet.py
)


def config() -> Run:
    """Return the run."""
    adam = Optimizer(name="adamw", lr=2e-3, weight_decay=0.05, schedule="trapezoid", warmup_steps=30, clip_norm=1.0)
    return Run(
        name="real_gaze_teaching",
        task=SaliencyTask(monitor="nss"),
        data=SaliencyClips(source=Animated(size=(72, 96)), grid=(72, 96), flip=True),
        learners={
            "appearance": Learner(model=APPEARANCE, optimizer=adam),
            "motion": Learner(model=MOTION, optimizer=adam),
        },
        stages=(
            Stage(name="scratch", epochs=6),
            Stage(name="control", epochs=3, start="scratch", lr_factor=0.5),
            Stage(name="bi_kd", epochs=3, start="scratch", lr_factor=0.5, distiller=BiKD()),
        ),
        train=Training(batch_size=16, ema=0.99, validate_every=3, checkpoint_every=85, log_every=17),
        report=TransferReport(
            source=Animated(motions=("still", *HELD_OUT), size=(120, 160), cuts=0.0, seed=1), every={"val": 16}
        ),
    )
