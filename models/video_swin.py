"""Video Swin Transformer features, the backbone of TMFI-Net.

Paper: Liu et al., "Video Swin Transformer", arXiv:2106.13230.
Layer names, buffers and numbers are those of `torchvision.models.video.swin3d_s()` without its head, so its
Kinetics-400 weights fit. Differences: no LayerNorm after the patch embedding (TMFI-Net has none), attention
through `scaled_dot_product_attention`, and the shift mask made once for all blocks of a stage.
"""

import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.swin_transformer import PatchMerging
from torchvision.models.video.swin_transformer import Swin3D_S_Weights
from torchvision.ops import MLP, StochasticDepth

from saliency.io.checkpoint import load_weights
from saliency.models.pretrained import torchvision_weights

PATCH = (2, 4, 4)
MASKED = -100.0
"""Added to the attention logits between tokens that only the cyclic shift made neighbours."""

Size3 = tuple[int, int, int]


def from_official(key: str) -> str:
    """Return our name of a weight of the original Video Swin code (``layers.0.blocks.1.mlp.fc1.weight``)."""
    key = re.sub(r"^layers\.(\d)\.blocks\.", lambda m: f"features.{2 * int(m[1])}.", key)
    key = re.sub(r"^layers\.(\d)\.downsample\.", lambda m: f"features.{2 * int(m[1]) + 1}.", key)
    return key.replace(".mlp.fc1.", ".mlp.0.").replace(".mlp.fc2.", ".mlp.3.")


class VideoSwinFeatures(nn.Module):
    """Video Swin without its classifier; returns the tokens after each stage.

    Args:
        embed_dim: channels of the first stage; they double from stage to stage.
        depths: blocks of each stage.
        heads: attention heads of each stage.
        window: attention window in tokens (T, H, W).
        drop_path: stochastic depth rate of the last block; rises linearly from 0.
    """

    def __init__(
        self, embed_dim: int, depths: Sequence[int], heads: Sequence[int], window: Size3, drop_path: float
    ) -> None:
        super().__init__()
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv3d(3, embed_dim, PATCH, stride=PATCH)})
        self.channels = [embed_dim * 2**stage for stage in range(len(depths))]
        rates = torch.linspace(0, drop_path, sum(depths)).tolist()
        layers: list[nn.Module] = []
        for stage, (dim, depth) in enumerate(zip(self.channels, depths, strict=True)):
            blocks = [SwinBlock(dim, heads[stage], window, rates.pop(0)) for _ in range(depth)]
            layers.append(SwinStage(window, blocks))
            if stage < len(depths) - 1:
                layers.append(PatchMerging(dim))
        self.features = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(self.channels[-1])

    def forward(self, clip: Tensor) -> list[Tensor]:
        """Return (B, C, T/2, h, w) after each stage, h = H/4, H/8, H/16, H/32; the last one normalised.

        Args:
            clip: (B, 3, T, H, W), normalised; padded with zeros to whole patches.
        """
        t, h, w = clip.shape[2:]
        clip = F.pad(clip, (0, -w % PATCH[2], 0, -h % PATCH[1], 0, -t % PATCH[0]))
        x = self.patch_embed["proj"](clip).permute(0, 2, 3, 4, 1)  # (B, T/2, H/4, W/4, C)
        outputs = []
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, SwinStage):
                outputs.append(x)
        outputs[-1] = self.norm(outputs[-1])
        return [x.permute(0, 4, 1, 2, 3) for x in outputs]

    def load_kinetics(self) -> None:
        """Load torchvision's Kinetics-400 weights of Video Swin-S (the published sizes only)."""
        state = torchvision_weights(Swin3D_S_Weights.KINETICS400_V1)
        load_weights(self, state, ignore=("head.", "patch_embed.norm."), name="Video Swin-S Kinetics-400 weights")


class SwinStage(nn.ModuleList):
    """Blocks at one resolution; every second one works on windows shifted by half their size."""

    def __init__(self, window: Size3, blocks: Sequence["SwinBlock"]) -> None:
        super().__init__(blocks)
        self.window = window

    def forward(self, x: Tensor) -> Tensor:
        """Apply the blocks to x (B, T, H, W, C)."""
        t, h, w = x.shape[1:4]
        window, shift = fit_window(self.window, (t, h, w))
        mask = shift_mask((t, h, w), window, shift, x) if len(self) > 1 and any(shift) else None
        for index, block in enumerate(self):
            x = block(x, window, shift, mask) if index % 2 else block(x, window, (0, 0, 0), None)
        return x


class SwinBlock(nn.Module):
    """Window attention and an MLP, each after a LayerNorm and with a residual."""

    def __init__(self, dim: int, heads: int, window: Size3, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, heads, window)
        self.stochastic_depth = StochasticDepth(drop_path, "row")
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLP(dim, [4 * dim, dim], activation_layer=nn.GELU, inplace=None)

    def forward(self, x: Tensor, window: Size3, shift: Size3, mask: Tensor | None) -> Tensor:
        """Map x (B, T, H, W, C) to the same shape."""
        x = x + self.stochastic_depth(self.attn(self.norm1(x), window, shift, mask))
        return x + self.stochastic_depth(self.mlp(self.norm2(x)))


