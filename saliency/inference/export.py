"""A trained model as one file that needs none of this code: frames in, maps out."""

import importlib.util
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from saliency.errors import InputError
from saliency.inference.folding import for_inference
from saliency.io.atomic import replacing
from saliency.io.transforms import make_clip
from saliency.io.weights import LoadedModel
from saliency.types import InputSpec

TOLERANCE = 1e-4
"""How far a map value, in [0, 1], of the written file may be from the model's."""


class FramesToMaps(nn.Module):
    """A model that takes pictures: uint8 RGB (B, T, H, W, 3) -> float32 (B, H, W) in [0, 1].

    Args:
        model: the model, (B, 3, T, H, W) -> (B, H, W).
        spec: the clip it wants; (T, H, W) are its own.
    """

    def __init__(self, model: nn.Module, spec: InputSpec) -> None:
        super().__init__()
        self.model, self.spec = model, spec

    def forward(self, frames: Tensor) -> Tensor:
        """Return the map of the target frame of each clip."""
        return self.model(make_clip(rearrange(frames, "b t h w c -> b t c h w"), self.spec))


def export(loaded: LoadedModel, path: Path, batch_size: int = 1) -> float | None:
    """Write a model as ``.onnx`` (ONNX) or ``.pt2`` (torch.export).

    The file takes ``frames``, uint8 RGB (B, T, H, W, 3) of the model's own length and size, and gives ``maps``,
    float32 (B, H, W) in [0, 1]; normalisation is inside. Its metadata say under ``saliency`` which frames of a
    video a clip is made of (JSON: the `InputSpec`, its offsets from the target frame, sha256 of the weights).

    Args:
        loaded: the model.
        path: file to write; its suffix is the format.
        batch_size: clips B at once, fixed in the file.

    Returns:
        the largest difference of a map value from the model's on random frames; None when nothing is there to run
        the file (onnxruntime).

    Raises:
        InputError: unknown suffix, a package is missing, or the file does not give the model's numbers; then
            nothing is left at `path`.
    """
    writers: dict[str, Callable[..., None]] = {".onnx": _write_onnx, ".pt2": _write_pt2}
    if path.suffix not in writers:
        raise InputError(f"{path}: unknown format '{path.suffix}'; choose {' or '.join(writers)}")
    spec = loaded.config.input
    facts = {"input": asdict(spec), "offsets": spec.offsets, "sha256": loaded.sha256, **loaded.metadata}
    module = FramesToMaps(for_inference(loaded.model), spec).eval()
    shape = (batch_size, spec.length, *spec.size, 3)
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.no_grad(), replacing(path) as written:
        program = torch.export.export(module, (frames,))
        writers[path.suffix](program, written, json.dumps(facts))
        maps = (_run_onnx if path.suffix == ".onnx" else _run_pt2)(written, frames)
        difference = None if maps is None else float((maps - module(frames)).abs().max())
        if difference is not None and not difference <= TOLERANCE:
            raise InputError(f"{path}: not written, its maps differ from the model's by {difference:.2g}")
    return difference


def _write_onnx(program: torch.export.ExportedProgram, path: Path, facts: str) -> None:
    if importlib.util.find_spec("onnxscript") is None:
        raise InputError("writing ONNX needs a package that is not installed: pip install 'video-saliency[export]'")
    onnx = torch.onnx.export(program, dynamo=True, verbose=False, input_names=["frames"], output_names=["maps"])
    assert onnx is not None
    onnx.model.metadata_props["saliency"] = facts
    onnx.save(path, external_data=False)


def _write_pt2(program: torch.export.ExportedProgram, path: Path, facts: str) -> None:
    torch.export.save(program, path, extra_files={"saliency": facts})


def _run_onnx(path: Path, frames: Tensor) -> Tensor | None:
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"frames": frames.numpy()})[0])


def _run_pt2(path: Path, frames: Tensor) -> Tensor:
    return torch.export.load(path).module()(frames)
