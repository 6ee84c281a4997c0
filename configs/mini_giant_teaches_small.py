"""The giant and the small model on the embedded data set, with a giant of random weights that a CPU can train.

It shows that the pair learns, transfers and resumes; with random weights a transformer has nothing to teach yet.
"""

from saliency.config.run import Learner, Optimizer, Run, Training
from saliency.configs.mini_tmfi_vinet import VINET_S
from saliency.data.clips import SaliencyClips
from saliency.datasets.mini import Mini
from saliency.models.foundation import VJEPA2, FoundationConfig
from saliency.recipes.giants import Lengths, giant_teaches_small
from saliency.report.transfer_report import TransferReport
from saliency.types import InputSpec

GIANT = FoundationConfig(
    backbone=VJEPA2(width=96, depth=4, heads=4, mlp=2.0, size=64),
    input=InputSpec(length=8, stride=2, size=(64, 64)),
    tune="full",  # there is nothing to keep in random weights
    channels=32,
)


def config() -> Run:
    """Return the run."""
    source = Mini()
    rate = Optimizer(name="adamw", lr=1e-3, weight_decay=0.01, schedule="cosine", warmup_steps=20, clip_norm=1.0)
    return giant_teaches_small(
        "mini_giant_teaches_small",
        {"giant": Learner(model=GIANT, optimizer=rate), "small": Learner(model=VINET_S, optimizer=rate)},
        SaliencyClips(source=source, grid=(64, 112), clips_per_video=4, flip=True, cache="memory"),
        lengths=Lengths(scratch=8, transfer=3, lr_factor=0.3),
        train=Training(batch_size=8, validate_every=4, checkpoint_every=50),
        report=TransferReport(source=source, every={"test": 8}),
    )
