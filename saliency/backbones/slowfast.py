"""SlowFast-R50 features with a dilated last stage, the backbone of ViNet-A.

Paper: Feichtenhofer et al., "SlowFast Networks for Video Recognition", arXiv:1812.03982; the variant with a
dilated last stage and bare lateral convolutions is that of ACAR-Net, arXiv:2006.07976.
"""

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saliency.backbones.layers import pad_clip, recomputed, scale_channels
from saliency.backbones.pretrained import folder, published
from saliency.errors import InputError
from saliency.io.weights import load_weights, read_weights, unwrap

log = logging.getLogger(__name__)

KINETICS_FILE = "SLOWFAST_R50_K400.pth.tar"
AVA_FILE = "AVA_SLOWFAST_R50_ACAR_HR2O.pth.tar"
PYTORCHVIDEO_URL = "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics/SLOWFAST_8x8_R50.pyth"

ALPHA = 4
"""The slow pathway sees every fourth frame."""


def from_official(key: str) -> str:
    """Return our name of a weight of the SlowFast of ACAR-Net and ViNet-A (``fast_res2.0.bn1.weight``)."""
    key = re.sub(r"^(slow|fast)_(conv1|bn1)\.", r"\1.\2.", key)
    key = re.sub(r"^(slow|fast)_res(\d)\.", lambda m: f"{m[1]}.stages.{int(m[2]) - 1}.", key)
    key = re.sub(r"^Tconv(\d)\.", lambda m: f"lateral.{int(m[1]) - 1}.", key)
    return key.replace(".downsample.0.", ".shortcut.0.").replace(".downsample_bn.", ".shortcut.1.")


def from_pytorchvideo(key: str) -> str:
    """Return our name of a weight of PyTorchVideo's ``slowfast_r50`` (pathway 0 is the slow one)."""
    match = re.match(r"blocks\.(\d)\.multipathway_blocks\.(\d)\.(.+)", key)
    if match is None:
        return key
    stage, pathway, rest = int(match[1]), ("slow", "fast")[int(match[2])], match[3]
    if stage == 0:
        return f"{pathway}." + rest.replace("conv.", "conv1.").replace("norm.", "bn1.")
    rest = rest.removeprefix("res_blocks.")
    rest = re.sub(r"branch2\.conv_([abc])\.", lambda m: f"conv{'abc'.index(m[1]) + 1}.", rest)
    rest = re.sub(r"branch2\.norm_([abc])\.", lambda m: f"bn{'abc'.index(m[1]) + 1}.", rest)
    rest = rest.replace("branch1_conv.", "shortcut.0.").replace("branch1_norm.", "shortcut.1.")
    return f"{pathway}.stages.{stage - 1}.{rest}"


