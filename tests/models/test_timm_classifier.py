import pytest
import torch

from saliency.errors import InputError
from saliency.io.weights import load_model, load_weights, save_model
from saliency.models.dinov2_linear import DINOv2LinearConfig
from saliency.models.mambavision import MambaVisionConfig
from saliency.models.timm_classifier import TimmConfig
from saliency.types import ImageSpec

timm = pytest.importorskip("timm")
TINY = "test_vit.r160_in1k"


def test_native_takes_the_input_from_the_library():
    config = TimmConfig.native("pit_xs_224.in1k")
    assert config.input == ImageSpec(size=(224, 224), crop=0.9, interpolation="bicubic")
    config = TimmConfig.native("vit_base_patch16_224.augreg_in1k", drop_path=0.1)
    assert config.input.mean == (0.5, 0.5, 0.5)
    assert config.drop_path == 0.1
    assert TimmConfig.native("resnext101_32x8d.fb_swsl_ig1b_ft_in1k").input.interpolation == "bilinear"


@pytest.mark.parametrize(
    "name", [TINY, "test_resnet.r160_in1k", "test_convnext.r160_in1k", "test_efficientnet.r160_in1k"]
)
def test_logits_are_the_librarys_and_the_features_feed_its_head(name):
    model = TimmConfig(name=name, classes=11).build().eval()
    images = torch.rand(2, 3, 160, 160)
    with torch.no_grad():
        logits = model(images)
        assert logits.shape == (2, 11)
        torch.testing.assert_close(logits, model.net(images))
        features = model.features(images)
        last = [m for m in model.net.modules() if isinstance(m, torch.nn.Linear)][-1]
        torch.testing.assert_close(last(features), logits)


def test_settings_reach_the_model():
    model = TimmConfig(name=TINY, drop_path=0.3, global_pool="avg").build()
    assert model.net.global_pool == "avg"
    assert max(getattr(block.drop_path1, "drop_prob", 0.0) for block in model.net.blocks) == pytest.approx(0.3)


def test_weights_load_under_their_own_names_and_ours(tmp_path):
    config = TimmConfig(name=TINY)
    source, target = config.build(), config.build()
    torch.save(source.net.state_dict(), tmp_path / "published.pth")
    load_weights(target, tmp_path / "published.pth")
    assert all(
        torch.equal(x, y) for x, y in zip(source.state_dict().values(), target.state_dict().values(), strict=True)
    )
    save_model(tmp_path / "ours.safetensors", source, config)
    again = load_model(tmp_path / "ours.safetensors")
    assert again.config == config


def test_what_cannot_be_built_is_named(monkeypatch):
    with pytest.raises(InputError, match=r"did you mean 'coat_lite_mini.in1k'"):
        TimmConfig.native("coat_lite_mni.in1k")
    with pytest.raises(InputError, match="knows no model 'nothing'"):
        TimmConfig(name="nothing").build()
    with pytest.raises(InputError, match="Invalid pretrained tag"):
        TimmConfig(name="test_vit.foo").build()
    with pytest.raises(InputError, match="neither scratch, hub nor the path"):
        TimmConfig(name=TINY).build("kinetics")

    def offline(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(InputError, match=r"get model.safetensors of https://huggingface.co/timm/test_vit.r160_in1k"):
        TimmConfig(name=TINY).build("hub")
    with pytest.raises(InputError, match="dinov2_vits14_lc"):
        DINOv2LinearConfig().build("hub")


def test_dinov2_reads_four_class_tokens_and_the_mean_patch():
    model = DINOv2LinearConfig(classes=5).build().eval()
    images = torch.rand(1, 3, 56, 70)
    with torch.no_grad():
        features = model.features(images)
        assert features.shape == (1, 5 * 384)
        tokens = model.backbone.forward_features(images)  # (1, 1 + N, D), normalised
        torch.testing.assert_close(features[:, 3 * 384 : 4 * 384], tokens[:, 0])
        torch.testing.assert_close(features[:, 4 * 384 :], tokens[:, 1:].mean(1))
        torch.testing.assert_close(model(images), model.head(features))
    published = {key.replace("head.", "linear_head."): value for key, value in model.state_dict().items()}
    assert "backbone.mask_token" in published and not model.backbone.mask_token.requires_grad
    load_weights(model, published)


def test_mambavision_names_the_missing_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "mamba_ssm" else object())
    with pytest.raises(InputError, match="pip install mamba-ssm"):
        MambaVisionConfig().build()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr("saliency.models.mambavision._has_gpu", lambda: True)
    with pytest.raises(InputError, match="trust_remote_code=true"):
        MambaVisionConfig().build()
