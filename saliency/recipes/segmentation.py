"""The published settings of knowledge transfer between Mask2Formers on ADE20K, and runs made of them.

Sources, read in November 2026: [P] the Bi-KD paper (TMLR 2025), sections 3 and 4; [K] Syd-J/Mask2Former,
train_bi_kd.py, train_bi_kd.sh and configs/ade20k/semantic-segmentation; [M] facebookresearch/Mask2Former.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from saliency.config.run import Learner, Optimizer, Run, Stage, Training
from saliency.datasets.ade20k import ADE20K, NUM_CLASSES, PUBLISHED_AUGMENTATION
from saliency.distillation.bi_kd import BiKD
from saliency.models.mask2former import BACKBONE, MASK2FORMER_R50, MASK2FORMER_SWIN_S, MASK2FORMER_SWIN_T
from saliency.report.comparison import Comparison
from saliency.tasks.segmentation import SegmentationTask


def r50(weights: str = "weights/model_final_500878.pkl") -> Learner:
    """Mask2Former with ResNet-50. Its weights are not on the model hub: the file is in the model zoo of [M]."""
    return Learner(model=MASK2FORMER_R50, init=weights)


def swin_t() -> Learner:
    """Mask2Former with Swin-T."""
    return Learner(model=MASK2FORMER_SWIN_T, init="hub")


def swin_s() -> Learner:
    """Mask2Former with Swin-S."""
    return Learner(model=MASK2FORMER_SWIN_S, init="hub")


def transfer(name: str, learners: Mapping[str, Learner], *, recipe: Literal["paper", "published"] = "paper") -> Run:
    """Return Bi-KD between published models, with the control of equal length.

    Args:
        name: of the run.
        learners: two or more of this module.
        recipe: ``"paper"``: 20 epochs of batches of 128, constant rate, no augmentation but the random crop that
            makes images equally large [P]. ``"published"``: what [K] does instead: batches of 4, 160,000 steps
            (31.7 epochs; whole epochs here), polynomial schedule, the models' own augmentation, and the loss and
            divergence of `SegmentationTask.official`, which transfer nothing. In both the optimizer is the models'
            own [M], as in [K]: backbones at a tenth of the rate, norms and embeddings without weight decay, the
            whole gradient clipped to 0.01.
    """
    paper = recipe == "paper"
    adamw = Optimizer(
        name="adamw",
        lr=1e-6,
        weight_decay=1e-5,
        schedule="constant" if paper else "poly",
        clip_norm=0.01,
        lr_factors={BACKBONE: 0.1},
        decay_norms=False,
    )
    epochs = 20 if paper else 32
    data = ADE20K() if paper else ADE20K(augmentation=PUBLISHED_AUGMENTATION)
    return Run(
        name=name,
        task=SegmentationTask(num_classes=NUM_CLASSES, official=not paper),
        data=data,
        learners={key: replace(learner, optimizer=adamw) for key, learner in learners.items()},
        stages=(
            Stage(name="before", epochs=0),  # scores the published weights
            Stage(name="control", epochs=epochs, start="before"),
            Stage(name="bi_kd", epochs=epochs, start="before", distiller=BiKD()),
        ),
        train=Training(
            batch_size=128 if paper else 4,
            accumulate=32 if paper else 1,  # 4 images at once either way
            validation_batch=1,  # images differ in size; padding would change what the models see
            workers=8,
            log_every=100,
            checkpoint_every=1000,
        ),
        report=Comparison(before="before", control="control", metric="miou"),
    )
