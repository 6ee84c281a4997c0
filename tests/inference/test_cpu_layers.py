"""The CPU's own layers: poolings to the bit, convolutions to rounding, and what cannot be replaced stays."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from saliency.backbones.layers import upsample
from saliency.inference.cpu_layers import OneDNNConv3d, SlicedMaxPool3d, max_along, with_cpu_layers

POOLS = [
    {"kernel_size": (1, 3, 3), "stride": (1, 2, 2), "padding": (0, 1, 1)},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 3, "stride": 1, "padding": 1},
    {"kernel_size": 2, "stride": 2},
    {"kernel_size": (2, 1, 1)},
    {"kernel_size": (1, 1, 1), "stride": (2, 1, 1)},
    {"kernel_size": (5, 4, 3), "stride": (1, 3, 2), "padding": (2, 1, 0)},
    {"kernel_size": (1, 7, 2), "stride": (1, 5, 3), "padding": (0, 3, 1)},
]


@pytest.mark.parametrize("pool", POOLS, ids=str)
@pytest.mark.parametrize("size", [(6, 8, 12), (5, 7, 9), (5, 9, 7)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d], ids=["first", "last"])
def test_max_pooling_is_pytorchs_to_the_bit(pool, size, layout) -> None:
    theirs = nn.MaxPool3d(**pool)
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0)).to(memory_format=layout)
    x[0, 0, 1] = -torch.inf
    x[1, 2, 2, 3, 4] = torch.nan
    before = x.clone()
    with torch.no_grad():
        found, expected = SlicedMaxPool3d(theirs)(x), theirs(x)
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
    assert torch.equal(before.nan_to_num(), x.nan_to_num())
    if pool in POOLS[:4]:  # those of the models
        assert found.is_contiguous(memory_format=layout)


@pytest.mark.parametrize("length", [1, 2, 3, 8])
def test_maxima_of_short_axes(length) -> None:
    x = torch.randn(2, length, generator=torch.Generator().manual_seed(0))
    for kernel, stride, padding in ((3, 1, 1), (3, 2, 1), (2, 1, 1), (5, 1, 2)):
        expected = F.max_pool1d(x, kernel, stride, padding)
        assert torch.equal(max_along(x, 1, kernel, stride, padding), expected), (kernel, stride, padding)


CONVOLUTIONS = [
    {"kernel_size": 1},
    {"kernel_size": (3, 1, 1), "padding": (1, 0, 0)},
    {"kernel_size": (1, 3, 3), "padding": (0, 1, 1), "stride": (1, 2, 2)},
    {"kernel_size": (2, 3, 3), "padding": (0, 1, 1), "stride": (2, 1, 1), "groups": 2, "bias": False},
    {"kernel_size": 3, "padding": (1, 2, 2), "dilation": (1, 2, 2), "groups": 4},
]


@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this PyTorch was built without oneDNN")
def test_convolution_is_pytorchs(options, batch) -> None:
    torch.manual_seed(0)
    conv = nn.Conv3d(8, 12, **options)
    x = torch.randn(batch, 8, 4, 7, 9)
    fast = OneDNNConv3d(conv)
    with torch.no_grad():
        expected = conv(x)
        torch.testing.assert_close(fast(x), expected, atol=1e-5, rtol=1e-5)
        assert fast(x).is_contiguous(memory_format=torch.channels_last_3d)
        if not torch.ops.mkldnn._is_mkldnn_bf16_supported():  # refused as a precision there
            return
        with torch.autocast("cpu", torch.bfloat16):
            half = fast(x)
    assert half.dtype == torch.bfloat16
    assert (half.float() - expected).norm() / expected.norm() < 0.01


def test_layers_with_other_rules_stay() -> None:
    class Own(nn.Conv3d):
        pass

    model = nn.Sequential(
        nn.Conv3d(3, 3, 3, padding=1, padding_mode="replicate"),
        Own(3, 3, 1),
        nn.MaxPool3d(2, ceil_mode=True),
        nn.MaxPool3d(2, dilation=2),
        nn.Conv2d(3, 3, 1),
    )
    before = list(model)
    assert list(with_cpu_layers(model)) == before


def test_upsampling_of_channels_side_by_side_copies_nothing_and_gives_the_same() -> None:
    x = torch.randn(2, 8, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    for align in (False, True):
        expected = upsample(x, (9, 14), align_corners=align)
        found = upsample(x.to(memory_format=torch.channels_last_3d), (9, 14), align_corners=align)
        assert found.is_contiguous(memory_format=torch.channels_last_3d)
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_building_a_model_does_not_load_the_compiler() -> None:
    """Loading it takes 1.5 s."""
    code = (
        "import sys, torch\n"
        "import saliency.inference.model\n"
        "from saliency.models import stsa_net, tmfi_net, vinet_a, vinet_s\n"
        "from saliency.inference.folding import for_inference\n"
        "from saliency.inference.cpu_layers import with_cpu_layers\n"
        "configs = tmfi_net.TMFINetConfig, vinet_a.ViNetAConfig, vinet_s.ViNetSConfig, stsa_net.STSANetConfig\n"
        "small = ({'embed_dim': 24, 'depths': (1, 1, 1, 1)}, *[{'width': 0.1}] * 3)\n"
        "for config, options in zip(configs, small): with_cpu_layers(for_inference(config(**options).build()))\n"
        "print([name for name in ('torch._dynamo', 'torchvision') if name in sys.modules])\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert result.stdout.strip() == "[]"
