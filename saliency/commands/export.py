"""Write a model as one ONNX or torch.export file: `saliency export --out model.onnx`."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from saliency.commands.arguments import parse
from saliency.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Write a model as one file that runs without this project.

    The file takes `frames`, uint8 RGB (B, T, H, W, 3), and gives `maps`, float32 (B, H, W) in [0, 1]. Which frames of a
    video make a clip is in its metadata, under `saliency`.

    Attributes:
        out: file to write: .onnx (ONNX) or .pt2 (torch.export).
        weights: a model saved by this project (.safetensors), or published weights of TMFI-Net, ViNet-S, ViNet,
            ViNet-A or STSA-Net as their authors save them, or a model by name; default: the one that comes with the
            project.
        batch_size: clips at once, fixed in the file.
    """

    out: Path
    weights: str | None = None
    batch_size: int = 1


def main(words: Sequence[str]) -> int:
    """Run the tool."""
    arguments = parse(Arguments, words, command="export")
    if arguments.batch_size < 1:
        raise InputError(f"--batch-size must be at least 1, got {arguments.batch_size}")
    from saliency.inference.export import export
    from saliency.inference.zoo import open_model, resolve

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    weights = resolve(arguments.weights)
    loaded = open_model(weights)
    difference = export(loaded, arguments.out, arguments.batch_size)
    spec = loaded.config.input
    print(f"frames: uint8 ({arguments.batch_size}, {spec.length}, {spec.size[0]}, {spec.size[1]}, 3)")
    print(f"maps: float32 ({arguments.batch_size}, {spec.size[0]}, {spec.size[1]})")
    print(
        "not run: onnxruntime is not installed (pip install 'video-saliency[export]')"
        if difference is None
        else f"run on random frames: largest difference from the model {difference:.1e}"
    )
    print(f"{arguments.out.stat().st_size / 2**20:.1f} MiB: {arguments.out}")
    return 0
