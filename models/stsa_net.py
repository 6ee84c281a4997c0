"""STSA-Net: S3D features, attention between time steps at four scales, attentive fusion from coarse to fine.

Paper: Wang et al., "Spatio-Temporal Self-Attention Network for Video Saliency Prediction", IEEE TMM 2023,
doi:10.1109/TMM.2021.3139743, arXiv:2108.10696.
Original code: github.com/WZq975/STSANet at 9edc1f7 (MIT). This file was written from what that code says: layers,
kernels, channels, orders, names, the target at the 16th of 32 frames. Its outputs are those of the published decoder
run on torchvision's S3D with the same weights (tests/models/test_stsa_net.py, 1e-5). Unknown: whether a published
weights file loads and gives the published scores; none was at hand, and the names are those the code gives its layers.

Deviations: any clip length and image size. The published LayerNorms have a weight for every channel, time step and
pixel of 224x384 clips; here their maps are resized bilinearly where the clip has another size. Fewer time steps than
four are filled up by repeating the first one.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from saliency.backbones import s3d
from saliency.backbones.layers import initialise_convolutions, pad_time, scale_channels, spatial_size, upsample
from saliency.backbones.pretrained import start
from saliency.types import Init, InputSpec

STEPS = 4
"""Time steps of every scale inside the decoder."""

STSA_NET_INPUT = InputSpec(target="middle", shift=1)
"""32 frames, of which the target is the 16th."""


@dataclass(frozen=True, slots=True, kw_only=True)
class STSANetConfig:
    """STSA-Net; the defaults are the published model.

    Attributes:
        input: the clip it wants; its size sets the shape of the LayerNorms' weights.
        width: multiplies every channel count; 1 is the published size.
        norm_momentum: BatchNorm momentum of the backbone; 0.1 for training from scratch.
    """

    input: InputSpec = STSA_NET_INPUT
    width: float = 1.0
    norm_momentum: float = 0.001

    def build(self, init: Init = "scratch") -> "STSANet":
        """Make the model.

        Args:
            init: ``"scratch"``; ``"kinetics"``: the backbone from torchvision's Kinetics-400 weights; or the path
                of a checkpoint.

        Raises:
            InputError: the weights are missing or do not fit.
        """
        model = STSANet(self)
        scratch = partial(initialise_convolutions, model.modules())
        start(model, init, scratch, {"kinetics": model.backbone.load_kinetics})
        return model


class STSANet(nn.Module):
    """(B, 3, T, H, W) normalised clip -> (B, H, W) saliency in (0, 1)."""

    def __init__(self, config: STSANetConfig) -> None:
        super().__init__()
        self.backbone = s3d.S3DFeatures(config.width, config.norm_momentum)
        lengths = self.backbone.lengths(config.input.length)
        sizes = self.backbone.sizes(config.input.size)
        inner = [scale_channels(c, config.width) for c in (192, 240, 416, 512)]
        keys = [
            [scale_channels(c, config.width) for c in pair] for pair in ((96, 96), (224, 128), (416, 208), (512, 256))
        ]
        self.scales = nn.ModuleList(
            Scale(c, inner[i], keys[i], lengths[i], sizes[i], join=i < 3, pooled=i == 0)
            for i, c in enumerate(self.backbone.channels)
        )
        self.top = nn.Conv3d(inner[3], inner[2], (1, 3, 3), padding=(0, 1, 1))
        self.fusions = nn.ModuleList(Fusion(c) for c in inner[:3])  # fine to coarse
        self.mixers = nn.ModuleList(Mixer(inner[i], inner[max(i - 1, 0)]) for i in range(3))
        wide, narrow = scale_channels(64, config.width), scale_channels(32, config.width)
        self.readout = nn.Conv3d(inner[0], wide, (1, 3, 3), padding=(0, 1, 1))
        self.halve1 = nn.Conv3d(wide, narrow, (2, 3, 3), stride=(2, 1, 1), padding=(0, 1, 1))
        self.halve2 = nn.Conv3d(narrow, narrow, (2, 1, 1), stride=(2, 1, 1), bias=False)
        self.out = nn.Conv3d(narrow, 1, (1, 3, 3), padding=(0, 1, 1))

    def forward(self, clip: Tensor) -> Tensor:
        """Predict the saliency map of the clip's target frame."""
        features = [scale(x) for scale, x in zip(self.scales, self.backbone(clip), strict=True)]  # (B, C, 4, h, w)
        sizes = [spatial_size(x) for x in features]
        height, width = spatial_size(clip)
        x = upsample(F.relu(self.top(features[3])), sizes[2])  # (B, 416, 4, H/16, W/16)
        for level in (2, 1, 0):
            x = self.fusions[level](x, features[level])
            finer = sizes[level - 1] if level else ((height + 1) // 2, (width + 1) // 2)
            x = upsample(self.mixers[level](x), finer)
        x = upsample(F.relu(self.readout(x)), (height, width))  # (B, 64, 4, H, W)
        x = F.relu(self.halve2(F.relu(self.halve1(x))))  # (B, 32, 1, H, W)
        return torch.sigmoid(self.out(x)).squeeze(2).squeeze(1)

    @staticmethod
    def from_official(key: str) -> str:
        """Return our name of a weight in a checkpoint of the published code."""
        if re.match(r"base\d", key):
            return "backbone." + s3d.from_official(key)
        for pattern, name in _OFFICIAL.items():
            if match := re.match(pattern, key):
                return _official_name(name, match) + key[match.end() :]
        return key


class Scale(nn.Module):
    """One scale: to four time steps, attention between neighbours, a convolution, attention between halves."""

    def __init__(
        self,
        channels: int,
        inner: int,
        keys: Sequence[int],
        length: int,
        size: tuple[int, int],
        *,
        join: bool,
        pooled: bool,
    ) -> None:
        super().__init__()
        self.time = max(1, length // STEPS)
        self.join = nn.Conv3d(channels, channels, (self.time, 1, 1), stride=(self.time, 1, 1)) if join else None
        self.pooled = pooled
        self.pairs = nn.ModuleList(CrossAttention(channels, keys[0]) for _ in range(2))
        self.norm1 = FullLayerNorm(channels, size)
        self.middle = nn.Conv3d(channels, inner, (1, 3, 3), padding=(0, 1, 1))
        self.halves = CrossAttention(inner, keys[1])
        self.norm2 = FullLayerNorm(inner, size)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T', h, w) -> (B, inner, 4, h, w)."""
        if self.join is not None:
            x = F.relu(self.join(pad_time(x, self.time)))
        x = pad_time(x, STEPS)[:, :, -STEPS:]  # other clip lengths than the configured one
        x = x + self.norm1(self._attend(x, self._neighbours))
        x = F.relu(self.middle(x))
        return x + self.norm2(self._attend(x, self._halves))

    def _neighbours(self, x: Tensor) -> Tensor:
        a, b, c, d = x.split(1, dim=2)
        return torch.cat((*self.pairs[0](a, b), *self.pairs[1](c, d)), dim=2)

    def _halves(self, x: Tensor) -> Tensor:
        return torch.cat(self.halves(*x.split(2, dim=2)), dim=2)

    def _attend(self, x: Tensor, attend: Callable[[Tensor], Tensor]) -> Tensor:
        """Apply attention, at the finest scale on 2x2 maxima whose results go back to where the maxima were."""
        if not self.pooled:
            return attend(x)
        h, w = spatial_size(x)
        x = F.pad(x, (0, w % 2, 0, h % 2))  # features are >= 0: padding is never the only maximum that counts
        cells = rearrange(x, "b c t (h down) (w across) -> b c t h w (down across)", down=2, across=2)
        value, place = cells.max(dim=5)
        here = torch.arange(4, device=x.device) == place.unsqueeze(5)
        y = attend(value).unsqueeze(5) * here
        y = rearrange(y, "b c t h w (down across) -> b c t (h down) (w across)", down=2, across=2)
        return y[..., :h, :w]


class CrossAttention(nn.Module):
    """Two groups of time steps look at each other: each is rebuilt from itself, asked by the other."""

    def __init__(self, channels: int, keys: int) -> None:
        super().__init__()
        self.query = nn.ModuleList(_embedding(channels, keys) for _ in range(2))
        self.key = nn.ModuleList(_embedding(channels, keys) for _ in range(2))
        self.value = nn.ModuleList(_value(channels) for _ in range(2))

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Two (B, C, t, h, w) -> two of the same shape."""
        return self._look(a, b, 0), self._look(b, a, 1)

    def _look(self, own: Tensor, other: Tensor, side: int) -> Tensor:
        q, k, v = self.query[1 - side](other), self.key[side](own), self.value[side](own)
        q, k, v = (rearrange(x, "b c t h w -> b 1 (t h w) c") for x in (q, k, v))  # one head
        x = F.scaled_dot_product_attention(q, k, v, scale=1.0)  # the published attention does not scale its logits
        t, h, w = own.shape[2:]
        return rearrange(x, "b 1 (t h w) c -> b c t h w", t=t, h=h, w=w)


def _embedding(c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(c_in, c_out, 1), nn.ReLU(), nn.Conv3d(c_out, c_out, (1, 3, 3), padding=(0, 1, 1)), nn.ReLU()
    )


def _value(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(channels, channels, (1, 3, 1), padding=(0, 1, 0)),
        nn.ReLU(),
        nn.Conv3d(channels, channels, (1, 1, 3), padding=(0, 0, 1)),
        nn.ReLU(),
    )


class FullLayerNorm(nn.Module):
    """LayerNorm over all of a sample with a weight for every channel, time step and pixel."""

    def __init__(self, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, STEPS, *size))
        self.bias = nn.Parameter(torch.zeros(channels, STEPS, *size))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (B, C, 4, h, w)."""
        weight, bias = self.weight, self.bias
        if weight.shape[-2:] != x.shape[-2:]:
            weight, bias = upsample(torch.stack((weight, bias)), spatial_size(x))
        return F.layer_norm(x, x.shape[1:]) * weight + bias


class Fusion(nn.Module):
    """Weighs the channels of two scales by what they hold together, and adds them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        both, few = 2 * channels, channels // 2
        self.where = nn.Conv3d(both, 1, 1)
        self.squeeze = nn.Conv3d(both, few, 1)
        self.norm = nn.LayerNorm([few, STEPS, 1, 1])
        self.excite = nn.Conv3d(few, both, 1)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """Two (B, C, 4, h, w) -> one."""
        both = torch.cat((coarse, fine), dim=1)
        both = both * torch.sigmoid(self.where(both))
        weights = self.squeeze(both.mean((3, 4), keepdim=True))  # (B, C/2, 4, 1, 1)
        weights = torch.sigmoid(self.excite(F.relu(self.norm(weights))))
        for_coarse, for_fine = weights.chunk(2, dim=1)
        return coarse * for_coarse + fine * for_fine


class Mixer(nn.Module):
    """Sum of four branches with different fields of view, then ReLU."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.point = nn.Conv3d(c_in, c_out, 1)
        self.near = _time_then_space(c_in, c_out, 3)
        self.far = _time_then_space(c_in, c_out, 5)
        self.pooled = nn.Conv3d(c_in, c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, 4, h, w) -> (B, C_out, 4, h, w)."""
        pooled = self.pooled(F.max_pool3d(x, 3, stride=1, padding=1))
        return F.relu(self.point(x) + self.near(x) + self.far(x) + pooled)


def _time_then_space(c_in: int, c_out: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(c_in, c_out, (3, 1, 1), padding=(1, 0, 0)),
        nn.ReLU(),
        nn.Conv3d(c_out, c_out, (1, kernel, kernel), padding=(0, kernel // 2, kernel // 2)),
    )


# Published names -> ours; {0}, {1} are groups of the pattern, a letter is looked up in _PLACE. The published indices
# count the activations in between, which our sequences do too.
_OFFICIAL = {
    r"branch([0-2])_pre\.0\.": "scales.{0}.join.",
    r"branch(\d)_mid\.0\.": "scales.{0}.middle.",
    r"branch3_beh_0\.0\.": "top.",
    r"branch(\d)_([01])_([ab])_([qkv])\.": "scales.{0}.pairs.{1}.{3}.{2}.",
    r"branch(\d)_2_([ab])_([qkv])\.": "scales.{0}.halves.{2}.{1}.",
    r"ln_(\d)_0\.": "scales.{0}.norm1.",
    r"ln_(\d)_1\.": "scales.{0}.norm2.",
    r"SA_([0-2])\.0\.": "fusions.{0}.where.",
    r"CA_([0-2])\.1\.": "fusions.{0}.squeeze.",
    r"CA_([0-2])\.2\.": "fusions.{0}.norm.",
    r"CA_([0-2])\.4\.": "fusions.{0}.excite.",
    r"inc_([0-2])_0\.0\.": "mixers.{0}.point.",
    r"inc_([0-2])_1\.": "mixers.{0}.near.",
    r"inc_([0-2])_2\.": "mixers.{0}.far.",
    r"inc_([0-2])_3\.1\.": "mixers.{0}.pooled.",
    r"readout_1\.0\.": "readout.",
    r"readout_2\.0\.": "halve1.",
    r"readout_2\.2\.": "halve2.",
    r"readout_2\.4\.": "out.",
}
_PLACE = {"a": "0", "b": "1", "q": "query", "k": "key", "v": "value"}


def _official_name(name: str, match: re.Match[str]) -> str:
    groups = [_PLACE.get(group, group) for group in match.groups()]
    if name.startswith(("fusions", "mixers")):  # numbered from coarse to fine there, from fine to coarse here
        groups[0] = str(2 - int(groups[0]))
    return name.format(*groups)