class WindowAttention(nn.Module):
    """Multi-head self-attention inside windows, with a learned bias for each relative position."""

    relative_position_index: Tensor
    frozen_bias: Tensor | None

    def __init__(self, dim: int, heads: int, window: Size3) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        positions = (2 * window[0] - 1) * (2 * window[1] - 1) * (2 * window[2] - 1)
        self.relative_position_bias_table = nn.Parameter(torch.zeros(positions, heads))
        self.register_buffer("relative_position_index", relative_position_index(window), persistent=False)
        self.register_buffer("frozen_bias", None, persistent=False)

    def forward(self, x: Tensor, window: Size3, shift: Size3, mask: Tensor | None) -> Tensor:
        """Attend inside windows.

        Args:
            x: (B, T, H, W, C).
            window: window size in tokens, at most the grid's.
            shift: cyclic shift of the grid before it is cut into windows.
            mask: (windows, N, N) added to the logits when shifted, N tokens a window.
        """
        b, t, h, w, c = x.shape
        pad = [-s % n for s, n in zip((t, h, w), window, strict=True)]
        x = F.pad(x, (0, 0, 0, pad[2], 0, pad[1], 0, pad[0]))
        if mask is not None:
            x = x.roll((-shift[0], -shift[1], -shift[2]), dims=(1, 2, 3))
        padded = x.shape[1:4]
        x = to_windows(x, window)  # (B, windows, N, C)
        tokens = x.shape[2]

        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)
        bias = self.bias(tokens)  # (heads, N, N)
        if mask is None:
            q, k, v = (a.flatten(0, 1) for a in (q, k, v))  # (B*windows, heads, N, d)
            x = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.unsqueeze(0))
        else:
            # The mask differs from window to window: windows join the heads, so that B stays broadcast.
            bias = (bias + mask.unsqueeze(1)).flatten(0, 1)  # (windows*heads, N, N)
            q, k, v = (a.flatten(1, 2) for a in (q, k, v))  # (B, windows*heads, N, d)
            x = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.unsqueeze(0))
        x = x.reshape(b, -1, self.heads, tokens, c // self.heads)
        x = self.proj(x.transpose(2, 3).flatten(3))  # (B, windows, N, C)

        x = from_windows(x, window, padded)
        if mask is not None:
            x = x.roll(shift, dims=(1, 2, 3))
        return x[:, :t, :h, :w]

    def bias(self, tokens: int) -> Tensor:
        """Return the bias (heads, N, N) of a window of N tokens.

        For a window that shrank to its grid this is the upper left part of the full index, as in the
        published code, not the index of the smaller window: trained weights expect it.
        """
        if self.frozen_bias is not None:
            return self.frozen_bias[:, :tokens, :tokens]
        index = self.relative_position_index[:tokens, :tokens]
        return self.relative_position_bias_table[index].permute(2, 0, 1)

    def freeze_bias(self) -> None:
        """Look the bias of every pair of tokens up once and for all; the table is then no longer read."""
        self.frozen_bias = self.bias(len(self.relative_position_index)).detach().contiguous()


def fit_window(window: Size3, size: Size3) -> tuple[Size3, Size3]:
    """Return window and shift for a grid: a window larger than the grid shrinks to it and is not shifted."""
    (wt, wh, ww), (t, h, w) = window, size
    shift = (wt // 2 if t > wt else 0, wh // 2 if h > wh else 0, ww // 2 if w > ww else 0)
    return (min(wt, t), min(wh, h), min(ww, w)), shift


def relative_position_index(window: Size3) -> Tensor:
    """Return the row of the bias table for each pair of tokens of a window, (N, N) int64."""
    axes = torch.meshgrid(*(torch.arange(n) for n in window), indexing="ij")
    coordinates = torch.stack(axes).flatten(1)  # (3, N)
    t, h, w = coordinates[:, :, None] - coordinates[:, None, :] + torch.tensor(window)[:, None, None] - 1
    return (t * (2 * window[1] - 1) + h) * (2 * window[2] - 1) + w


def shift_mask(size: Sequence[int], window: Size3, shift: Size3, like: Tensor) -> Tensor:
    """Return (windows, N, N): 0 between true neighbours, -100 between tokens the cyclic shift joined.

    Along each axis the shifted grid has three parts: untouched windows, and the two halves of the last
    window, of which the second one came round from the other end.
    """
    region = torch.zeros((1, 1, 1, 1, 1), device=like.device, dtype=torch.int32)
    for axis in range(3):
        length = size[axis] + -size[axis] % window[axis]
        position = torch.arange(length, device=like.device)
        part = (position >= length - window[axis]).int() + (position >= length - shift[axis]).int()
        shape = [1, 1, 1, 1, 1]
        shape[axis + 1] = length
        region = region * 3 + part.view(shape)
    region = to_windows(region, window)[0, :, :, 0]  # (windows, N)
    return (region.unsqueeze(1) != region.unsqueeze(2)).to(like.dtype) * MASKED


def to_windows(x: Tensor, window: Size3) -> Tensor:
    """(B, T, H, W, C) -> (B, windows, N, C)."""
    b, t, h, w, c = x.shape
    x = x.view(b, t // window[0], window[0], h // window[1], window[1], w // window[2], window[2], c)
    return x.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(b, -1, window[0] * window[1] * window[2], c)


def from_windows(x: Tensor, window: Size3, size: Sequence[int]) -> Tensor:
    """(B, windows, N, C) -> (B, T, H, W, C)."""
    b, c = x.shape[0], x.shape[-1]
    t, h, w = size
    x = x.reshape(b, t // window[0], h // window[1], w // window[2], *window, c)
    return x.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(b, t, h, w, c)
