"""Video foundation backbones as saliency models: V-JEPA 2, VideoMAE, and DINOv3 frame by frame, with one decoder.

The backbones are those of the `transformers` library (Apache-2.0), imported when a model is built; their published
weights have licences of their own (`Backbone.licence`). Papers: Assran et al., "V-JEPA 2", 2025; Tong et al.,
"VideoMAE", NeurIPS 2022; Siméoni et al., "DINOv3", 2025. Fine-tuning by low-rank updates: Hu et al., "LoRA", ICLR
2022, through the `peft` library. The decoder is this project's own: features of several depths, each brought to few
channels and pooled over time by attention, summed, refined while the grid grows fourfold, and a softmax over all
places (Jetley et al., CVPR 2016).

Frames are brought to the backbone's own square (V-JEPA 2, VideoMAE: their positions know no other), whatever the shape
of the video; the map is brought back to the video's shape like every other.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from saliency.backbones.hub import hub
from saliency.errors import InputError
from saliency.types import Init, InputSpec

GROUPS = 8
"""Groups of channels that are normalised together in the decoder."""
EXTRA = "pip install 'video-saliency[foundation]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformer:
    """What the backbones have in common: a vision transformer of the library, with weights on the hub.

    Attributes:
        hub: repository of the published weights.
        width: channels of the tokens.
        depth: layers.
        heads: attention heads.
        mlp: hidden channels of a layer's perceptron, as a multiple of `width`.
        size: side of square frames in pixels; a multiple of 16.
    """

    hub: str
    width: int
    depth: int
    heads: int
    mlp: float = 4.0
    size: int

    licence: ClassVar[str]
    patch: ClassVar[int] = 16
    tubelet: ClassVar[int]
    attention: ClassVar[tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class VJEPA2(Transformer):
    """V-JEPA 2, ViT-L by default. Weights: MIT licence."""

    hub: str = "facebook/vjepa2-vitl-fpc64-256"
    width: int = 1024
    depth: int = 24
    heads: int = 16
    size: int = 256

    licence: ClassVar[str] = "MIT (facebookresearch/vjepa2)"
    tubelet: ClassVar[int] = 2
    attention: ClassVar[tuple[str, ...]] = ("query", "value")

    def settings(self, length: int) -> dict[str, Any]:
        """The library's settings for clips of `length` frames."""
        return {
            "crop_size": self.size,
            "frames_per_clip": length,
            "hidden_size": self.width,
            "num_hidden_layers": self.depth,
            "num_attention_heads": self.heads,
            "mlp_ratio": self.mlp,
        }

    def tokens(self, network: nn.Module, clip: Tensor) -> Sequence[Tensor]:
        """The tokens (B, t h w, C) before the first layer and after each of a clip (B, T, 3, H, W)."""
        return network(pixel_values_videos=clip, skip_predictor=True, output_hidden_states=True).hidden_states


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoMAE(Transformer):
    """VideoMAE, ViT-B by default. Weights: CC BY-NC 4.0, not for commercial use."""

    hub: str = "MCG-NJU/videomae-base"
    width: int = 768
    depth: int = 12
    heads: int = 12
    size: int = 224

    licence: ClassVar[str] = "CC BY-NC 4.0 (MCG-NJU/VideoMAE)"
    tubelet: ClassVar[int] = 2
    attention: ClassVar[tuple[str, ...]] = ("query", "value")

    def settings(self, length: int) -> dict[str, Any]:
        """The library's settings for clips of `length` frames."""
        return {
            "image_size": self.size,
            "num_frames": length,
            "hidden_size": self.width,
            "num_hidden_layers": self.depth,
            "num_attention_heads": self.heads,
            "intermediate_size": round(self.mlp * self.width),
            "use_mean_pooling": False,
        }

    def tokens(self, network: nn.Module, clip: Tensor) -> Sequence[Tensor]:
        """The tokens (B, t h w, C) before the first layer and after each of a clip (B, T, 3, H, W)."""
        return network(pixel_values=clip, output_hidden_states=True).hidden_states


@dataclass(frozen=True, slots=True, kw_only=True)
class DINOv3(Transformer):
    """DINOv3 on every frame alone, ViT-S by default. Weights: Meta's DINOv3 licence, to be accepted on the hub.

    Frames need not be square: any multiples of 16 work.

    Attributes:
        registers: tokens that stand for no place, besides the class token.
    """

    hub: str = "facebook/dinov3-vits16-pretrain-lvd1689m"
    width: int = 384
    depth: int = 12
    heads: int = 6
    size: int = 224
    registers: int = 4

    licence: ClassVar[str] = "DINOv3 License (Meta; no military use, terms travel with the weights)"
    tubelet: ClassVar[int] = 1
    attention: ClassVar[tuple[str, ...]] = ("q_proj", "v_proj")

    def settings(self, length: int) -> dict[str, Any]:
        """The library's settings; it knows nothing of clips."""
        del length
        return {
            "image_size": self.size,
            "hidden_size": self.width,
            "num_hidden_layers": self.depth,
            "num_attention_heads": self.heads,
            "intermediate_size": round(self.mlp * self.width),
            "num_register_tokens": self.registers,
        }

    def tokens(self, network: nn.Module, clip: Tensor) -> Sequence[Tensor]:
        """The tokens (B, t h w, C) before the first layer and after each of a clip (B, T, 3, H, W)."""
        frames = rearrange(clip, "b t c h w -> (b t) c h w")
        states = network(pixel_values=frames, output_hidden_states=True).hidden_states
        return [rearrange(s[:, 1 + self.registers :], "(b t) n c -> b (t n) c", b=len(clip)) for s in states]


