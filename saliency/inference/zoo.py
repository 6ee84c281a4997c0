"""The one list of models by name, and how a name or a weights file becomes a model.

Weights of our own hold their config; those that others publish are told by their names and shapes.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

import saliency
from saliency.backbones.pretrained import folder
from saliency.errors import InputError, nearest
from saliency.inference.places import is_hub_name, weights_from_hub, weights_in
from saliency.io.weights import (
    SUFFIXES,
    LoadedModel,
    file_sha256,
    fits,
    holds_config,
    load_model,
    load_weights,
    read_weights,
    unwrap,
)
from saliency.models.stsa_net import STSANetConfig
from saliency.models.tmfi_net import TMFINetConfig
from saliency.models.vinet_a import ViNetAConfig
from saliency.models.vinet_s import ViNetSConfig
from saliency.types import ModelConfig

BUNDLED = Path(saliency.__file__).parent / "assets" / "weights"
"""The folder of the weights that come with the project, one file ``NAME.safetensors`` a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """A model that has a name.

    Attributes:
        name: what it is asked for by.
        title: what it is called in texts and tables.
        about: what it is, in one line.
        default: whether it is the one taken when none is named.
        config: the model its authors' weights fill; None if it comes with the project, in a file that says so itself.
        source: where its authors give the weights away; empty if it comes with the project.
    """

    name: str
    title: str
    about: str
    default: bool = False
    config: ModelConfig | None = None
    source: str = ""

    @property
    def path(self) -> Path | None:
        """The file of its weights on this machine; None if there is none."""
        if self.config is None:
            files = [BUNDLED / f"{self.name}.safetensors"]
        else:
            files = [folder() / f"{self.name}{suffix}" for suffix in SUFFIXES]
        return next((file for file in files if file.is_file()), None)


MODELS = (
    ModelEntry(
        name="real_gaze",
        title="AppearanceNet, real gaze",
        about="learned from the gaze of real people on photographs; sees appearance alone, not validated on real video",
        default=True,
    ),
    ModelEntry(
        name="mini_vinet_a",
        title="ViNet-A, small",
        about="a small ViNet-A trained on simulated videos: shows that all works, no model of real people",
    ),
    ModelEntry(
        name="vinet_s",
        title="ViNet-S",
        about="ViNet-S with its authors' weights: S3D backbone, grouped decoder",
        config=ViNetSConfig(),
        source="github.com/ViNet-Saliency/vinet_v2",
    ),
    ModelEntry(
        name="vinet",
        title="ViNet",
        about="ViNet with its authors' weights: S3D backbone, full decoder",
        config=ViNetSConfig(groups=(1, 1, 1, 1, 1)),
        source="github.com/samyak0210/ViNet",
    ),
    ModelEntry(
        name="vinet_a",
        title="ViNet-A",
        about="ViNet-A with its authors' weights: SlowFast backbone that knows actions",
        config=ViNetAConfig(),
        source="github.com/ViNet-Saliency/vinet_v2",
    ),
    ModelEntry(
        name="tmfi_net",
        title="TMFI-Net",
        about="TMFI-Net with its authors' weights: Video Swin backbone",
        config=TMFINetConfig(),
        source="github.com/wusonghe/TMFI-Net",
    ),
    ModelEntry(
        name="stsa_net",
        title="STSA-Net",
        about="STSA-Net with its authors' weights: S3D backbone, attention over time",
        config=STSANetConfig(),
        source="github.com/WZq975/STSANet",
    ),
)
"""Every model that has a name: those that come with the project, and those whose authors give weights away."""


def list_models() -> tuple[ModelEntry, ...]:
    """Return every model that has a name, the default one first; `ModelEntry.path` says whether weights are here."""
    return tuple(sorted(MODELS, key=lambda entry: not entry.default))


def resolve(name_or_path: str | Path | None = None) -> Path:
    """Return the weights file of a model.

    Args:
        name_or_path: a name of `list_models`, the path of a weights file or of the folder of a run, ``user/name`` of
            huggingface.co, or None or ``"default"`` for the default model.

    Raises:
        InputError: neither a name nor a file, or the model of that name has no weights on this machine.
    """
    if name_or_path in (None, "default"):
        return _weights_of(next(entry for entry in MODELS if entry.default))
    known = {entry.name: entry for entry in MODELS}
    if entry := known.get(str(name_or_path)):
        return _weights_of(entry)
    path = Path(str(name_or_path))
    if path.is_dir():
        return weights_in(path)
    if not path.is_file():
        if is_hub_name(str(name_or_path)):
            return weights_from_hub(str(name_or_path))
        remedy = "; names are separated by spaces" if "," in path.name else nearest(path.name, known)
        raise InputError(f"{path}: no such file, and no model of this name ({', '.join(known)}){remedy}")
    return path


def open_model(path: str | Path) -> LoadedModel:
    """Build the model that a weights file belongs to and fill it.

    Args:
        path: a file of `saliency.io.weights.save_model`, or weights of a model in `MODELS` as its authors
            save them (``.pt``, ``.pth``, ``.tar``, ``.bin``, ``.safetensors``).

    Raises:
        InputError: the file cannot be read, was changed, or fits no model known here.
    """
    path = Path(path)
    if path.suffix == ".safetensors" and holds_config(path):
        return load_model(path)
    state = unwrap(read_weights(path), str(path))
    published = {entry.title: entry.config for entry in MODELS if entry.config is not None}
    for name, config in published.items():
        with torch.device("meta"):  # names and shapes are enough to tell, and cost nothing
            found = fits(config.build(), state)
        if found:
            model = config.build()
            load_weights(model, state, name=str(path))
            return LoadedModel(model=model.eval(), config=config, metadata={"model": name}, sha256=file_sha256(path))
    raise InputError(
        f"{path}: holds no config, and weights of none of {', '.join(published)} in the published size; "
        "build the model, load_weights, then save_model"
    )


def _weights_of(entry: ModelEntry) -> Path:
    if entry.path is not None:
        return entry.path
    if entry.config is None:
        raise InputError(f"this copy comes without the weights of {entry.name}; name a file with --weights")
    raise InputError(
        f"no weights of {entry.name} on this machine: put the file its authors publish ({entry.source}) at "
        f"{folder() / entry.name}.pt (or its own ending), or name the file"
    )
