"""Adapt the default model to a folder of your own: `python examples/fine_tune.py my_study/ out/`.

The folder holds `videos/cat.mp4 ..` and `gaze/cat.csv ..` (docs/own-data.md).
"""

import sys
from pathlib import Path

import saliency
from saliency.config import overrides
from saliency.recipes.own_data import own_run
from saliency.training.seeds import train_seeds


def main(root: str, out: str, *changes: str) -> None:
    """Train, and print where people look in the first frame of a video before and after.

    Args:
        root: the folder.
        out: folder of the run.
        *changes: of its settings, such as ``stages.train.epochs=2``.
    """
    run = overrides.apply(own_run(Path(root), start="default"), changes)
    train_seeds(run, Path(out))  # writes adapted.safetensors, the mean of the weights before and after
    video = sorted((Path(root) / "videos").iterdir())[0]
    for name in (None, Path(out) / "adapted.safetensors"):
        model = saliency.load_model(name)
        first = next(model.predict(video))
        print(f"{model.name}: the most looked at pixel gets {first.values.max():.2e} of all looks")


if __name__ == "__main__":
    main(*sys.argv[1:])
