"""Any weights file becomes a model: ours hold their config, published ones are told by names and shapes."""

from pathlib import Path

import torch

from saliency.errors import InputError
from saliency.io.weights import (
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

PUBLISHED: dict[str, ModelConfig] = {
    "ViNet-S": ViNetSConfig(),
    "ViNet": ViNetSConfig(groups=(1, 1, 1, 1, 1)),
    "ViNet-A": ViNetAConfig(),
    "TMFI-Net": TMFINetConfig(),
    "STSA-Net": STSANetConfig(),
}
"""The models whose authors give weights away, in their published sizes."""


def open_model(path: str | Path) -> LoadedModel:
    """Build the model that a weights file belongs to and fill it.

    Args:
        path: a file of `saliency.io.weights.save_model`, or weights of a model in `PUBLISHED` as its authors
            save them (``.pt``, ``.pth``, ``.tar``, ``.bin``, ``.safetensors``).

    Raises:
        InputError: the file cannot be read, was changed, or fits no model known here.
    """
    path = Path(path)
    if path.suffix == ".safetensors" and holds_config(path):
        return load_model(path)
    state = unwrap(read_weights(path), str(path))
    for name, config in PUBLISHED.items():
        with torch.device("meta"):  # names and shapes are enough to tell, and cost nothing
            found = fits(config.build(), state)
        if found:
            model = config.build()
            load_weights(model, state, name=str(path))
            return LoadedModel(model=model.eval(), config=config, metadata={"model": name}, sha256=file_sha256(path))
    raise InputError(
        f"{path}: holds no config, and weights of none of {', '.join(PUBLISHED)} in the published size; "
        "build the model, load_weights, then save_model"
    )
