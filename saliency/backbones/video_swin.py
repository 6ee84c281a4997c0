"""Video Swin Transformer features, the backbone of TMFI-Net.

Paper: Liu et al., "Video Swin Transformer", arXiv:2106.13230.
Layer names, buffers and numbers are those of `torchvision.models.video.swin3d_s()` without its head, so its
Kinetics-400 weights fit. Differences: no LayerNorm after the patch embedding (TMFI-Net has none), attention
through `scaled_dot_product_attention`, and the shift mask made once for all blocks of a stage.
"""

import re
from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from saliency.backbones.layers import recomputed
from saliency.backbones.pretrained import torchvision_weights
from saliency.io.weights import load_weights

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
        checkpoint_activations: compute what is inside the blocks again in the backward pass.
    """

    def __init__(
        self,
        embed_dim: int,
        depths: Sequence[int],
        heads: Sequence[int],
        window: Size3,
        drop_path: float,
        *,
        checkpoint_activations: bool = False,
    ) -> None:
        super().__init__()
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv3d(3, embed_dim, PATCH, stride=PATCH)})
        self.channels = [embed_dim * 2**stage for stage in range(len(depths))]
        last = max(1, sum(depths) - 1)
        rates = [drop_path * block / last for block in range(sum(depths))]
        layers: list[nn.Module] = []
        for stage, (dim, depth) in enumerate(zip(self.channels, depths, strict=True)):
            blocks = [SwinBlock(dim, heads[stage], window, rates.pop(0)) for _ in range(depth)]
            layers.append(SwinStage(window, blocks, checkpoint_activations=checkpoint_activations))
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
        x = rearrange(self.patch_embed["proj"](clip), "b c t h w -> b t h w c")  # (B, T/2, H/4, W/4, C)
        outputs = []
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, SwinStage):
                outputs.append(x)
        outputs[-1] = self.norm(outputs[-1])
        return [rearrange(x, "b t h w c -> b c t h w") for x in outputs]

    def load_kinetics(self) -> None:
        """Load torchvision's Kinetics-400 weights of Video Swin-S (the published sizes only)."""
        from torchvision.models.video.swin_transformer import Swin3D_S_Weights

        state = torchvision_weights(Swin3D_S_Weights.KINETICS400_V1)
        load_weights(self, state, ignore=("head.", "patch_embed.norm."), name="Video Swin-S Kinetics-400 weights")


class SwinStage(nn.ModuleList):
    """Blocks at one resolution; every second one works on windows shifted by half their size."""

    def __init__(self, window: Size3, blocks: Sequence["SwinBlock"], *, checkpoint_activations: bool = False) -> None:
        super().__init__(blocks)
        self.window = window
        self.checkpoint_activations = checkpoint_activations

    def forward(self, x: Tensor) -> Tensor:
        """Apply the blocks to x (B, T, H, W, C)."""
        t, h, w = x.shape[1:4]
        window, shift = fit_window(self.window, (t, h, w))
        masks = shift_masks(window, shift, x) if any(shift) else None
        for index, block in enumerate(self):
            rest = (window, shift, masks) if index % 2 else (window, (0, 0, 0), None)
            x = recomputed(block, x, *rest) if self.checkpoint_activations else block(x, *rest)
        return x


class SwinBlock(nn.Module):
    """Window attention and an MLP, each after a LayerNorm and with a residual."""

    def __init__(self, dim: int, heads: int, window: Size3, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, heads, window)
        self.stochastic_depth = StochasticDepth(drop_path)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLP(dim)

    def forward(self, x: Tensor, window: Size3, shift: Size3, masks: Tensor | None) -> Tensor:
        """Map x (B, T, H, W, C) to the same shape."""
        x = x + self.stochastic_depth(self.attn(self.norm1(x), window, shift, masks))
        return x + self.stochastic_depth(self.mlp(self.norm2(x)))


