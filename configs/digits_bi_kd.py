"""Bi-KD against its controls on 5,000 handwritten digits, on one CPU core.

    saliency train digits_bi_kd --seeds 10

An MLP and a CNN are trained on 1,000 digits, then go on together under each method for the same steps on the
same images. The table of test accuracies (last epoch, no selection) is written to
``runs/digits_bi_kd/comparison.md``.
"""

from collections.abc import Callable

from saliency.config.run import Learner, Optimizer, Run, Stage, Training
from saliency.datasets.digits import Digits
from saliency.distillation.base import Distiller
from saliency.distillation.bi_kd import BiKD
from saliency.distillation.control import TaskOnly
from saliency.distillation.dml import DML
from saliency.distillation.each import Each
from saliency.distillation.kd import KD
from saliency.distillation.kl_dp import KLDP
from saliency.models.digits import CNNConfig, MLPConfig
from saliency.report.comparison import Comparison
from saliency.tasks.classification import ClassificationTask

EPOCHS = 60
BEFORE = {"mlp_before": "mlp", "cnn_before": "cnn"}


def config() -> Run:
    """MLP and CNN, one stage per method."""
    adam = Optimizer(name="adam", lr=1e-3, weight_decay=1e-5)
    return Run(
        name="digits_bi_kd",
        task=ClassificationTask(),
        data=Digits(),
        learners={
            "mlp": Learner(model=MLPConfig(), optimizer=adam),
            "cnn": Learner(model=CNNConfig(), optimizer=adam),
        },
        stages=(
            Stage(name="before", epochs=EPOCHS),
            transfer("task_only", TaskOnly()),
            transfer("kd", both_ways(lambda student, other: KD(teacher=other)), BEFORE),
            transfer("kl_only", both_ways(lambda student, other: KD.divergence_only(other)), BEFORE),
            transfer("kl_dp", both_ways(lambda student, other: KLDP(teachers=(other,), initial=student)), BEFORE),
            transfer(
                "kl_dp_supervised",
                both_ways(lambda student, other: KLDP(teachers=(other,), initial=student, supervised=True)),
                BEFORE,
            ),
            transfer("dml", DML()),
            transfer("bi_kd", BiKD()),
            transfer("bi_kd_no_stop_gradient", BiKD(stop_gradient=False)),
        ),
        train=Training(
            batch_size=64,
            validation_batch=1000,
            validate_every=EPOCHS,
            checkpoint_every=10_000,
            log_every=150,
            device="cpu",
            threads=1,
        ),
        report=Comparison(before="before", control="task_only", metric="top1"),
    )


def transfer(name: str, distiller: Distiller, frozen: dict[str, str] | None = None) -> Stage:
    """One method, from the weights of stage ``before``."""
    return Stage(name=name, epochs=EPOCHS, distiller=distiller, start="before", frozen=frozen or {})


def both_ways(method: Callable[[str, str], Distiller]) -> Each:
    """Each model is a student of the other one's frozen copy; `method` gets the two copies' names."""
    return Each(methods={"mlp": method("mlp_before", "cnn_before"), "cnn": method("cnn_before", "mlp_before")})
