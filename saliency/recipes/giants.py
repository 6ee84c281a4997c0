"""A foundation model with low-rank updates and a small video model that teach each other.

Nobody has published settings for such a pair. The rates are those of the papers that the parts come from: 1e-4 for
low-rank updates and decoders (Hu et al., "LoRA", ICLR 2022), a tenth of the first rate for the further training.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from saliency.config.run import Data, Learner, Optimizer, Report, Run, Stage, Training
from saliency.distillation.bi_kd import BiKD
from saliency.distillation.control import TaskOnly
from saliency.distillation.each import Each
from saliency.distillation.kd import KD
from saliency.models.foundation import FoundationConfig
from saliency.tasks.saliency import SaliencyTask

LORA = Optimizer(name="adamw", lr=1e-4, weight_decay=0.01, schedule="cosine", warmup_steps=200, clip_norm=1.0)
"""Of low-rank updates and the decoder."""


def tuned(model: FoundationConfig, init: str = "hub", layer_decay: float = 0.75) -> Learner:
    """Return a foundation model as a learner: low-rank updates at `LORA`, or all of it with layer-wise decay.

    Args:
        model: the model.
        init: ``hub``, ``scratch`` or a folder, see `FoundationConfig.build`.
        layer_decay: factor from layer to layer where all of the backbone learns (Bao et al., "BEiT", ICLR 2022).
    """
    factors = model.decay(layer_decay) if model.tune == "full" else {}
    return Learner(model=model, optimizer=replace(LORA, lr_factors=factors), init=init)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """How long the stages of a pair are.

    Attributes:
        scratch: epochs of the first stage.
        transfer: epochs of each further stage.
        lr_factor: of the rates in the further stages.
    """

    scratch: int = 30
    transfer: int = 10
    lr_factor: float = 0.1


def giant_teaches_small(
    name: str,
    learners: Mapping[str, Learner],
    data: Data,
    *,
    lengths: Lengths,
    train: Training,
    report: Report | None = None,
) -> Run:
    """Return three ways on from the same first stage: no transfer, a fixed giant as teacher, and both teaching.

    Args:
        name: of the run.
        learners: ``giant`` and ``small``.
        data: what both learn from.
        lengths: of the stages.
        train: how the loop runs.
        report: what is made of the result.
    """
    further = {"epochs": lengths.transfer, "start": "scratch", "lr_factor": lengths.lr_factor}
    fixed = Each(methods={"small": KD(teacher="giant_before"), "giant": TaskOnly()})
    return Run(
        name=name,
        task=SaliencyTask(monitor="loss"),
        data=data,
        learners=dict(learners),
        stages=(
            Stage(name="scratch", epochs=lengths.scratch),
            Stage(name="control", **further),
            Stage(name="kd", frozen={"giant_before": "giant"}, distiller=fixed, **further),
            Stage(name="bi_kd", distiller=BiKD(), **further),
        ),
        train=train,
        report=report,
    )
