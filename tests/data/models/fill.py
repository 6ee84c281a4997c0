"""Weights and inputs for comparing a model with the published code; numpy alone, the same on every machine.

Each value depends on the salt, the published name of the weight and its shape only.
"""

import json
import math
import re
import zlib
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent

# (pattern of the name, factor) on top of the general rule: keeps activations moderate. The first match counts.
SCALE = {
    "tmfi": [
        (r"^decoder\.conv[12]\.weight$", 0.25),
        (r"^decoder\.conv3\.weight$", 0.08),
        (r"^decoder\.convtsp[1-4]\.[89]\.weight$", 0.25),
        (r"^decoder\.convout\.0\.weight$", 2.0),
    ],
    "vinet_a": [(r"^backbone\..*\.bn3\.weight$", 0.3)],
}

# LayerNorms of STSA-Net whose weights are no vectors.
LAYER_NORMS = r"^(ln_\d_\d|CA_\d\.2)\.weight$"


def keys(model):
    """[(name, shape, type)] of the published checkpoint."""
    return [(name, tuple(shape), kind) for name, shape, kind in json.loads((HERE / f"keys_{model}.json").read_text())]


def state(model, salt):
    """{name: float32 array} of every entry that is not an integer."""
    return {name: values(model, name, shape, salt) for name, shape, kind in keys(model) if not kind.startswith("int")}


def values(model, name, shape, salt):
    """The float32 array of one entry."""
    normal = np.random.default_rng(zlib.crc32((salt + name).encode())).standard_normal(shape)
    if name.endswith("relative_position_bias_table"):
        made = 0.5 * normal
    elif name.endswith("running_var"):
        made = 1.0 + 0.1 * np.abs(normal)
    elif name.endswith(("running_mean", "bias")):
        made = 0.1 * normal
    elif len(shape) == 1 or re.search(LAYER_NORMS, name):
        made = 1.0 + 0.1 * normal
    else:
        made = normal * math.sqrt(2.0 / float(np.prod(shape[1:])))
    for pattern, factor in SCALE.get(model, []):
        if re.search(pattern, name):
            made = made * factor
            break
    return made.astype(np.float32)


def clips(seeds, t, h, w):
    """float32 (len(seeds), 3, t, h, w), already normalised: coarse blocks and fine noise."""
    made = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        coarse = rng.standard_normal((3, -(-t // 8), -(-h // 32), -(-w // 32)))
        coarse = coarse.repeat(8, 1)[:, :t].repeat(32, 2)[:, :, :h].repeat(32, 3)[:, :, :, :w]
        made.append((coarse + 0.3 * rng.standard_normal((3, t, h, w))).astype(np.float32))
    return np.stack(made)


def difference(maps, golden):
    """Largest absolute difference of maps (B, H, W) to a golden file."""
    maps = np.asarray(maps, dtype=np.float32)
    assert maps.shape == tuple(golden["shape"])
    exact, stride = maps.astype(np.float64), int(golden["stride"])
    found = {
        "sub": exact[:, ::stride, ::stride],
        "row_mean": exact.mean(2).astype(np.float32),
        "col_mean": exact.mean(1).astype(np.float32),
        "mean": exact.mean((1, 2)),
        "std": exact.std((1, 2)),
        "min": exact.min((1, 2)),
        "max": exact.max((1, 2)),
    }
    return max(float(np.abs(values - golden[name]).max()) for name, values in found.items())
