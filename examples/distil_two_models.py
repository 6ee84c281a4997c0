"""Two small video models of your own teach each other: `python examples/distil_two_models.py my_study/ out/`.

For each sample the one with the lower loss teaches the other (Bi-KD).
"""

import sys
from pathlib import Path

from saliency.config import overrides
from saliency.config.run import Run, Stage, Training
from saliency.data.clips import SaliencyClips
from saliency.datasets.folder import Folder, inventory
from saliency.distillation.bi_kd import BiKD
from saliency.recipes.own_data import MODELS, divide
from saliency.tasks.saliency import SaliencyTask
from saliency.training.trainer import train


def main(root: str, out: str, *changes: str) -> None:
    """Train both from scratch, then go on with and without teaching: the fair comparison."""
    source = Folder(root=Path(root), splits=divide(inventory(Path(root)), {}))
    run = Run(
        name="distil_two_models",
        task=SaliencyTask(monitor="loss"),
        data=SaliencyClips(source=source, grid=(64, 112), clips_per_video=8, flip=True, cache="memory"),
        learners={name: MODELS[f"{name}-small"].learner for name in ("vinet_s", "vinet_a")},
        stages=(
            Stage(name="scratch", epochs=10),
            Stage(name="control", epochs=4, start="scratch", lr_factor=0.5),
            Stage(name="bi_kd", epochs=4, start="scratch", lr_factor=0.5, distiller=BiKD()),
        ),
        train=Training(batch_size=4),
    )
    train(overrides.apply(run, changes), Path(out))
    print("\n".join(str(path) for path in sorted(Path(out).glob("*/*.safetensors"))))


if __name__ == "__main__":
    main(*sys.argv[1:])
