"""The backbones against torchvision, and the names of published weights."""

import json
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torchvision.models.video import s3d as torchvision_s3d
from torchvision.models.video.swin_transformer import ShiftedWindowAttention3d, SwinTransformer3d

from saliency.backbones import pretrained, s3d, slowfast, video_swin
from saliency.backbones.s3d import S3DFeatures
from saliency.backbones.slowfast import SlowFastFeatures
from saliency.backbones.video_swin import VideoSwinFeatures, WindowAttention, fit_window, shift_masks
from saliency.errors import InputError
from saliency.io.weights import file_sha256, load_weights
from saliency.models.tmfi_net import TMFINetConfig
from saliency.models.vinet_a import ViNetAConfig
from saliency.models.vinet_s import ViNetSConfig

DATA = Path(__file__).parents[1] / "data" / "models"


def names(backbone):
    return json.loads((DATA / f"map_{backbone}.json").read_text())


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