Backbone = VJEPA2 | VideoMAE | DINOv3
_CLASSES = {
    VJEPA2: ("VJEPA2Config", "VJEPA2Model"),
    VideoMAE: ("VideoMAEConfig", "VideoMAEModel"),
    DINOv3: ("DINOv3ViTConfig", "DINOv3ViTModel"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoRA:
    """Low-rank updates of the attention's queries and values; everything else of the backbone stays as it is.

    Attributes:
        rank: of an update.
        alpha: an update counts alpha / rank.
        dropout: of what goes into an update, in training.
    """

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundationConfig:
    """A backbone with a saliency decoder.

    Attributes:
        input: the clip it wants; None of its pixels' shape is kept where the backbone wants squares.
        backbone: which one.
        tune: what of the backbone learns: ``lora`` updates, ``full`` (all of it) or ``frozen`` (nothing).
        lora: the updates of ``lora``.
        taps: layers whose output the decoder sees, counted from 1; empty: four, evenly spaced, the last among them.
        channels: of the decoder.
        recompute: forget activations of the backbone and compute them again for the gradient: less memory, more time.
    """

    input: InputSpec = field(default_factory=lambda: InputSpec(length=16, stride=2, size=(256, 256)))
    backbone: Backbone = field(default_factory=VJEPA2)
    tune: Literal["lora", "full", "frozen"] = "lora"
    lora: LoRA = field(default_factory=LoRA)
    taps: tuple[int, ...] = ()
    channels: int = 128
    recompute: bool = False

    def __post_init__(self) -> None:
        backbone, name = self.backbone, type(self.backbone).__name__
        if self.input.length % backbone.tubelet:
            raise InputError(f"{name} joins {backbone.tubelet} frames to one; input.length is {self.input.length}")
        if not isinstance(backbone, DINOv3) and self.input.size != (backbone.size, backbone.size):
            raise InputError(
                f"{name} knows positions in squares of {backbone.size} only; set input.size to "
                f"({backbone.size}, {backbone.size}), not {self.input.size}"
            )
        if any(side % backbone.patch for side in self.input.size):
            raise InputError(f"{name} sees patches of {backbone.patch} pixels; {self.input.size} must be multiples")
        if self.channels % GROUPS:
            raise InputError(f"channels must be a multiple of {GROUPS}, got {self.channels}")
        if any(not 1 <= tap <= backbone.depth for tap in self.taps):
            raise InputError(f"taps {self.taps} are not among the {backbone.depth} layers of {name}")

    def build(self, init: Init = "scratch") -> "Foundation":
        """Make the model.

        Args:
            init: ``"scratch"`` (random weights); ``"hub"``: the backbone's published weights, downloaded or from the
                hub's cache; or the path of a folder with ``config.json`` and ``model.safetensors`` in the hub's format.

        Raises:
            InputError: a library is missing or the weights cannot be had.
        """
        return Foundation(self, self._network(init))

    def layers(self) -> tuple[int, ...]:
        """The layers the decoder sees, counted from 1."""
        depth = self.backbone.depth
        return self.taps or tuple(sorted({max(1, round(depth * part / 4)) for part in (1, 2, 3, 4)}))

    def decay(self, factor: float) -> dict[str, float]:
        """Layer-wise decay for `Optimizer.lr_factors`: `factor` for the last layer, once more for each before."""
        depth = self.backbone.depth
        layers = {f".layer.{i}.": factor ** (depth - i) for i in range(depth)}
        return {**layers, ".embeddings.": factor ** (depth + 1)}

    def _network(self, init: Init) -> nn.Module:
        library = _library()
        config_class, model_class = (getattr(library, name) for name in _CLASSES[type(self.backbone)])
        if init == "scratch":
            network = model_class(config_class(**self.backbone.settings(self.input.length)))
        else:
            network = self._pretrained(model_class, init)
        if hasattr(network, "predictor"):
            del network.predictor  # V-JEPA 2's pretraining task; not part of what it sees
        if self.recompute:
            named: Any = network
            later = getattr(network, "activation_checkpointing_enable", None)  # its name since transformers 5
            (later or named.gradient_checkpointing_enable)({"use_reentrant": False})
        network.requires_grad_(self.tune == "full")
        if self.tune == "lora":
            _add_lora(network, self.lora, self.backbone.attention)
        return network

    def _pretrained(self, model_class: Any, init: Init) -> nn.Module:
        source, folder = (self.backbone.hub, False) if init == "hub" else (init, True)
        if folder and not (Path(source) / "config.json").is_file():
            raise InputError(
                f"init '{init}' is no folder with config.json and model.safetensors; use 'scratch', 'hub', or the path "
                "of such a folder or of a .safetensors checkpoint of this model"
            )
        try:
            with nullcontext() if folder else hub():
                network = model_class.from_pretrained(source, local_files_only=folder)
        except (OSError, ValueError) as error:
            raise InputError(
                f"cannot load the weights '{source}' ({type(error).__name__}): without a network put config.json and "
                f"model.safetensors of huggingface.co/{self.backbone.hub} ({self.backbone.licence}) into a folder and "
                "give it as init"
            ) from error
        found = network.config
        for name, value in self.backbone.settings(self.input.length).items():
            if name not in ("frames_per_clip", "num_frames") and getattr(found, name, value) != value:
                raise InputError(f"the weights '{source}' have {name} {getattr(found, name)}, this config {value}")
        return network


class Foundation(nn.Module):
    """(B, 3, T, H, W) normalised clip -> (B, H, W) density, which sums to 1 over the picture."""

    def __init__(self, config: FoundationConfig, network: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.network = network
        width, channels = config.backbone.width, config.channels
        self.levels = nn.ModuleList(Level(width, channels) for _ in config.layers())
        self.refine = nn.ModuleList(nn.Sequential(*_conv(channels)) for _ in range(3))
        self.vote = nn.Conv2d(channels, 1, 1)
        nn.init.normal_(self.vote.weight, std=0.01)
        self.train()

    def forward(self, clip: Tensor) -> Tensor:
        """Predict where people look in the clip's target frame."""
        height, width = clip.shape[-2:]
        backbone = self.config.backbone
        grid = (clip.shape[2] // backbone.tubelet, height // backbone.patch, width // backbone.patch)
        frames = rearrange(clip, "b c t h w -> b t c h w")
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.config.tune != "frozen"):
            states = backbone.tokens(self.network, frames)
        taps = [states[layer] for layer in self.config.layers()]  # each (B, t h w, C)
        x = torch.stack([level(tap, grid) for level, tap in zip(self.levels, taps, strict=True)]).sum(0)
        for i, block in enumerate(self.refine):  # (B, C, h, w), then twice and four times as large
            x = block(x if i == 0 else F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False))
        logits = F.interpolate(self.vote(x).float(), (height, width), mode="bilinear", align_corners=False)[:, 0]
        return logits.flatten(1).softmax(dim=1).unflatten(1, (height, width))

    def train(self, mode: bool = True) -> "Foundation":
        """Set training mode; a backbone that does not learn stays in evaluation mode."""
        super().train(mode)
        if self.config.tune == "frozen":
            self.network.eval()
        return self


class Level(nn.Module):
    """One depth of the backbone: few channels, then a mean over time whose weights each place chooses itself."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.reduce = nn.Linear(width, channels)
        self.mix = nn.Conv1d(channels, channels, 3, padding=1, groups=channels)
        self.attend = nn.Linear(channels, 1)
        nn.init.zeros_(self.mix.weight)  # starts without mixing, and
        nn.init.zeros_(self.attend.weight)  # as the plain mean

    def forward(self, tokens: Tensor, grid: tuple[int, int, int]) -> Tensor:
        """Tokens (B, t h w, C) on a `grid` of (t, h, w) -> (B, channels, h, w)."""
        t, h, w = grid
        x = rearrange(self.reduce(self.norm(tokens)), "b (t h w) c -> (b h w) c t", t=t, h=h, w=w)
        x = (x + self.mix(x)).transpose(1, 2)  # (b h w, t, c)
        x = (self.attend(x).softmax(dim=1) * x).sum(dim=1)
        return rearrange(x, "(b h w) c -> b c h w", h=h, w=w)


def _conv(channels: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, channels, 3, padding=1), nn.GroupNorm(GROUPS, channels), nn.ReLU()]


def _add_lora(network: nn.Module, lora: LoRA, targets: tuple[str, ...]) -> None:
    """Add trainable low-rank updates to some linear layers, in place."""
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise InputError(f"low-rank updates need the peft package: {EXTRA}; or set tune to full or frozen") from error
    settings: Mapping[str, Any] = {"r": lora.rank, "lora_alpha": lora.alpha, "lora_dropout": lora.dropout}
    inject_adapter_in_model(LoraConfig(target_modules=list(targets), **settings), network)


def _library() -> Any:
    try:
        import transformers
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise InputError(f"foundation backbones need the transformers package: {EXTRA}") from None
    if not hasattr(transformers, "DINOv3ViTModel"):
        raise InputError(f"foundation backbones need transformers 4.56, here is {transformers.__version__}: {EXTRA}")
    return transformers
