"""The published training settings of the full-size models, each value with its source, and runs made of them.

Sources, read in November 2026: [S] ViNet-Saliency/vinet_v2, ViNet_S/train.py and run_train_ViNet_S_dhf1k.sh;
[A] the same repository, ViNet_A/train.py and run_train_{dhf1k,hollywood2}.sh; [T] wusonghe/TMFI-Net, train.py;
[K] Syd-J/Bi-KD, train_sal_{bi,tri}_kd.py; [P] the Bi-KD paper (TMLR 2025).
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from saliency.config.run import Alone, Learner, Optimizer, Run, Stage, Training
from saliency.data.clips import OwnClips, SaliencyClips
from saliency.data.targets import TMFI_NET_DHF1K, VINET_A_DHF1K, VINET_S_DHF1K, Sampling
from saliency.data.video import VideoData
from saliency.distillation.bi_kd import BiKD
from saliency.models.tmfi_net import TMFINetConfig
from saliency.models.vinet_a import ViNetAConfig
from saliency.models.vinet_s import ViNetSConfig
from saliency.report.transfer_report import TransferReport
from saliency.tasks.saliency import SaliencyTask

TASK = SaliencyTask(kl_weight=1.0, cc_weight=-1.0, monitor="loss")  # [S] [T] [K]; [A] by its scripts' --cc_coeff -1
GRID = {
    "tmfi_net": (224, 384),
    "vinet_s": (224, 384),
    "vinet_a": (256, 456),
}  # [T] [S] [A]: each model's own output size
TRANSFER_GRID = (256, 456)  # [K]: predictions meet on the output size of ViNet-A


def learner(name: str, init: str = "kinetics") -> Learner:
    """Return one of the three full-size models with its published optimizer.

    Args:
        name: ``tmfi_net``, ``vinet_s`` or ``vinet_a``.
        init: ``kinetics``, ``scratch`` or the path of a checkpoint.
    """
    learners = {
        "tmfi_net": Learner(model=TMFINetConfig(), optimizer=Optimizer(lr=1e-5)),  # [T] Adam, no weight decay
        "vinet_s": Learner(model=ViNetSConfig(), optimizer=Optimizer(lr=1e-4)),  # [S] Adam, no weight decay
        "vinet_a": Learner(model=ViNetAConfig(), optimizer=Optimizer(lr=1e-4)),  # [A] Adam, no weight decay
    }
    return replace(learners[name], init=init)


EPOCHS = {"tmfi_net": 300, "vinet_s": 120, "vinet_a": 150}  # [T] [S] [A]; one random clip per video and epoch
# clip rules come with the models (InputSpec), target frames and the validation stride with the configs (Sampling)
BATCH = {"tmfi_net": 1, "vinet_s": 8, "vinet_a": 6}  # [T] [S] [A]
VALIDATE_EVERY = {"tmfi_net": 3, "vinet_s": 1, "vinet_a": 1}  # [T]: every third epoch
MONITOR = {"tmfi_net": "cc", "vinet_s": "loss", "vinet_a": "loss"}  # [T] keeps the best CC, the others the lowest loss


def single(name: str, model: str, source: VideoData, init: str = "kinetics") -> Run:
    """Return the published training of one model alone.

    Args:
        name: of the run.
        model: ``tmfi_net``, ``vinet_s`` or ``vinet_a``.
        source: the data set.
        init: starting weights.
    """
    return Run(
        name=name,
        task=replace(TASK, monitor=MONITOR[model]),
        data=SaliencyClips(source=source, grid=GRID[model]),
        learners={model: learner(model, init)},
        stages=(Stage(name="scratch", epochs=EPOCHS[model]),),
        train=Training(batch_size=BATCH[model], validate_every=VALIDATE_EVERY[model], workers=4),
        report=TransferReport(source=source, every={"val": 1}),
    )


SAMPLING_DHF1K = {
    "tmfi_net": TMFI_NET_DHF1K,
    "vinet_s": VINET_S_DHF1K,
    "vinet_a": VINET_A_DHF1K,
}  # the target frames of each model's own training (docs/datasets.md)

TRANSFER: dict[str, tuple[int, int]] = {"published": (100, 4), "paper": (20, 128)}
"""Setting of the transfer -> (epochs, batch): of the published scripts [K], and as the paper says [P].

The default is the scripts': the rate is 1e-6 in both, and Adam moves a weight by about its rate in a step, so the
20 epochs of batches of 128 that [P] states (600 clips an epoch: 80 steps) could not move any weight by more than
1e-4, which no score would show. The scripts' 100 epochs of batches of 4 are 15,000 steps.
"""


def transfer(
    name: str,
    models: tuple[str, ...],
    source: VideoData,
    *,
    runs: str = "",
    sampling: Mapping[str, Sampling] | None = None,
    setting: Literal["published", "paper"] = "published",
) -> Run:
    """Return Bi-KD between trained models, with the control of equal length.

    Args:
        name: of the run.
        models: any of ``tmfi_net``, ``vinet_s`` and ``vinet_a``; two for Bi-KD, three for tri-KD.
        source: the data set.
        runs: prefix of the single models' runs below ``runs/`` whose best weights are the starting point (for
            example ``dhf1k`` for ``runs/dhf1k_vinet_s``).
            Empty: they are first trained from Kinetics weights, each in its own published set-up.
        sampling: the target frames of each model's own training; None: those of `source`.
        setting: of the transfer, a key of `TRANSFER`.
    """

    def start(model: str) -> str:
        return str(Path("runs") / f"{runs}_{model}" / "scratch" / f"{model}.safetensors") if runs else "kinetics"

    epochs, batch = TRANSFER[setting]
    # [P] and [K]: Adam, lr 1e-6 and weight decay 1e-5 for the transfer, and for the control alike
    published = {"start": "scratch", "epochs": epochs, "lr": 1e-6, "weight_decay": 1e-5}
    own = {
        model: Alone(
            epochs=EPOCHS[model],
            batch_size=BATCH[model],
            validate_every=VALIDATE_EVERY[model],
            monitor=MONITOR[model],
        )
        for model in models
    }
    rules = {model: OwnClips(grid=GRID[model], sampling=(sampling or {}).get(model)) for model in models}
    return Run(
        name=name,
        task=TASK,  # [K] keeps the lowest validation loss of each model
        data=SaliencyClips(source=source, grid=TRANSFER_GRID, alone={} if runs else rules),
        learners={model: learner(model, start(model)) for model in models},
        stages=(
            # 0 epochs: scores the starting point, so that the table has its "before"
            Stage(name="scratch", alone={} if runs else own),
            Stage(name="control", **published),
            Stage(name="bi_kd", distiller=BiKD(), **published),
        ),
        train=Training(batch_size=batch, accumulate=batch // 4, workers=4),  # 4 clips at once either way
        report=TransferReport(source=source, every={"val": 1}),
    )
