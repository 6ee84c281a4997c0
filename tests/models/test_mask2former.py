import sys

import pytest
import torch
from torch import nn

from saliency.errors import InputError
from saliency.models import mask2former
from saliency.models.mask2former import (
    MASK2FORMER_R50,
    MASK2FORMER_SWIN_S,
    MASK2FORMER_SWIN_T,
    Mask2FormerConfig,
    ResNet,
    Swin,
)
from saliency.types import InputSpec, MaskPrediction

SMALL = {
    "input": InputSpec(length=1, size=(64, 64)),
    "num_classes": 5,
    "queries": 6,
    "width": 32,
    "heads": 4,
    "encoder_layers": 1,
    "encoder_feedforward": 32,
    "decoder_layers": 2,
    "decoder_feedforward": 32,
}
RESNET = ResNet(stem=8, widths=(8, 16, 16, 24), depths=(1, 1, 1, 1), block="basic", frozen_norm=False)
SWIN = Swin(width=8, depths=(1, 1, 1, 1), heads=(1, 1, 2, 2), window=4, drop_path=0.1)


def small(backbone: ResNet | Swin) -> Mask2FormerConfig:
    return Mask2FormerConfig(backbone=backbone, **SMALL)


def test_without_the_package_one_line_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)  # what an import of a missing package meets
    with pytest.raises(InputError, match=r"video-saliency\[segmentation\]"):
        small(RESNET).build()


def test_refuses_a_width_that_cannot_be_normalised():
    with pytest.raises(ValueError, match="multiple of 32"):
        Mask2FormerConfig(width=48)


class TestWithTransformers:
    @pytest.fixture(autouse=True)
    def _package(self):
        pytest.importorskip("transformers")
        torch.manual_seed(0)

    @pytest.mark.parametrize("backbone", [RESNET, SWIN])
    @pytest.mark.parametrize("size", [(64, 64), (96, 64), (50, 70)])
    def test_shapes(self, backbone, size):
        model = small(backbone).build().eval()
        with torch.no_grad():
            pred = model(torch.randn(2, 3, *size))
        assert isinstance(pred, MaskPrediction)
        assert [tuple(c.shape) for c in pred.class_logits] == [(2, 6, 6)] * 3  # before, and after each layer
        grid = (-(-size[0] // 4), -(-size[1] // 4))
        assert [tuple(m.shape) for m in pred.mask_logits] == [(2, 6, *grid)] * 3

    @pytest.mark.parametrize("backbone", [RESNET, SWIN])
    def test_images_of_a_batch_are_independent(self, backbone):
        model = small(backbone).build().eval()
        images = torch.randn(3, 3, 64, 64)
        with torch.no_grad():
            together, alone = model(images), model(images[1:2])
        torch.testing.assert_close(together.class_logits[-1][1:2], alone.class_logits[-1], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(together.mask_logits[-1][1:2], alone.mask_logits[-1], atol=1e-4, rtol=1e-4)

    @pytest.mark.parametrize("backbone", [RESNET, SWIN])
    def test_every_parameter_learns_and_nothing_else_is_saved(self, backbone):
        model = small(backbone).build()
        pred = model(torch.randn(2, 3, 64, 64))
        sum(logits.square().mean() for logits in (*pred.class_logits, *pred.mask_logits)).backward()
        without = {
            name for name, parameter in model.named_parameters() if parameter.requires_grad and parameter.grad is None
        }
        assert without == set()
        assert not [name for name in model.state_dict() if "criterion" in name]

    def test_the_same_seed_makes_the_same_model(self):
        models = []
        for _ in range(2):
            torch.manual_seed(3)
            models.append(small(SWIN).build())
        for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
            assert torch.equal(a, b)

    def test_frozen_norms_stay_as_they_are(self):
        frozen = ResNet(stem=8, widths=(8, 16, 16, 24), depths=(1, 1, 1, 1), block="basic")
        model = small(frozen).build().train()
        norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
        assert norms and not any(norm.training for norm in norms)
        before = [norm.running_mean.clone() for norm in norms]
        model(torch.randn(2, 3, 64, 64)).mask_logits[-1].sum().backward()
        assert all(torch.equal(norm.running_mean, mean) for norm, mean in zip(norms, before, strict=True))
        assert all(norm.weight.grad is None for norm in norms)
        assert model.training and any(p.requires_grad for p in model.parameters())

    def test_weights_load_from_a_folder_of_the_hubs_format(self, tmp_path):
        model = small(SWIN).build()
        model.network.save_pretrained(tmp_path)
        again = small(SWIN).build(str(tmp_path))
        for (name, a), (_, b) in zip(model.state_dict().items(), again.state_dict().items(), strict=True):
            assert torch.equal(a, b), name
        other = Mask2FormerConfig(backbone=SWIN, **SMALL | {"num_classes": 7})
        with pytest.raises(InputError, match="do not fit this model"):
            other.build(str(tmp_path))

    def test_weights_that_cannot_be_had(self, tmp_path, monkeypatch):
        with pytest.raises(InputError, match=r"no weights on the model hub.*model_final_500878.pkl"):
            small(RESNET).build("hub")
        with pytest.raises(InputError, match=r"no folder with config.json"):
            small(RESNET).build(str(tmp_path))

        class Offline:
            Mask2FormerConfig = SwinConfig = staticmethod(lambda **_: None)

            class Mask2FormerForUniversalSegmentation:
                @staticmethod
                def from_pretrained(*_, **__):
                    raise OSError("We couldn't connect to 'https://huggingface.co'\nmore lines")

        monkeypatch.setattr(mask2former, "_library", lambda: Offline)
        with pytest.raises(InputError) as error:
            MASK2FORMER_SWIN_T.build("hub")
        message = str(error.value)
        assert "\n" not in message
        assert "facebook/mask2former-swin-tiny-ade-semantic" in message and "model.safetensors" in message

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("config", "millions"), [(MASK2FORMER_R50, 44.0), (MASK2FORMER_SWIN_T, 47.4), (MASK2FORMER_SWIN_S, 68.8)]
    )
    def test_sizes_of_the_published_models(self, config, millions):
        with torch.device("meta"):
            model = config.build()
        assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.15)
