"""Bi-KD against its control on generated shapes: two tiny Mask2Formers, on one CPU core in minutes.

    saliency train shapes_seg_bi_kd

Both models are trained on 256 images, then go on together, with and without transfer, for the same steps on the
same images. The table of mIoU (last epoch, no selection) is written to ``runs/shapes_seg_bi_kd/comparison.md``.
The models are the classes of `configs/ade20k_r50_swin_t.py`, made small by their settings alone.
"""

from saliency.config.run import Learner, Optimizer, Run, Stage, Training
from saliency.datasets.shapes import CLASSES, Shapes
from saliency.distillation.bi_kd import BiKD
from saliency.models.mask2former import Mask2FormerConfig, ResNet, Swin
from saliency.report.comparison import Comparison
from saliency.tasks.segmentation import SegmentationTask
from saliency.types import InputSpec

EPOCHS = 8


def tiny(backbone: ResNet | Swin) -> Mask2FormerConfig:
    """Return a Mask2Former of less than a million parameters."""
    return Mask2FormerConfig(
        input=InputSpec(length=1, size=(64, 64)),
        num_classes=len(CLASSES),
        backbone=backbone,
        queries=8,
        width=64,
        heads=4,
        encoder_layers=1,
        encoder_feedforward=128,
        decoder_layers=2,
        decoder_feedforward=128,
    )


def config() -> Run:
    """Return the run."""
    adam = Optimizer(name="adamw", lr=1e-3, weight_decay=0.01, schedule="cosine", warmup_steps=20, clip_norm=1.0)
    resnet = ResNet(stem=16, widths=(16, 32, 64, 128), depths=(1, 1, 1, 1), block="basic", frozen_norm=False)
    swin = Swin(width=24, depths=(1, 1, 2, 1), heads=(1, 2, 4, 8), window=4, drop_path=0.0)
    return Run(
        name="shapes_seg_bi_kd",
        task=SegmentationTask(num_classes=len(CLASSES), points=256),
        data=Shapes(),
        learners={
            "resnet": Learner(model=tiny(resnet), optimizer=adam),
            "swin": Learner(model=tiny(swin), optimizer=adam),
        },
        stages=(
            Stage(name="before", epochs=16),
            Stage(name="control", epochs=EPOCHS, start="before", lr=5e-4),
            Stage(name="bi_kd", epochs=EPOCHS, start="before", lr=5e-4, distiller=BiKD()),
        ),
        train=Training(
            batch_size=16,
            validation_batch=32,
            validate_every=1000,  # at the end of a stage only
            checkpoint_every=10_000,
            log_every=32,
            device="cpu",
            threads=1,
        ),
        report=Comparison(before="before", control="control", metric="miou"),
    )
