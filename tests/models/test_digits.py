import pytest
import torch

from saliency.models.digits import CNNConfig, MixerConfig, MLPConfig, TanhConfig
from saliency.types import InputSpec, ModelConfig

CONFIGS = [MLPConfig, CNNConfig, MixerConfig, TanhConfig]


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("size", [(14, 14), (8, 8), (9, 5)])
def test_logits_are_the_head_of_the_features(kind, size):
    config = kind(input=InputSpec(length=1, size=size), classes=7)
    assert isinstance(config, ModelConfig)
    model = config.build().eval()
    images = torch.rand(3, 1, *size)
    assert model(images).shape == (3, 7)
    torch.testing.assert_close(model.head(model.features(images)), model(images))


def test_the_mixer_mixes_rows_and_columns():
    model = MixerConfig().build().eval()
    image = torch.rand(1, 1, 14, 14)
    assert not torch.allclose(model(image), model(image.flip(-1)))
    assert not torch.allclose(model(image), model(image.flip(-2)))


def test_only_the_tanh_network_is_random_in_training():
    image = torch.rand(4, 1, 14, 14)
    for kind in CONFIGS:
        model = kind().build().train()
        assert torch.equal(model(image), model(image)) == (kind is not TanhConfig)
