"""V-JEPA 2 (ViT-L) with low-rank updates on DHF1K.

The backbone's weights come from the hub (MIT licence, 1.3 GB); ``learners.giant.init=FOLDER`` takes them from a folder.
``--dry-run 2 --synthetic`` tells memory and hours.
"""

from saliency.config.run import Run, Stage, Training
from saliency.data.clips import SaliencyClips
from saliency.data.targets import BI_KD_DHF1K
from saliency.datasets.dhf1k import DHF1K
from saliency.models.foundation import FoundationConfig
from saliency.recipes.giants import tuned
from saliency.report.transfer_report import TransferReport
from saliency.tasks.saliency import SaliencyTask

GIANT = FoundationConfig(recompute=True)


def config() -> Run:
    """Return the run."""
    source = DHF1K(sampling=BI_KD_DHF1K)
    return Run(
        name="dhf1k_vjepa2_lora",
        task=SaliencyTask(monitor="loss"),
        data=SaliencyClips(source=source, grid=(256, 256), flip=True),
        learners={"giant": tuned(GIANT)},
        stages=(Stage(name="scratch", epochs=30),),
        train=Training(batch_size=4, workers=4, precision="bf16"),
        report=TransferReport(source=source, every={"val": 1}),
    )
