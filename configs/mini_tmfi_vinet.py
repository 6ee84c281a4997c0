"""The main job on the embedded data set: three small models from scratch, then tri-Bi-KD and its control.

The models are the classes of `configs/dhf1k_tmfi_vinet.py`, made small by their settings alone.
"""

from saliency.config.run import Learner, Optimizer, Run, Stage, Training
from saliency.datasets.clips import SaliencyClips
from saliency.datasets.mini import Mini
from saliency.distillation.bi_kd import BiKD
from saliency.models.tmfi_net import TMFINetConfig
from saliency.models.vinet_a import ViNetAConfig
from saliency.models.vinet_s import ViNetSConfig
from saliency.tasks.saliency import SaliencyTask
from saliency.types import InputSpec

SIZE = (64, 112)
VINET_A_NORM = {"mean": (0.45,) * 3, "std": (0.225,) * 3}


def config() -> Run:
    """Return the run."""
    adam = Optimizer(name="adam", lr=2e-3, schedule="cosine", warmup_steps=20, clip_norm=1.0)
    return Run(
        name="mini_tmfi_vinet",
        task=SaliencyTask(),
        data=SaliencyClips(source=Mini(), grid=SIZE, clips_per_video=4, flip=True, cache="memory"),
        learners={
            "tmfi_net": Learner(
                model=TMFINetConfig(
                    input=InputSpec(length=8, size=(64, 96)),
                    embed_dim=24,
                    depths=(1, 1, 2, 1),
                    heads=(1, 2, 4, 8),
                    window=(4, 4, 4),
                    drop_path=0.0,
                    decoder_channels=32,
                ),
                optimizer=adam,
            ),
            "vinet_s": Learner(
                model=ViNetSConfig(input=InputSpec(length=8, size=(64, 96)), width=0.125, norm_momentum=0.1),
                optimizer=adam,
            ),
            "vinet_a": Learner(
                model=ViNetAConfig(
                    input=InputSpec(length=8, stride=2, target="middle", shift=1, size=SIZE, **VINET_A_NORM),
                    width=0.125,
                    depths=(1, 1, 1, 1),
                ),
                optimizer=adam,
            ),
        },
        stages=(
            Stage(name="scratch", epochs=6),
            Stage(name="control", epochs=3, start="scratch", lr=1e-3),
            Stage(name="bi_kd", epochs=3, start="scratch", lr=1e-3, distiller=BiKD()),
        ),
        train=Training(batch_size=8, validate_every=3, checkpoint_every=50),
    )
