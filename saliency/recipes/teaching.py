"""The study of when teaching helps: its arms, regimes and networks. The protocol is docs/science/protocol.md."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from saliency.config.run import Alone, Learner, Optimizer, Run, Stage, Training
from saliency.data.few_labels import FewLabels
from saliency.datasets.stills import Stills
from saliency.distillation.base import Distiller
from saliency.distillation.bi_kd import BiKD
from saliency.distillation.control import TaskOnly
from saliency.distillation.dml import DML
from saliency.distillation.ensemble import EnsembleTeacher
from saliency.distillation.label_free import LabelFree
from saliency.distillation.leader import Leader
from saliency.distillation.margin import Margin
from saliency.models.appearance_net import AppearanceNetConfig
from saliency.report.study import Study
from saliency.tasks.other_viewers import OtherViewersTask
from saliency.tasks.saliency import SaliencyTask
from saliency.types import InputSpec

Regime = Literal["screening", "one_30", "one_100", "all_30", "all_100", "one_30_split", "label_free", "unlabelled"]

REGIMES: Mapping[Regime, FewLabels] = {
    "screening": FewLabels(source=Stills(), viewers=1, share=0.3, seed=100),
    "one_30": FewLabels(source=Stills(), viewers=1, share=0.3),
    "one_100": FewLabels(source=Stills(), viewers=1),
    "all_30": FewLabels(source=Stills(), share=0.3),
    "all_100": FewLabels(source=Stills()),
    "one_30_split": FewLabels(source=Stills(), viewers=1, share=0.3, parts={"narrow": 0, "wide": 1}),
    "label_free": FewLabels(source=Stills(), viewers=1, share=0.3, seed=200),
    "unlabelled": FewLabels(source=Stills(), viewers=1, share=0.3, seed=300, unlabelled=True),
}

OTHERS = "others"
"""The arm in which the choosing viewers say who teaches."""

ARMS: Mapping[str, Distiller] = {
    "control": TaskOnly(),
    "bi_kd": BiKD(),
    "bi_kd_01": BiKD(weight=0.1),
    "bi_kd_03": BiKD(weight=0.3),
    "bi_kd_3": BiKD(weight=3.0),
    "random": BiKD(teacher="random"),
    "reversed": BiKD(teacher="worst"),
    "dml": DML(),
    "dml_half": DML(weight=0.5),
    "leader": Leader(),
    "ensemble": EnsembleTeacher(),
    "ensemble_2": EnsembleTeacher(weight=2.0),
    OTHERS: BiKD(),
    "margin": Margin(margin=0.1),
}

LABEL_FREE: Mapping[str, Distiller] = {
    "control": TaskOnly(),
    "random": BiKD(teacher="random"),
    "agreement": LabelFree(by="agreement", task_weight=1.0),
    "confidence": LabelFree(by="confidence", task_weight=1.0),
    "mirror": LabelFree(by="confidence", task_weight=1.0),
    "agreement_only": LabelFree(by="agreement"),
}
"""Arms of the exploratory regime ``label_free``: no label says who teaches; ``agreement_only`` uses none at all."""

UNLABELLED: Mapping[str, Distiller] = {
    "control": TaskOnly(),
    "bi_kd": BiKD(),
    "random": LabelFree(by="random", task_weight=1.0),
    "agreement": LabelFree(by="agreement", task_weight=1.0),
    "predicted": LabelFree(by="confidence", task_weight=1.0),
    "random_labelled": LabelFree(by="random", task_weight=1.0),
}
"""Arms of the exploratory regime ``unlabelled``: transfer also on photographs without a label.

The control, ``bi_kd`` and ``random_labelled`` see the labelled ones alone; ``predicted`` is Bi-KD where there is a
label and goes by the predicted loss elsewhere.
"""

ON_LABELLED = ("before", "control", "bi_kd", "random_labelled")

STUDY_ARMS = ("bi_kd", "random", "dml_half", "ensemble", "ensemble_2", "others", "dml", "bi_kd_3", "reversed")
"""The arms of the study: those that the hypotheses name, then the best three others of the screening."""

CONTRASTS = (
    ("bi_kd", "random"),
    ("others", "random"),
    ("others", "bi_kd"),
    ("dml_half", "random"),
    ("ensemble_2", "random"),
    ("dml_half", "ensemble_2"),
    ("bi_kd", "reversed"),
)
"""What H2 and H3 compare, and the best teacher with the worst."""

FREE_CONTRASTS = (("agreement", "random"), ("confidence", "random"), ("mirror", "random"))

UNLABELLED_CONTRASTS = (("predicted", "random"), ("agreement", "random"), ("random", "random_labelled"))

TASK = SaliencyTask(monitor="loss")
FIRST, FURTHER = 20, 10
"""Epochs of the first stage and of every arm."""

_SPEC = InputSpec(length=1, size=(48, 64))
NETWORKS = {
    "narrow": AppearanceNetConfig(
        input=_SPEC, channels=(12, 24, 32, 48), depths=(1, 1, 1, 1), decoder_channels=16, memory=False
    ),
    "wide": AppearanceNetConfig(
        input=_SPEC, channels=(16, 24, 32, 40), depths=(1, 2, 2, 1), decoder_channels=24, memory=False
    ),
}


def study(regime: Regime) -> Run:
    """Return the screening (all arms) or the study of the chosen arms in one regime."""
    data = REGIMES[regime]
    alone = {name: Alone(epochs=FIRST, batch_size=16, validate_every=2) for name in NETWORKS} if data.parts else {}
    first = Optimizer(name="adamw", lr=2e-3, schedule="cosine", weight_decay=0.01, clip_norm=1.0)
    return Run(
        name=f"teaching_{regime}",
        task=TASK,
        data=data,
        learners={name: Learner(model=model, optimizer=first) for name, model in NETWORKS.items()},
        stages=(
            Stage(name="before", epochs=0 if data.parts else FIRST, alone=alone, samples=_samples(regime, "before")),
            *(replace(_arm(name, method), samples=_samples(regime, name)) for name, method in _arms(regime).items()),
        ),
        train=Training(
            batch_size=16,
            seed=data.seed,
            validation_batch=64,
            validate_every=2,
            checkpoint_every=10**6,
            keep=1,
            log_every=50,
            device="cpu",
            threads=1,
        ),
        report=Study(
            before="before",
            control="control",
            contrasts={"label_free": FREE_CONTRASTS, "unlabelled": UNLABELLED_CONTRASTS}.get(regime, CONTRASTS),
        ),
    )


def _arms(regime: Regime) -> Mapping[str, Distiller]:
    if regime in ("label_free", "unlabelled"):
        return LABEL_FREE if regime == "label_free" else UNLABELLED
    return ARMS if regime == "screening" else {name: ARMS[name] for name in ARMS if name in ("control", *STUDY_ARMS)}


def _samples(regime: Regime, stage: str) -> Literal["all", "labelled"]:
    return "labelled" if regime == "unlabelled" and stage in ON_LABELLED else "all"


def _arm(name: str, distiller: Distiller) -> Stage:
    task = OtherViewersTask(monitor=TASK.monitor) if name == OTHERS else None
    confidence = name if name in ("mirror", "predicted") else "task"
    return Stage(
        name=name, epochs=FURTHER, start="before", lr=1e-3, distiller=distiller, task=task, confidence=confidence
    )
