import functools
import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from saliency.io.checkpoint import load_weights
from saliency.models.tmfi_net import TMFINet, TMFINetConfig
from saliency.models.vinet_a import ViNetA, ViNetAConfig
from saliency.models.vinet_s import ViNetS, ViNetSConfig

DATA = Path(__file__).parents[1] / "data" / "models"


def _load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


fill = _load("published_models", DATA / "fill.py")


def published_state(model, salt="s0"):
    """A state dict as the published code writes it, integer entries included."""
    state = {name: torch.from_numpy(values) for name, values in fill.state(model, salt).items()}
    for name, shape, kind in fill.keys(model):
        if kind.startswith("int") and name.endswith("num_batches_tracked"):
            state[name] = torch.zeros(shape, dtype=torch.int64)
    return state


MODELS = {
    ("tmfi", "official"): (TMFINet, TMFINetConfig()),
    ("vinet_s", "official"): (ViNetS, ViNetSConfig()),
    ("vinet_s", "trilinear"): (ViNetS, ViNetSConfig(upsampling="trilinear")),
    ("vinet_a", "official"): (ViNetA, ViNetAConfig()),
    ("vinet_a", "noshuffle"): (ViNetA, ViNetAConfig(shuffle=False)),
}


@functools.lru_cache(maxsize=1)
def filled(model, variant="official"):
    """The full-size model with the golden weights, in eval mode."""
    kind, config = MODELS[model, variant]
    with torch.random.fork_rng():
        built = kind(config)
    load_weights(built, published_state(model))
    return built.eval()


@pytest.fixture
def published():
    """Golden numbers of the published models: `fill`, `state(model)`, `model(name, variant)`, `data`."""
    return SimpleNamespace(fill=fill, state=published_state, model=filled, data=DATA)
