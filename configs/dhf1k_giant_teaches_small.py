"""V-JEPA 2 with low-rank updates and ViNet-S on DHF1K: who learns what from whom?

After a first stage apart, three ways on from the same weights: further training (control), the giant as it was teaches
ViNet-S (KD), and both teach each other (Bi-KD). ``dhf1k_giant_teaches_small:videomae`` and ``:dinov3`` take other
giants; mind their licences (saliency/models/foundation.py). Settings: saliency/recipes/giants.py.
"""

from typing import Literal

from saliency.config.run import Run, Training
from saliency.data.clips import SaliencyClips
from saliency.data.targets import BI_KD_DHF1K
from saliency.datasets.dhf1k import DHF1K
from saliency.models.foundation import DINOv3, FoundationConfig, VideoMAE
from saliency.recipes.giants import Lengths, giant_teaches_small, tuned
from saliency.recipes.saliency import learner
from saliency.report.transfer_report import TransferReport
from saliency.types import InputSpec

VARIANTS = ("vjepa2", "videomae", "dinov3")
GIANTS = {
    "vjepa2": FoundationConfig(recompute=True),
    "videomae": FoundationConfig(backbone=VideoMAE(), input=InputSpec(length=16, stride=2, size=(224, 224))),
    "dinov3": FoundationConfig(backbone=DINOv3(), input=InputSpec(length=8, stride=4, size=(224, 384))),
}


def config(variant: Literal["vjepa2", "videomae", "dinov3"] = "vjepa2") -> Run:
    """Return the run."""
    source = DHF1K(sampling=BI_KD_DHF1K)
    return giant_teaches_small(
        "dhf1k_giant_teaches_small" if variant == "vjepa2" else f"dhf1k_giant_teaches_small_{variant}",
        {"giant": tuned(GIANTS[variant]), "small": learner("vinet_s")},
        SaliencyClips(source=source, grid=(224, 384)),
        lengths=Lengths(),
        train=Training(batch_size=4, workers=4, precision="bf16"),
        report=TransferReport(source=source, every={"val": 1}),
    )
