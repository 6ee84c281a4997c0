"""The main job on the embedded data set: three small models from scratch, then tri-Bi-KD and its control.

The models are the classes of `configs/dhf1k_tmfi_vinet.py`, made small by their settings alone.
"""

from dataclasses import replace

from saliency.config.run import Learner, Optimizer, Run, Stage, Training
from saliency.data.clips import SaliencyClips
from saliency.datasets.mini import Mini
from saliency.distillation.bi_kd import BiKD
from saliency.models.tmfi_net import TMFINetConfig
from saliency.models.vinet_a import ViNetAConfig
from saliency.models.vinet_s import ViNetSConfig
from saliency.report.transfer_report import TransferReport
from saliency.tasks.saliency import SaliencyTask
from saliency.types import InputSpec

TMFI_NET = TMFINetConfig(
    input=InputSpec(length=8, stride=2, size=(64, 96)),
    embed_dim=24,
    depths=(1, 1, 2, 1),
    heads=(2, 2, 4, 8),
    window=(4, 4, 4),
    drop_path=0.0,  # on data this small it only slows learning down
    decoder_channels=48,
)
VINET_S = ViNetSConfig(
    input=InputSpec(length=8, stride=2, size=(64, 96)),
    width=0.125,
    norm_momentum=0.1,  # the published 0.001 needs thousands of steps before evaluation sees useful statistics
)
VINET_A = ViNetAConfig(
    input=InputSpec(
        length=8,
        stride=2,
        target="middle",
        shift=1,
        size=(64, 112),
        mean=(0.45, 0.45, 0.45),
        std=(0.225, 0.225, 0.225),
    ),
    width=0.125,
    depths=(1, 1, 1, 1),
)


def config() -> Run:
    """Return the run."""
    # The ViNets have BatchNorm. TMFI-Net has no normalisation in its decoder: above 5e-4 it stays near the mean map,
    # and it takes off after some 150 steps, so its rate is not lowered.
    adam = Optimizer(name="adam", lr=2e-3, schedule="cosine", warmup_steps=20, clip_norm=1.0)
    gentle = replace(adam, lr=4e-4, schedule="constant")
    data = Mini()
    return Run(
        name="mini_tmfi_vinet",
        task=SaliencyTask(monitor="loss"),
        data=SaliencyClips(source=data, grid=(64, 112), clips_per_video=4, flip=True, cache="memory"),
        learners={
            "tmfi_net": Learner(model=TMFI_NET, optimizer=gentle),
            "vinet_s": Learner(model=VINET_S, optimizer=adam),
            "vinet_a": Learner(model=VINET_A, optimizer=adam),
        },
        stages=(
            Stage(name="scratch", epochs=13),
            Stage(name="control", epochs=4, start="scratch", lr_factor=0.5),
            Stage(name="bi_kd", epochs=4, start="scratch", lr_factor=0.5, distiller=BiKD()),
        ),
        train=Training(batch_size=8, validate_every=4, checkpoint_every=50),
        report=TransferReport(source=data, every={"test": 4, "real": 16}),
    )
