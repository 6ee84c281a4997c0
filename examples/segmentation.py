"""Two small Mask2Formers learn to segment drawn shapes and teach each other: `python examples/segmentation.py out/`."""

import sys
from pathlib import Path

import torch

from saliency.config import overrides
from saliency.config.load import load_run
from saliency.io.weights import load_model
from saliency.tasks.segmentation import label_map
from saliency.training.trainer import train

CHARACTERS = " o#^+"
"""Of background, disc, square, triangle and cross."""


def main(out: str, *changes: str) -> None:
    """Train `configs/shapes_seg_bi_kd.py` and draw what one of the models sees in a validation image."""
    run = overrides.apply(load_run("shapes_seg_bi_kd"), changes)
    train(run, Path(out))
    loaded = load_model(Path(out) / "bi_kd" / "swin.safetensors")
    samples = run.data.validation({"swin": loaded.config.input})
    batch = samples.prepare([samples[0]], torch.device("cpu"))
    with torch.inference_mode():
        labels = label_map(loaded.model(batch.inputs["swin"]), batch.target)[0]  # (H, W)
    for row in labels[::4, ::2].tolist():
        print("".join(CHARACTERS[label] for label in row))


if __name__ == "__main__":
    main(*sys.argv[1:])
