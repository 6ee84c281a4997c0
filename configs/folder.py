"""A folder of your own as a config to change at will; `saliency train --data FOLDER` does the same without one."""

from pathlib import Path

from saliency.config.run import Run, Stage, Training
from saliency.data.clips import SaliencyClips
from saliency.datasets.folder import Folder
from saliency.recipes.own_data import MODELS
from saliency.tasks.saliency import SaliencyTask


def config() -> Run:
    """Return the run."""
    source = Folder(root=Path("my_study"), splits={"train": "train_*", "val": "val_*"})  # names of videos
    return Run(
        name="folder",
        task=SaliencyTask(monitor="loss"),
        data=SaliencyClips(source=source, grid=(96, 160), clips_per_video=20, flip=True),
        learners={"vinet_s": MODELS["vinet_s-small"].learner},
        stages=(Stage(name="train", epochs=20),),
        train=Training(batch_size=8, validate_every=2),
    )
