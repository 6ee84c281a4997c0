"""A trained model as one file that needs none of this code: frames in, maps out."""

import importlib.util
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from saliency.data.mini_scenes import make_shots, render
from saliency.errors import InputError
from saliency.inference.backends.openvino import settings
from saliency.inference.folding import for_inference
from saliency.io.weights import LoadedModel
from saliency.types import InputSpec

TOLERANCE = 5e-4
"""How far a map value of the written file may be from the model's, as a share of the map's peak."""

MOST_CLIPS = 4096
"""Clips that a file takes at once."""


class FramesToMaps(nn.Module):
    """A model that takes pictures: uint8 RGB (B, T, H, W, 3) -> float32 (B, H, W) in [0, 1].

    Args:
        model: the model, (B, 3, T, H, W) -> (B, H, W).
        spec: the clip it wants; (T, H, W) are its own.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, spec: InputSpec) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("mean", torch.tensor(spec.mean).view(3, 1, 1, 1))
        self.register_buffer("std", torch.tensor(spec.std).view(3, 1, 1, 1))

    def forward(self, frames: Tensor) -> Tensor:
        """Return the map of the target frame of each clip."""
        clips = rearrange(frames, "b t h w c -> b c t h w").float()
        return self.model((clips / 255 - self.mean) / self.std)  # `normalise`, in operations that graphs have


def export(loaded: LoadedModel, path: Path) -> float | None:
    """Write a model as ``.onnx`` (ONNX), ``.xml`` (OpenVINO, with its ``.bin`` beside it) or ``.pt2`` (torch.export).

    The file takes ``frames``, uint8 RGB (B, T, H, W, 3) of the model's own length and size and of any B, and gives
    ``maps``, float32 (B, H, W) in [0, 1]; normalisation is inside. Its metadata say under ``saliency`` which frames of
    a video a clip is made of (JSON: the `InputSpec`, its offsets from the target frame, sha256 of the weights).

    Args:
        loaded: the model.
        path: file to write; its suffix is the format.

    Returns:
        the largest difference of a map value from the model's on frames of a rendered scene, as a share of the map's
        peak; None when nothing is there to run the file (onnxruntime).

    Raises:
        InputError: unknown suffix, a package is missing, or the file does not give the model's numbers; then
            nothing is left at `path`.
    """
    spec = loaded.config.input
    facts = {"input": asdict(spec), "offsets": spec.offsets, "sha256": loaded.sha256, **loaded.metadata}
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_graph(loaded.model, replace(spec, keep_shape=False), path, facts, clips=2)


def write_graph(
    model: nn.Module, spec: InputSpec, path: Path, facts: dict[str, object] | None = None, clips: int = 1
) -> float | None:
    """Write the file of `export`; what was at `path` stays until the new one gave the right maps.

    Args:
        model: (B, 3, T, H, W) -> (B, H, W).
        spec: the clip it wants.
        path: file to write, in a folder that exists.
        facts: its metadata.
        clips: how many it is tried on.

    Returns:
        see `export`.

    Raises:
        InputError: see `export`.
    """
    if path.suffix not in FORMATS:
        raise InputError(f"{path}: unknown format '{path.suffix}'; choose {', '.join(FORMATS)}")
    write, run = FORMATS[path.suffix]
    module = FramesToMaps(for_inference(model), spec).eval()
    example = torch.zeros((2, spec.length, *spec.size, 3), dtype=torch.uint8)  # 1 would be taken for a constant
    with torch.no_grad(), tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
        batch = torch.export.Dim("batch", min=1, max=MOST_CLIPS)
        program = torch.export.export(module, (example,), dynamic_shapes=({0: batch},))
        written = Path(folder) / path.name
        write(program, written, json.dumps(facts or {}))
        frames = torch.from_numpy(scene(spec, clips))
        maps = run(written, frames)
        difference = None if maps is None else _difference(maps, module(frames))
        if difference is not None and not difference <= TOLERANCE:
            raise InputError(f"{path}: not written, its maps differ from the model's by {difference:.2g} of their peak")
        for file in sorted(Path(folder).iterdir()):  # weights before what names them: .bin, .xml
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
            file.replace(path.parent / file.name)
    return difference


def scene(spec: InputSpec, clips: int) -> np.ndarray:
    """Return consecutive clips of a rendered scene, uint8 (clips, T, H, W, 3)."""
    count = (spec.length - 1) * spec.stride + clips
    shots = make_shots(np.random.default_rng(0), max(count, 16), spec.size)
    frames = np.stack([render(shot, i, spec.size) for shot in shots for i in range(len(shot))])
    span = (spec.length - 1) * spec.stride + 1
    return np.stack([frames[first : first + span : spec.stride] for first in range(clips)])


def _difference(found: Tensor, wanted: Tensor) -> float:
    if found.shape != wanted.shape:
        return float("inf")
    peaks = wanted.flatten(1).amax(1)[:, None, None]
    return float(((found - wanted).abs() / peaks).max())


def _write_onnx(program: torch.export.ExportedProgram, path: Path, facts: str) -> None:
    if importlib.util.find_spec("onnxscript") is None:
        raise InputError("writing ONNX needs a package that is not installed: pip install 'video-saliency[export]'")
    onnx = torch.onnx.export(program, dynamo=True, verbose=False, input_names=["frames"], output_names=["maps"])
    assert onnx is not None
    onnx.model.metadata_props["saliency"] = facts
    onnx.save(path, external_data=False)


def _write_openvino(program: torch.export.ExportedProgram, path: Path, facts: str) -> None:
    if importlib.util.find_spec("openvino") is None:
        raise InputError("writing .xml needs a package that is not installed: pip install 'video-saliency[fast]'")
    import openvino

    graph = openvino.convert_model(program)
    graph.inputs[0].get_tensor().set_names({"frames"})
    graph.outputs[0].get_tensor().set_names({"maps"})
    graph.set_rt_info(facts, ["saliency"])
    openvino.save_model(graph, path, compress_to_fp16=False)


def _write_pt2(program: torch.export.ExportedProgram, path: Path, facts: str) -> None:
    torch.export.save(program, path, extra_files={"saliency": facts})


def _run_onnx(path: Path, frames: Tensor) -> Tensor | None:
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"frames": frames.numpy()})[0])


def _run_openvino(path: Path, frames: Tensor) -> Tensor:
    import openvino

    compiled = openvino.Core().compile_model(path, "CPU", settings("fp32", torch.get_num_threads()))
    return torch.from_numpy(compiled(frames.numpy())[0].copy())


def _run_pt2(path: Path, frames: Tensor) -> Tensor:
    return torch.export.load(path).module()(frames)


FORMATS: dict[str, tuple[Callable[..., None], Callable[[Path, Tensor], Tensor | None]]] = {
    ".onnx": (_write_onnx, _run_onnx),
    ".xml": (_write_openvino, _run_openvino),
    ".pt2": (_write_pt2, _run_pt2),
}
"""Suffix -> what writes the file, and what runs it."""
