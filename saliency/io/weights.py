"""Read and write model weights: our own files, which rebuild the model, and the published ones.

A file of ours is one safetensors file whose metadata holds the model's config (as JSON) and a SHA-256 over
the metadata and every tensor, so that a flipped bit does not go unnoticed. Published files (``.pt``, ``.pth``,
``.safetensors``) are read with `load_weights`, which knows the published names of a model's weights through
its ``from_official`` function. Pickle files are only ever read with ``weights_only=True``: nothing in them runs.
"""

import hashlib
import json
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from saliency.errors import InputError
from saliency.io.atomic import replacing
from saliency.io.bounded_build import build
from saliency.io.serial import encode, loads
from saliency.types import ModelConfig

FORMAT = "video-saliency-1"
_PICKLES = (".pt", ".pth", ".pyth", ".tar", ".bin")
SUFFIXES = (".safetensors", *_PICKLES)
"""The endings of weights files."""
_WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model")
_PREFIXES = ("module.", "_orig_mod.")
_LISTED = 3

# A weight that only this model has -> the model, to say what a file that does not fit looks like.
_SIGNATURES = (
    ("decoder.gate1.gate.weight", "the published TMFI-Net: use TMFINetConfig"),
    ("decoder.gates.0.weight", "TMFI-Net: use TMFINetConfig"),
    ("decoder.convtsp6.7.weight", "the published ViNet-A: use ViNetAConfig"),
    ("neck.skips.0.weight", "ViNet-A: use ViNetAConfig"),
    ("backbone.base1.0.conv_s.weight", "the published ViNet or ViNet-S: use ViNetSConfig"),
    ("decoder.conv32.weight", "ViNet or ViNet-S: use ViNetSConfig"),
    ("branch0_0_a_q.0.weight", "the published STSA-Net: use STSANetConfig"),
    ("scales.0.halves.query.0.0.weight", "STSA-Net: use STSANetConfig"),
    ("features.0.0.0.weight", "an S3D classifier: build the model with init='kinetics'"),
    ("features.0.0.norm1.weight", "a Video Swin classifier: build the model with init='kinetics'"),
    ("blocks.0.multipathway_blocks.0.conv.weight", "a SlowFast classifier: build the model with init='kinetics'"),
)


class CheckpointMismatch(InputError):
    """The weights do not fit the model.

    Attributes:
        missing: weights of the model that the file lacks.
        unexpected: weights of the file that the model lacks.
        misshaped: weights of both whose shapes differ.
    """

    def __init__(self, message: str, missing: list[str], unexpected: list[str], misshaped: list[str]) -> None:
        super().__init__(message)
        self.missing, self.unexpected, self.misshaped = missing, unexpected, misshaped


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """What `load_model` found in a file.

    Attributes:
        model: the model in eval mode on the CPU, with its weights.
        config: the config it was built from.
        metadata: whatever was saved with it (scores, licence, how it was trained).
        sha256: SHA-256 of the file.
    """

    model: nn.Module
    config: ModelConfig
    metadata: dict[str, str]
    sha256: str


def save_model(
    path: str | Path, model: nn.Module, config: ModelConfig, metadata: Mapping[str, str] | None = None
) -> str:
    """Write a model's weights and config to a safetensors file, whole or not at all.

    Args:
        path: the file to write or replace.
        model: the model built from `config`.
        config: a dataclass that `load_model` can import.
        metadata: further text to keep with the weights.

    Returns:
        SHA-256 of the file.

    Raises:
        InputError: NaN or infinite weights, a name reserved for the file format, or the disk is full.
    """
    path = Path(path)
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    if broken := _not_finite(tensors):
        raise InputError(f"{path}: not written, {_some(broken)} of the model holds NaN or infinity")
    header = dict(metadata or {})
    if reserved := header.keys() & {"format", "config", "content_sha256"}:
        raise InputError(f"{path}: not written, the metadata name {min(reserved)!r} is used by the file format")
    header |= {"format": FORMAT, "config": json.dumps(encode(config))}
    header["content_sha256"] = _content_sha256(tensors, header)
    data = safetensors.torch.save(tensors, header)
    _write(path, data)
    return hashlib.sha256(data).hexdigest()


