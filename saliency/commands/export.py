"""Write a model as one ONNX, OpenVINO or torch.export file: `saliency export --out model.onnx`."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from saliency.commands.arguments import parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Write a model as one file that runs without this project.

    The file takes `frames`, uint8 RGB (B, T, H, W, 3) of any B, and gives `maps`, float32 (B, H, W) in [0, 1]. Which
    frames of a video make a clip is in its metadata, under `saliency`.

    Attributes:
        out: file to write: .onnx (ONNX), .xml (OpenVINO, with a .bin beside it) or .pt2 (torch.export).
        weights: a model saved by this project (.safetensors), or published weights of TMFI-Net, ViNet-S, ViNet,
            ViNet-A or STSA-Net as their authors save them, or a model by name; default: the one that comes with the
            project.
    """

    out: Path
    weights: str | None = None


def main(words: Sequence[str]) -> int:
    """Run the tool."""
    arguments = parse(Arguments, words, command="export")
    from saliency.inference.export import export
    from saliency.inference.zoo import open_model, resolve

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    weights = resolve(arguments.weights)
    loaded = open_model(weights)
    difference = export(loaded, arguments.out)
    spec = loaded.config.input
    print(f"frames: uint8 (B, {spec.length}, {spec.size[0]}, {spec.size[1]}, 3)")
    print(f"maps: float32 (B, {spec.size[0]}, {spec.size[1]})")
    print(
        "not run: onnxruntime is not installed (pip install 'video-saliency[export]')"
        if difference is None
        else f"run on a rendered scene: largest difference from the model {difference:.1e} of the peak"
    )
    print(f"{arguments.out.stat().st_size / 2**20:.1f} MiB: {arguments.out}")
    return 0