class MLP(nn.Module):
    """Two linear layers with a GELU in between; their names are their places in torchvision's sequence."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.add_module("0", nn.Linear(dim, 4 * dim))
        self.add_module("3", nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        widen, narrow = self.children()
        return narrow(F.gelu(widen(x)))


class StochasticDepth(nn.Module):
    """Leave a residual branch out for each sample with a probability, in training (Huang et al., arXiv:1603.09382)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Return x (B, ...) with some samples zero and the others scaled so that the mean stays."""
        if not self.training or self.p == 0:
            return x
        kept = 1 - self.p
        mask = x.new_empty(len(x), *(1,) * (x.ndim - 1)).bernoulli_(kept)
        return x * (mask.div_(kept) if kept > 0 else mask)


class PatchMerging(nn.Module):
    """Join the tokens of each 2x2 cell: half the height and width, twice the channels."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = nn.LayerNorm(4 * dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, H, W, C) -> (B, T, H/2, W/2, 2C), sizes rounded up: the edges are padded with zeros."""
        x = F.pad(x, (0, 0, 0, x.shape[-2] % 2, 0, x.shape[-3] % 2))
        corners = [x[..., row::2, column::2, :] for column in (0, 1) for row in (0, 1)]
        return self.reduction(self.norm(torch.cat(corners, dim=-1)))


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

    def forward(self, x: Tensor, window: Size3, shift: Size3, masks: Tensor | None) -> Tensor:
        """Attend inside windows.

        Args:
            x: (B, T, H, W, C).
            window: window size in tokens, at most the grid's.
            shift: cyclic shift of the grid before it is cut into windows.
            masks: what `shift_masks` made; None without shift.
        """
        t, h, w = x.shape[1:4]
        pad = [-s % n for s, n in zip((t, h, w), window, strict=True)]
        x = F.pad(x, (0, 0, 0, pad[2], 0, pad[1], 0, pad[0]))
        if any(shift):
            x = x.roll((-shift[0], -shift[1], -shift[2]), dims=(1, 2, 3))
        x = to_windows(x, window)  # (B, t, h, w, N, C): a grid of windows of N tokens
        bias = self.bias(x.shape[4])  # (heads, N, N)
        x = rearrange(self.qkv(x), "b t h w n (qkv heads d) -> qkv b t h w heads n d", qkv=3, heads=self.heads)
        if masks is None:
            x = self._attend(x, bias.unsqueeze(0))
        else:
            x = self._attend_by_mask(x, (bias + masks).split(1), shift)
        x = from_windows(self.proj(x), window)
        if any(shift):
            x = x.roll(shift, dims=(1, 2, 3))
        return x[:, :t, :h, :w]

    def _attend_by_mask(self, qkv: Tensor, biases: Sequence[Tensor], shift: Sequence[int]) -> Tensor:
        """Attend separately in the windows that share a mask: the last one along a shifted axis, and the others.

        A mask for each window would have to be stored with the bias of each head, which costs more than the
        attention itself; this way there are at most eight.
        """
        axis = next((axis for axis in range(3) if shift[axis]), None)
        if axis is None:
            return self._attend(qkv, biases[0])
        rest = [0 if a == axis else s for a, s in enumerate(shift)]
        half = len(biases) // 2
        last = qkv.shape[2 + axis] - 1
        others = self._attend_by_mask(qkv.narrow(2 + axis, 0, last), biases[:half], rest)
        ends = self._attend_by_mask(qkv.narrow(2 + axis, last, 1), biases[half:], rest)
        return torch.cat((others, ends), dim=1 + axis)

    def _attend(self, qkv: Tensor, bias: Tensor) -> Tensor:
        """Queries, keys, values (3, B, t, h, w, heads, N, d) and a bias (1, heads, N, N) -> (B, t, h, w, N, C)."""
        b, t, h, w = qkv.shape[1:5]
        q, k, v = rearrange(qkv, "qkv b t h w heads n d -> qkv (b t h w) heads n d")
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        x = rearrange(x, "windows heads n d -> windows n heads d")
        if torch.compiler.is_compiling():
            x = x.clone(memory_format=torch.contiguous_format)  # exported attention has another memory layout
        return rearrange(x, "(b t h w) n heads d -> b t h w n (heads d)", b=b, t=t, h=h, w=w)

    def bias(self, tokens: int) -> Tensor:
        """Return the bias (heads, N, N) of a window of N tokens.

        For a window that shrank to its grid this is the upper left part of the full index, as in the
        published code, not the index of the smaller window: trained weights expect it.
        """
        if self.frozen_bias is not None:
            return self.frozen_bias[:, :tokens, :tokens]
        index = self.relative_position_index[:tokens, :tokens]
        return rearrange(self.relative_position_bias_table[index], "n m heads -> heads n m")

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


def shift_masks(window: Size3, shift: Size3, like: Tensor) -> Tensor:
    """Return what is added to the attention logits in each kind of window of a shifted grid.

    Along a shifted axis the last window holds two parts: the second one came round from the other end of the
    grid and must not be seen by the first (-100 between them). All other windows are whole.

    Returns:
        (kinds, 1, N, N) with two kinds for each shifted axis: others and last; the first axis varies slowest.
    """
    tokens = window[0] * window[1] * window[2]
    apart = torch.zeros(1, tokens, tokens, dtype=torch.bool, device=like.device)
    for axis in (2, 1, 0):
        if shift[axis]:
            came_round = torch.arange(window[axis], device=like.device) >= window[axis] - shift[axis]
            shape = [1, 1, 1]
            shape[axis] = -1
            came_round = came_round.view(shape).expand(window).reshape(-1)  # (N,)
            apart = torch.cat((apart, apart | (came_round.unsqueeze(0) != came_round.unsqueeze(1))))
    return apart.unsqueeze(1).to(like.dtype) * MASKED


def to_windows(x: Tensor, window: Size3) -> Tensor:
    """(B, T, H, W, C) -> (B, t, h, w, N, C), a grid of windows of N tokens."""
    wt, wh, ww = window
    return rearrange(x, "b (t wt) (h wh) (w ww) c -> b t h w (wt wh ww) c", wt=wt, wh=wh, ww=ww)


def from_windows(x: Tensor, window: Size3) -> Tensor:
    """(B, t, h, w, N, C) -> (B, T, H, W, C)."""
    wt, wh, ww = window
    return rearrange(x, "b t h w (wt wh ww) c -> b (t wt) (h wh) (w ww) c", wt=wt, wh=wh, ww=ww)
