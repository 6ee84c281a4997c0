"""Activation checkpointing changes memory, never a number."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from saliency.backbones.layers import recomputed
from saliency.models.tmfi_net import TMFINetConfig
from saliency.models.vinet_a import ViNetAConfig
from saliency.models.vinet_s import ViNetSConfig
from saliency.types import InputSpec

SMALL = InputSpec(length=8, size=(32, 64))
CONFIGS = {
    "tmfi_net": TMFINetConfig(
        input=SMALL,
        embed_dim=8,
        depths=(2, 2, 2, 2),
        heads=(1, 1, 2, 2),
        window=(2, 4, 4),
        decoder_channels=16,
        drop_path=0.5,
    ),
    "vinet_s": ViNetSConfig(input=SMALL, width=0.125),
    "vinet_a": ViNetAConfig(input=SMALL, width=0.125, depths=(1, 2, 1, 1)),
}


class Saved:
    """Counts the bytes that autograd keeps between forward and backward."""

    def __init__(self) -> None:
        self.storages: dict[int, int] = {}

    def pack(self, x: Tensor) -> Tensor:
        self.storages[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    @property
    def bytes(self) -> int:
        return sum(self.storages.values())


def step(config, *, precision: torch.dtype = torch.float32) -> tuple[nn.Module, Tensor, int]:
    """Two training steps of a fresh model; return it, its last maps and the bytes kept by the first step."""
    torch.manual_seed(0)
    model = config.build().train()
    clip = torch.randn(2, 3, SMALL.length, *SMALL.size, generator=torch.Generator().manual_seed(1))
    kept = 0
    maps = clip
    for number in range(2):
        torch.manual_seed(10 + number)
        saved = Saved()
        with (
            torch.autograd.graph.saved_tensors_hooks(saved.pack, lambda x: x),
            torch.autocast("cpu", precision, enabled=precision != torch.float32),
        ):
            maps = model(clip)
        (maps.float() * torch.linspace(0, 1, maps.numel()).view_as(maps)).sum().backward()
        kept = kept or saved.bytes
    return model, maps, kept


@pytest.mark.parametrize(
    ("name", "precision"), [*((name, torch.float32) for name in CONFIGS), ("tmfi_net", torch.bfloat16)]
)
def test_same_maps_gradients_and_statistics_from_less_memory(name: str, precision: torch.dtype) -> None:
    plain, maps, kept = step(CONFIGS[name], precision=precision)
    again, maps_again, kept_again = step(replace(CONFIGS[name], checkpoint_activations=True), precision=precision)
    assert torch.equal(maps, maps_again)
    gradients = {key: p.grad for key, p in again.named_parameters()}
    for key, parameter in plain.named_parameters():
        gradient, other = parameter.grad, gradients[key]
        assert (gradient is None) == (other is None), key
        assert gradient is None or other is None or torch.equal(gradient, other), key
    buffers = dict(again.named_buffers())
    assert all(torch.equal(value, buffers[key]) for key, value in plain.named_buffers())
    assert kept_again < 0.7 * kept


@pytest.mark.parametrize("name", CONFIGS)
def test_predictions_are_a_plain_call(name: str) -> None:
    model = replace(CONFIGS[name], checkpoint_activations=True).build().eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, SMALL.length, *SMALL.size)).grad_fn is None


def test_weights_are_found_under_the_same_names() -> None:
    for config in CONFIGS.values():
        assert (
            config.build().state_dict().keys()
            == replace(config, checkpoint_activations=True).build().state_dict().keys()
        )


@pytest.mark.slow  # 8 s, nearly all of it loading the compiler
def test_compiled() -> None:
    """The compiler recomputes the block and still counts the batch once."""
    conv, norm = nn.Conv3d(3, 4, 3), nn.BatchNorm3d(4)
    layer = nn.Sequential(conv, norm, nn.ReLU())
    assert norm.running_mean is not None
    x = torch.randn(2, 3, 4, 5, 6)
    layer(x).square().sum().backward()
    expected, mean = conv.weight.grad, norm.running_mean.clone()
    norm.reset_running_stats()
    conv.zero_grad()
    torch.compile(lambda x: recomputed(layer, x), fullgraph=True, backend="aot_eager")(x).square().sum().backward()
    torch.testing.assert_close(conv.weight.grad, expected)
    torch.testing.assert_close(norm.running_mean, mean)
