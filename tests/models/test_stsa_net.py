"""STSA-Net: the published code's numbers, and the names of its published weights."""

import itertools
import json

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from saliency.io.weights import load_weights
from saliency.models.stsa_net import STSA_NET_INPUT, STSANet, STSANetConfig
from saliency.types import InputSpec

SMALL = STSANetConfig(input=InputSpec(length=8, size=(64, 96)), width=0.125)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return SMALL.build().eval()


def test_the_target_is_the_sixteenth_frame():
    assert STSA_NET_INPUT.offsets[15] == 0 and len(STSA_NET_INPUT.offsets) == 32


def test_published_size():
    with torch.device("meta"):
        model = STSANet(STSANetConfig())
        assert model(torch.empty(1, 3, 32, 224, 384)).shape == (1, 224, 384)
    assert sum(p.numel() for p in model.parameters()) == 160_840_060


def test_pooled_attention_puts_results_back_where_the_maxima_were(model):
    x = torch.rand(2, 3, 4, 8, 10)
    values, places = F.max_pool3d(x, (1, 2, 2), return_indices=True)
    expected = F.max_unpool3d(3 * values + 1, places, (1, 2, 2))
    assert torch.equal(model.scales[0]._attend(x, lambda y: 3 * y + 1), expected)


def test_attention_is_the_plain_form(model):
    attention = model.scales[1].halves
    a, b = torch.rand(2, 2, attention.value[0][0].in_channels, 2, 3, 4).unbind(0)
    q, k, v = (x.flatten(2) for x in (attention.query[1](b), attention.key[0](a), attention.value[0](a)))
    expected = (torch.softmax(q.transpose(1, 2) @ k, dim=-1) @ v.transpose(1, 2)).transpose(1, 2).view_as(a)
    torch.testing.assert_close(attention(a, b)[0], expected, atol=1e-5, rtol=0)


def official_names():
    """Names of the published checkpoint's weights and biases outside the backbone, without their last part."""
    names = [
        f"branch{i}_{j}_{s}_{e}.{n}" for i, j, s, e, n in itertools.product(range(4), range(3), "ab", "qkv", (0, 2))
    ]
    names += [f"branch{i}_pre.0" for i in range(3)] + [f"branch{i}_mid.0" for i in range(4)] + ["branch3_beh_0.0"]
    names += [f"ln_{i}_{j}" for i in range(4) for j in range(2)]
    names += [f"SA_{i}.0" for i in range(3)] + [f"CA_{i}.{n}" for i in range(3) for n in (1, 2, 4)]
    names += [f"inc_{i}_{n}" for i in range(3) for n in ("0.0", "1.0", "1.2", "2.0", "2.2", "3.1")]
    return [*names, "readout_1.0", "readout_2.0", "readout_2.2", "readout_2.4"]


def test_every_published_name_has_one_place(model):
    names = official_names()
    ours = {STSANet.from_official(f"{name}.weight") for name in names}
    own = {k for k in model.state_dict() if k.endswith(".weight") and not k.startswith("backbone.")}
    assert ours == own and len(ours) == len(names)
    assert STSANet.from_official("base2.0.branch0.0.conv.weight") == "backbone.features.5.branch0.0.weight"


@pytest.mark.parametrize(
    "case, size, width, seeds",
    [("eighth", (64, 96), 0.125, (0, 1)), pytest.param("native", (224, 384), 1.0, (0,), marks=pytest.mark.slow)],
)
def test_output(published, case, size, width, seeds):
    model = STSANet(STSANetConfig(input=InputSpec(size=size), width=width)).eval()
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    backbone = json.loads((published.data / "map_s3d.json").read_text())
    names = [*backbone, *(f"{name}.{kind}" for name in official_names() for kind in ("weight", "bias"))]
    state = {
        f"module.{name}": torch.from_numpy(published.fill.values("stsa_net", name, shapes[ours], "s0"))
        for name in names
        if (ours := STSANet.from_official(name)) in shapes and not name.endswith("num_batches_tracked")
    }
    load_weights(model, state)
    with torch.no_grad():
        maps = model(torch.from_numpy(published.fill.clips(seeds, 32, *size)))
    with np.load(published.data / f"golden_stsa_net_{case}.npz") as golden:
        assert published.fill.difference(maps.numpy(), golden) < 1e-5


def test_published_shapes():
    with torch.device("meta"):
        shapes = {k: tuple(v.shape) for k, v in STSANet(STSANetConfig()).state_dict().items()}
    published = {
        "branch0_pre.0.weight": (192, 192, 4, 1, 1),
        "branch2_pre.0.weight": (832, 832, 2, 1, 1),
        "branch1_mid.0.weight": (240, 480, 1, 3, 3),
        "branch1_0_a_q.0.weight": (224, 480, 1, 1, 1),
        "branch1_2_b_k.2.weight": (128, 128, 1, 3, 3),
        "branch3_2_a_v.2.weight": (512, 512, 1, 1, 3),
        "branch3_beh_0.0.weight": (416, 512, 1, 3, 3),
        "ln_2_1.weight": (416, 4, 14, 24),
        "CA_0.1.weight": (208, 832, 1, 1, 1),
        "SA_1.0.weight": (1, 480, 1, 1, 1),
        "CA_1.2.weight": (120, 4, 1, 1),
        "inc_0_2.2.weight": (240, 240, 1, 5, 5),
        "inc_1_0.0.weight": (192, 240, 1, 1, 1),
        "readout_1.0.weight": (64, 192, 1, 3, 3),
    }
    assert {k: shapes[STSANet.from_official(k)] for k in published} == published