def load_model(path: str | Path) -> LoadedModel:
    """Rebuild a model from a file of `save_model`.

    Raises:
        InputError: not such a file, or truncated, changed, or with weights that do not fit its config.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise InputError(f"{path}: only .safetensors files hold their config; build the model, then load_weights")
    tensors, header = _read_safetensors(path)
    if "config" not in header:
        raise InputError(f"{path}: holds weights but no model config; build the model, then load_weights")
    _verify(path, tensors, header)
    config = loads(header["config"], str(path))
    model = build(config, tensors, str(path))
    _load(model, tensors, str(path))
    model.eval()
    extra = {k: v for k, v in header.items() if k not in ("format", "config", "content_sha256")}
    return LoadedModel(model=model, config=config, metadata=extra, sha256=file_sha256(path))


def load_weights(
    model: nn.Module,
    source: str | Path | Mapping[str, Any],
    *,
    ignore: tuple[str, ...] = (),
    keep: tuple[str, ...] = (),
    name: str = "state dict",
) -> None:
    """Load weights into a model, from our own names or from those of the published checkpoints.

    Accepts a raw state dict or one wrapped in ``state_dict``, ``model_state_dict`` or ``model_state``, with
    or without a ``module.`` prefix. The BatchNorm batch counters may be missing. A file
    ``<name>.sha256`` beside a file is checked when there is one.

    Args:
        model: the model to fill.
        source: a ``.pt``, ``.pth``, ``.tar``, ``.bin`` or ``.safetensors`` file, or a state dict.
        ignore: prefixes of weights in `source` the model has no use for (a classifier's head).
        keep: prefixes of weights of the model that `source` need not hold; they stay as they are.
        name: what messages call a `source` that is a state dict.

    Raises:
        InputError: the file cannot be read or was changed.
        CheckpointMismatch: weights are missing, unknown or of another shape.
    """
    if isinstance(source, Mapping):
        content = source
    else:
        path = Path(source)
        name, content = str(path), read_weights(path)
    state = {key: value for key, value in unwrap(content, name).items() if not key.startswith(ignore)}
    _load(model, state, name, keep)


def read_weights(path: str | Path) -> dict[str, Any]:
    """Return what a weights file holds, on the CPU; nothing in it is executed.

    Raises:
        InputError: no such file, unknown suffix, truncated, changed or not only tensors and plain values.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    _check_sidecar(path)
    if path.suffix == ".safetensors":
        tensors, header = _read_safetensors(path)
        if "content_sha256" in header:
            _verify(path, tensors, header)
        return tensors
    if path.suffix not in _PICKLES:
        raise InputError(f"{path}: unknown kind of weights; use {', '.join(SUFFIXES)}")
    _check_archive(path)
    try:
        with warnings.catch_warnings():  # about old pickles: what matters is whether they load
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        with path.open("rb") as file:
            head = file.read(2)
        if head.startswith((b"\x80", b"PK")):  # a pickle, or an archive of them, and not text
            raise InputError(
                f"{path}: refused, it holds Python objects that could run code; ask for a plain state dict"
            ) from error
        raise InputError(f"{path}: truncated or damaged, or not a weights file; fetch it again") from error
    except Exception as error:  # whatever the parser of a damaged file stumbles over
        raise InputError(f"{path}: truncated or damaged, or not a weights file; fetch it again") from error
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: holds a {type(content).__name__}, not a state dict")
    return dict(content)


def unwrap(content: Mapping[str, Any], name: str = "state dict") -> dict[str, Tensor]:
    """Find the state dict in what a file holds and drop the prefixes wrappers put before every name.

    Raises:
        InputError: there is none, or some of its values are no tensors.
    """
    for wrapper in _WRAPPERS:
        if isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not content:
        raise InputError(f"{name}: holds no weights")
    others = [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
    if others:
        raise InputError(f"{name}: {_some(others)} is not a tensor; expected a state dict of tensors")
    state = dict(content)
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def holds_config(path: str | Path) -> bool:
    """Whether a safetensors file is one of `save_model`, which says what model it belongs to.

    Raises:
        InputError: the file cannot be read.
    """
    return "config" in _read_safetensors(Path(path), tensors=False)[1]


def fits(model: nn.Module, state: Mapping[str, Tensor]) -> bool:
    """Whether names and shapes are those of the model, in its own terms or its authors' (`load_weights` sees more)."""
    own = model.state_dict()
    constants = dict(model.named_buffers())
    given = {_own_name(model, key, own, constants): value.shape for key, value in state.items()}
    needed = {key for key in own if not key.endswith("num_batches_tracked")}
    return needed <= given.keys() and all(
        key in constants if key not in own else shape == own[key].shape for key, shape in given.items()
    )


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file as hexadecimal text."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load(model: nn.Module, state: Mapping[str, Tensor], name: str, keep: tuple[str, ...] = ()) -> None:
    """Copy `state` into the model after every check has passed."""
    own = model.state_dict()
    constants = {key: value for key, value in model.named_buffers() if key not in own}
    given = {_own_name(model, key, own, constants): value for key, value in state.items()}

    # Buffers the model computes itself (window indices) are compared, not loaded.
    changed = [key for key in given.keys() & constants.keys() if not _same(given[key], constants[key])]
    given = {key: value for key, value in given.items() if key not in constants}
    missing = [key for key in own if key not in given and not key.endswith("num_batches_tracked")]
    missing = [key for key in missing if not key.startswith(keep)]
    unexpected = [key for key in given if key not in own]
    misshaped = [key for key in given if key in own and given[key].shape != own[key].shape]
    if missing or unexpected or misshaped or changed:
        problems = []
        if missing:
            problems.append(f"{len(missing)} missing ({_some(missing)})")
        if unexpected:
            problems.append(f"{len(unexpected)} unknown ({_some(unexpected)})")
        if misshaped:
            shapes = [f"{key} is {tuple(given[key].shape)}, wanted {tuple(own[key].shape)}" for key in misshaped]
            problems.append(f"{len(misshaped)} of another shape ({_some(shapes)})")
        if changed:
            problems.append(f"{len(changed)} constant with other values ({_some(sorted(changed))})")
        looks_like = _looks_like(model, state)
        message = f"{name}: does not fit {type(model).__name__}; {looks_like}. Weights: {', '.join(problems)}"
        raise CheckpointMismatch(message, missing, unexpected, misshaped)
    if broken := _not_finite(given):
        raise InputError(f"{name}: {_some(broken)} holds NaN or infinity; the file is damaged or its training failed")
    model.load_state_dict(given, strict=False)


def _own_name(model: nn.Module, key: str, own: Mapping[str, Any], constants: Mapping[str, Any]) -> str:
    """Return what the model calls a weight that its authors may call otherwise."""
    rename = getattr(model, "from_official", None)
    return key if rename is None or key in own or key in constants else rename(key)


def _looks_like(model: nn.Module, state: Mapping[str, Tensor]) -> str:
    for signature, kind in _SIGNATURES:
        if signature in state:
            same = signature in model.state_dict() or kind.endswith(f"{type(model).__name__}Config")
            return "the same kind of model with other settings" if same else f"it looks like {kind}"
    return "it looks like no model known here"


def _some(names: list[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.equal(a.to(b.dtype), b.to(a.device))


def _not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    return [key for key, t in tensors.items() if t.is_floating_point() and not t.isfinite().all()]


def _read_safetensors(path: Path, *, tensors: bool = True) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            names = file.keys() if tensors else ()
            return {key: file.get_tensor(key) for key in names}, dict(file.metadata() or {})
    except (safetensors.SafetensorError, ValueError, OSError) as error:
        raise InputError(f"{path}: truncated or damaged, or not a safetensors file; fetch it again") from error


def _verify(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> None:
    if header.get("content_sha256") != _content_sha256(tensors, header):
        raise InputError(f"{path}: changed since it was written (its SHA-256 does not match); fetch it again")
    if header.get("format") != FORMAT:
        raise InputError(f"{path}: has format {header.get('format')!r}, this version reads {FORMAT!r}")


def _check_sidecar(path: Path) -> None:
    sidecar = path.with_name(path.name + ".sha256")
    if sidecar.is_file():
        words = sidecar.read_text().split()
        if not words or words[0].lower() != file_sha256(path):
            raise InputError(f"{path}: does not match {sidecar.name} beside it; fetch both again")


def _check_archive(path: Path) -> None:
    """Compare the checksums of what torch.save writes, a zip archive: torch itself does not look at them."""
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except Exception as error:  # whatever the parser of a damaged file stumbles over
        raise InputError(f"{path}: truncated or damaged, or not a weights file; fetch it again") from error
    if damaged is not None:
        raise InputError(f"{path}: is damaged (the checksum of {damaged} differs); fetch it again")


def _content_sha256(tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> str:
    """Hash names, dtypes, shapes and bytes of all tensors and all metadata but the hash itself."""
    digest = hashlib.sha256()
    digest.update(json.dumps({k: header[k] for k in sorted(header) if k != "content_sha256"}).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _write(path: Path, data: bytes) -> None:
    """Write `data` beside `path`, then give it the name: a crash leaves the old file or the new one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise InputError(f"{path}: not written ({error.strerror}); a file of that name is as it was") from error