class SlowFastFeatures(nn.Module):
    """Slow and fast pathway with lateral connections after the stem and the first three stages.

    Args:
        depths: bottleneck blocks of the four stages.
        width: multiplies every channel count.
        norm_momentum: BatchNorm momentum.
        checkpoint_activations: compute what is inside the blocks again in the backward pass.
    """

    def __init__(
        self,
        depths: Sequence[int] = (3, 4, 6, 3),
        width: float = 1.0,
        norm_momentum: float = 0.1,
        *,
        checkpoint_activations: bool = False,
    ) -> None:
        super().__init__()
        self.checkpoint_activations = checkpoint_activations
        slow, fast = scale_channels(64, width), max(2, round(8 * width))
        # Channels leaving the stem and the four stages of the fast pathway, and what the laterals add.
        fast_channels = [fast, *(4 * fast * 2**stage for stage in range(4))]
        lateral = [2 * c for c in fast_channels[:4]]
        slow_channels = [slow, *(4 * slow * 2**stage for stage in range(4))]

        self.slow = Pathway(slow_channels, lateral, depths, 1, (1, 1, 3, 3), norm_momentum)
        self.fast = Pathway(fast_channels, (0, 0, 0, 0), depths, 5, (3, 3, 3, 3), norm_momentum)
        self.lateral = nn.ModuleList(
            nn.Conv3d(c, 2 * c, (5, 1, 1), stride=(ALPHA, 1, 1), padding=(2, 0, 0), bias=False)
            for c in fast_channels[:4]
        )
        self.skip_channels = [s + x for s, x in zip(slow_channels[:4], lateral, strict=True)]
        self.slow_channels, self.fast_channels = slow_channels[-1], fast_channels[-1]

    def forward(self, clip: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return the slow features, the fast features and four skip connections of the slow pathway.

        Args:
            clip: (B, 3, T, H, W), normalised; its first frame is repeated to a multiple of four frames.

        Returns:
            slow (B, 2048, T/4, H/16, W/16), fast (B, 256, T, H/16, W/16) and the skips
            (B, 80, T/4, H/4, W/4), (B, 320, T/4, H/4, W/4), (B, 640, T/4, H/8, W/8),
            (B, 1280, T/4, H/16, W/16).
        """
        clip = pad_clip(clip, multiple=ALPHA)
        fast = self.fast.stem(clip)  # (B, 8, T, H/4, W/4)
        slow = self.slow.stem(clip[:, :, ::ALPHA])  # (B, 64, T/4, H/4, W/4)
        skips = []
        for stage in range(4):
            slow = torch.cat((slow, self.lateral[stage](fast)), dim=1)
            skips.append(slow)
            fast = self._run(self.fast.stages[stage], fast)
            slow = self._run(self.slow.stages[stage], slow)
        return slow, fast, skips

    def _run(self, blocks: nn.Module, x: Tensor) -> Tensor:
        for block in blocks.children():
            x = recomputed(block, x) if self.checkpoint_activations else block(x)
        return x

    def load_kinetics(self) -> None:
        """Load published Kinetics-400 weights (the published sizes only).

        Uses ``SLOWFAST_R50_K400.pth.tar``, which holds every layer, where it lies in the weights folder; the
        ViNet-A authors start from it. Otherwise PyTorchVideo's SlowFast R50: its lateral convolutions are of
        another shape, so ours keep their random weights.
        """
        path = folder() / KINETICS_FILE
        if path.is_file():
            load_weights(self, _backbone_part(path), name=str(path))
            return
        log.warning("no %s: using PyTorchVideo's weights, the four lateral convolutions stay random", path)
        state = unwrap(published(PYTORCHVIDEO_URL), PYTORCHVIDEO_URL)
        state = {from_pytorchvideo(k): v for k, v in state.items() if "multipathway_fusion" not in k}
        load_weights(self, state, ignore=("blocks.",), keep=("lateral.",), name=PYTORCHVIDEO_URL)

    def load_ava(self) -> None:
        """Load the weights of ACAR-Net trained for action detection on AVA.

        Raises:
            InputError: the file is not in the weights folder; it is published on a page without direct links.
        """
        path = folder() / AVA_FILE
        if not path.is_file():
            raise InputError(f"no {path}: get {AVA_FILE} from the links of github.com/Siyu-C/ACAR-Net, put it there")
        load_weights(self, _backbone_part(path), name=str(path))


def _backbone_part(path: Path) -> dict[str, Tensor]:
    """Return the SlowFast weights in a file of ACAR-Net under our names, whatever stands before theirs."""
    name = re.compile(r"(?:^|\.)((?:(?:slow|fast)_(?:conv1|bn1|res\d)|Tconv\d)\..+)$")
    state = unwrap(read_weights(path), str(path))
    return {from_official(match[1]): value for key, value in state.items() if (match := name.search(key))}


class Pathway(nn.Module):
    """A ResNet over time: stem and four stages; the caller joins the laterals in between."""

    def __init__(
        self,
        channels: Sequence[int],
        lateral: Sequence[int],
        depths: Sequence[int],
        stem_kernel: int,
        stage_kernels: Sequence[int],
        norm_momentum: float,
    ) -> None:
        super().__init__()
        kernel, padding = (stem_kernel, 7, 7), (stem_kernel // 2, 3, 3)
        self.conv1 = nn.Conv3d(3, channels[0], kernel, stride=(1, 2, 2), padding=padding, bias=False)
        self.bn1 = nn.BatchNorm3d(channels[0], momentum=norm_momentum)
        self.pool = nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
        stages = []
        for stage in range(4):
            c_in, c_out = channels[stage] + lateral[stage], channels[stage + 1]
            blocks = []
            for block in range(depths[stage]):
                # The last stage dilates instead of striding: features stay at H/16.
                stride = 2 if block == 0 and stage in (1, 2) else 1
                dilation = 2 if stage == 3 else 1
                time = stage_kernels[stage]
                blocks.append(Bottleneck(c_in, c_out, time, stride, dilation, norm_momentum))
                c_in = c_out
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)

    def stem(self, clip: Tensor) -> Tensor:
        """(B, 3, T, H, W) -> (B, C, T, H/4, W/4)."""
        return self.pool(F.relu(self.bn1(self.conv1(clip))))


class Bottleneck(nn.Module):
    """1x1 (or 3x1x1) - 1x3x3 - 1x1 convolutions with a residual; ReLU after the sum."""

    def __init__(self, c_in: int, c_out: int, time: int, stride: int, dilation: int, norm_momentum: float) -> None:
        super().__init__()
        c = c_out // 4
        step = (1, stride, stride)
        self.conv1 = nn.Conv3d(c_in, c, (time, 1, 1), padding=(time // 2, 0, 0), bias=False)
        self.bn1 = nn.BatchNorm3d(c, momentum=norm_momentum)
        self.conv2 = nn.Conv3d(
            c,
            c,
            (1, 3, 3),
            stride=step,
            padding=(0, dilation, dilation),
            dilation=(1, dilation, dilation),
            bias=False,
        )
        self.bn2 = nn.BatchNorm3d(c, momentum=norm_momentum)
        self.conv3 = nn.Conv3d(c, c_out, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(c_out, momentum=norm_momentum)
        self.shortcut = None
        if stride > 1 or c_in != c_out:
            self.shortcut = nn.Sequential(
                nn.Conv3d(c_in, c_out, 1, stride=step, bias=False),
                nn.BatchNorm3d(c_out, momentum=norm_momentum),
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, T, H, W) -> (B, C_out, T, H/stride, W/stride)."""
        shortcut = x if self.shortcut is None else self.shortcut(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(self.bn3(self.conv3(x)) + shortcut)
