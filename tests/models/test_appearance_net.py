"""AppearanceNet: a density, the same for a photograph and for a video of it, and a memory that sees change."""

from dataclasses import replace

import pytest
import torch

from saliency.models.appearance_net import AppearanceNet, AppearanceNetConfig
from saliency.types import InputSpec

SMALL = AppearanceNetConfig(
    input=InputSpec(length=4, stride=4, size=(48, 64)),
    channels=(16, 16, 24, 32),
    depths=(1, 1, 1, 1),
    decoder_channels=16,
)


@pytest.fixture
def model() -> AppearanceNet:
    torch.manual_seed(0)
    return SMALL.build().eval()


def photographs(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, 1, 48, 64, generator=torch.Generator().manual_seed(0))


def test_a_map_sums_to_one(model: AppearanceNet) -> None:
    maps = model(photographs())
    assert maps.min() > 0
    torch.testing.assert_close(maps.sum((1, 2)), torch.ones(2))


@pytest.mark.parametrize("length", [2, 4, 9])
def test_a_photograph_is_a_video_of_equal_frames(model: AppearanceNet, length: int) -> None:
    still = photographs()
    torch.testing.assert_close(model(still.expand(-1, -1, length, -1, -1)), model(still), rtol=1e-5, atol=0)


def test_earlier_frames_matter_when_they_differ(model: AppearanceNet) -> None:
    clip = torch.cat((photographs().flip(0), photographs()), dim=2)
    assert (model(clip) / model(photographs()) - 1).abs().max() > 3e-5
    without = replace(SMALL, memory=False).build().eval()
    torch.testing.assert_close(without(clip), without(photographs()))


def test_the_prior_decides_where_nothing_else_does(model: AppearanceNet) -> None:
    with torch.no_grad():
        for vote in model.decoder.votes:
            vote.weight.zero_()
            vote.bias.zero_()
        model.decoder.prior.zero_()
        model.decoder.prior[0, 0, :, -4:] = 3.0  # the right third
    maps = model(photographs())
    even = 1 / (48 * 64)
    ratio = maps[:, :, -1] / maps[:, :, 0]
    torch.testing.assert_close(ratio, torch.full_like(ratio, torch.e**3), rtol=1e-4, atol=0)
    assert (maps[:, :, 0] < even).all() and (maps[:, :, -1] > even).all()


def test_at_most_five_million_parameters() -> None:
    assert sum(p.numel() for p in AppearanceNetConfig().build().parameters()) <= 5_000_000
