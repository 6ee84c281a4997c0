"""Classifiers teach each other, too: `python examples/classification.py out/` on digits that come with scikit-learn."""

import sys
from pathlib import Path

from saliency.config import overrides
from saliency.config.run import Learner, Optimizer, Run, Stage, Training
from saliency.datasets.digits import Digits
from saliency.distillation.bi_kd import BiKD
from saliency.models.digits import CNNConfig, MLPConfig
from saliency.report.comparison import last_scores
from saliency.tasks.classification import ClassificationTask
from saliency.training.trainer import train
from saliency.types import InputSpec

DIGIT = InputSpec(length=1, size=(8, 8))
ADAM = Optimizer(name="adam", lr=1e-3)


def main(out: str, *changes: str) -> None:
    """Train a small MLP and a small CNN, let them teach each other, and print their accuracies."""
    run = Run(
        name="classification",
        task=ClassificationTask(),
        data=Digits(source="sklearn", train_size=500),
        learners={
            "mlp": Learner(model=MLPConfig(input=DIGIT), optimizer=ADAM),
            "cnn": Learner(model=CNNConfig(input=DIGIT), optimizer=ADAM),
        },
        stages=(Stage(name="before", epochs=20), Stage(name="bi_kd", epochs=10, start="before", distiller=BiKD())),
        train=Training(batch_size=32, validation_batch=1000, validate_every=10, device="cpu"),
    )
    train(overrides.apply(run, changes), Path(out))
    for (stage, learner), value in last_scores(Path(out) / "log.jsonl", "top1").items():
        print(f"{stage}, {learner}: {value:.1%}")


if __name__ == "__main__":
    main(*sys.argv[1:])
