"""The published training settings of the full-size models, each value with its source, and runs made of them.

Sources, read in November 2026: [S] ViNet-Saliency/vinet_v2, ViNet_S/train.py and run_train_ViNet_S_dhf1k.sh;
[A] the same repository, ViNet_A/train.py and run_train_{dhf1k,hollywood2}.sh; [T] wusonghe/TMFI-Net, train.py;
[K] Syd-J/Bi-KD, train_sal_{bi,tri}_kd.py; [P] the Bi-KD paper (TMLR 2025).
"""

from dataclasses import replace
from pathlib import Path

from saliency.config.run import Learner, Optimizer, Run, Stage, Training
from saliency.data.clips import SaliencyClips
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


def transfer(name: str, models: tuple[str, ...], source: VideoData, runs: str = "") -> Run:
    """Return Bi-KD between trained models, with the control of equal length.

    Args:
        name: of the run.
        models: any of ``tmfi_net``, ``vinet_s`` and ``vinet_a``; two for Bi-KD, three for tri-KD.
        source: the data set.
        runs: prefix of the single models' runs below ``runs/`` whose best weights are the starting point (for
            example ``dhf1k`` for ``runs/dhf1k_vinet_s``); empty trains all models from Kinetics weights first.
    """

    def start(model: str) -> str:
        return str(Path("runs") / f"{runs}_{model}" / "scratch" / f"{model}.safetensors") if runs else "kinetics"

    # [P] and [K]: Adam, lr 1e-6 and weight decay 1e-5 for the transfer, and for the control alike
    published = {"start": "scratch", "epochs": 100, "lr": 1e-6, "weight_decay": 1e-5}
    return Run(
        name=name,
        task=TASK,  # [K] keeps the lowest validation loss of each model
        data=SaliencyClips(source=source, grid=TRANSFER_GRID),
        learners={model: learner(model, start(model)) for model in models},
        stages=(
            # 0 epochs: scores the starting point, so that the table has its "before"
            Stage(name="scratch", epochs=0 if runs else 120),
            # [K] 100 epochs of batch 4; the paper says 20 epochs of batch 128, which on 600 clips is 80 steps
            Stage(name="control", **published),
            Stage(name="bi_kd", distiller=BiKD(), **published),
        ),
        train=Training(batch_size=4, workers=4),
        report=TransferReport(source=source, every={"val": 1}),
    )
