"""Mask2Former for semantic segmentation, with ResNet-50, Swin-T or Swin-S in front.

Paper: Cheng et al., "Masked-attention Mask Transformer for Universal Image Segmentation", CVPR 2022.
Original code: github.com/facebookresearch/Mask2Former (MIT). The network itself is the one of the
`transformers` library (Apache-2.0), which is imported when a model is built; this file describes the
published variants, loads their weights and gives the outputs a shape of our own.

Deviations: inputs of any size (features are resized to each other, as the library does). The published
ResNet-50 keeps its batch norms as they were after ImageNet, which `ResNet.frozen_norm` repeats.
"""

import pickle
import re
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np
import torch
from torch import Tensor, nn

from saliency.backbones.hub import hub
from saliency.errors import InputError
from saliency.types import Init, InputSpec, MaskPrediction

if TYPE_CHECKING:
    import transformers

STAGES = ["stage1", "stage2", "stage3", "stage4"]
BACKBONE = "pixel_level_module.encoder."
"""Part of the names of the backbone's parameters, for `Optimizer.lr_factors`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNet:
    """A residual network as backbone.

    Attributes:
        stem: channels of the first convolution.
        widths: channels of the four stages.
        depths: blocks of the four stages.
        block: ``"bottleneck"`` (ResNet-50 and larger) or ``"basic"``.
        frozen_norm: batch norms are constants: statistics, scale and shift stay as they were loaded. Only for
            pretrained weights.
    """

    stem: int = 64
    widths: tuple[int, int, int, int] = (256, 512, 1024, 2048)
    depths: tuple[int, int, int, int] = (3, 4, 6, 3)
    block: Literal["bottleneck", "basic"] = "bottleneck"
    frozen_norm: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Swin:
    """A Swin transformer as backbone.

    Attributes:
        width: channels of the first stage; they double from stage to stage.
        depths: blocks of the four stages.
        heads: attention heads of the four stages.
        window: side of the attention windows in tokens.
        drop_path: rate at which residual branches are dropped in training, rising linearly from 0.
    """

    width: int = 96
    depths: tuple[int, int, int, int] = (2, 2, 6, 2)
    heads: tuple[int, int, int, int] = (3, 6, 12, 24)
    window: int = 7
    drop_path: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask2FormerConfig:
    """Mask2Former; the defaults are the published ADE20K models.

    Attributes:
        input: the image it wants; its size is that of training crops, any other works.
        num_classes: classes without "no object".
        backbone: what turns the image into features.
        queries: masks per image.
        width: channels of the pixel decoder, the masks and the queries; a multiple of 32.
        heads: attention heads.
        encoder_layers: deformable attention layers of the pixel decoder.
        encoder_feedforward: hidden channels of those layers.
        decoder_layers: layers of the query decoder. The model predicts before the first and after each.
        decoder_feedforward: hidden channels of those layers.
        hub: repository with published weights for ``init="hub"``; None where there is none.
    """

    input: InputSpec = field(default_factory=lambda: InputSpec(length=1, size=(512, 512)))
    num_classes: int = 150
    backbone: ResNet | Swin = field(default_factory=ResNet)
    queries: int = 100
    width: int = 256
    heads: int = 8
    encoder_layers: int = 6
    encoder_feedforward: int = 1024
    decoder_layers: int = 9
    decoder_feedforward: int = 2048
    hub: str | None = None

    def __post_init__(self) -> None:
        if self.width % 32 or self.width % self.heads:
            raise ValueError(f"width must be a multiple of 32 and of heads={self.heads}, got {self.width}")

    def build(self, init: Init = "scratch") -> "Mask2Former":
        """Make the model.

        Args:
            init: ``"scratch"``; ``"hub"``: the published weights, downloaded or from the hub's cache; the path
                of a folder in the hub's format; or the path of a detectron2 ``.pkl`` of the original code.

        Raises:
            InputError: the library is missing or the weights cannot be had.
        """
        library = _library()
        if init == "scratch":
            return Mask2Former(self, library.Mask2FormerForUniversalSegmentation(self._foreign(library)))
        if init == "hub" and self.hub is None:
            raise InputError(
                "this Mask2Former has no weights on the model hub; for ResNet-50 download model_final_500878.pkl "
                "(ADE20K semantic segmentation, R50, github.com/facebookresearch/Mask2Former/blob/main/MODEL_ZOO.md) "
                "and give its path as init"
            )
        if Path(init).suffix == ".pkl":
            model = self.build()
            _load_official(model, self, Path(init))
            return model
        return Mask2Former(self, self._pretrained(library, self.hub if init == "hub" else init, folder=init != "hub"))

    def _pretrained(self, library: Any, source: str | None, *, folder: bool) -> "transformers.PreTrainedModel":
        """Load weights in the hub's format."""
        assert source is not None
        if folder and not (Path(source) / "config.json").is_file():
            raise InputError(
                f"init '{source}' is no folder with config.json and model.safetensors; "
                "use 'scratch', 'hub', or the path of such a folder, a .safetensors checkpoint or a .pkl"
            )
        try:
            with nullcontext() if folder else hub():
                network, report = library.Mask2FormerForUniversalSegmentation.from_pretrained(
                    source, config=self._foreign(library), output_loading_info=True, local_files_only=folder
                )
        except (OSError, ValueError) as error:
            raise InputError(
                f"cannot load the Mask2Former weights '{source}' ({type(error).__name__}): without a network put "
                f"config.json and model.safetensors of huggingface.co/{self.hub} into a folder and give it as init"
            ) from error
        except RuntimeError as error:  # tensors of other shapes
            raise InputError(f"the weights '{source}' do not fit this model: {str(error).splitlines()[0]}") from error
        wrong = sorted(str(key) for key in (*report["missing_keys"], *report["mismatched_keys"]))
        wrong = [key for key in wrong if not key.startswith("criterion.")]  # belongs to the loss, which is not used
        if wrong:
            raise InputError(
                f"the weights '{source}' do not fit this model, e.g. {wrong[0]}: use the config they are for"
            )
        return network

    def _foreign(self, library: Any) -> "transformers.Mask2FormerConfig":
        """This config in the library's words."""
        backbone = self.backbone
        if isinstance(backbone, ResNet):
            foreign = library.ResNetConfig(
                embedding_size=backbone.stem,
                hidden_sizes=list(backbone.widths),
                depths=list(backbone.depths),
                layer_type=backbone.block,
                out_features=STAGES,
            )
        else:
            foreign = library.SwinConfig(
                image_size=self.input.size[0],
                embed_dim=backbone.width,
                depths=list(backbone.depths),
                num_heads=list(backbone.heads),
                window_size=backbone.window,
                drop_path_rate=backbone.drop_path,
                out_features=STAGES,
            )
        return library.Mask2FormerConfig(
            backbone_config=foreign,
            num_labels=self.num_classes,
            num_queries=self.queries,
            feature_size=self.width,
            mask_feature_size=self.width,
            hidden_dim=self.width,
            num_attention_heads=self.heads,
            encoder_layers=self.encoder_layers,
            encoder_feedforward_dim=self.encoder_feedforward,
            decoder_layers=self.decoder_layers + 1,  # the library counts the prediction before the first layer
            dim_feedforward=self.decoder_feedforward,
            dropout=0.0,
            output_auxiliary_logits=True,
        )


MASK2FORMER_R50 = Mask2FormerConfig()
MASK2FORMER_SWIN_T = Mask2FormerConfig(backbone=Swin(), hub="facebook/mask2former-swin-tiny-ade-semantic")
MASK2FORMER_SWIN_S = Mask2FormerConfig(
    backbone=Swin(depths=(2, 2, 18, 2)), hub="facebook/mask2former-swin-small-ade-semantic"
)


class Mask2Former(nn.Module):
    """(B, 3, H, W) normalised image -> `MaskPrediction` with masks of (H / 4, W / 4)."""

    def __init__(self, config: Mask2FormerConfig, network: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.network = network
        if hasattr(network, "criterion"):
            del network.criterion  # the library's loss is not used; its buffer would be saved with the weights
        if self._frozen_norm:
            for norm in self._norms():
                norm.requires_grad_(False)
        for name, parameter in network.named_parameters():
            if ".swin.layernorm." in name:  # part of the library's Swin, never applied in a backbone
                parameter.requires_grad_(False)
        self.train()

    def forward(self, image: Tensor) -> MaskPrediction:
        """Predict masks and their classes; the last layer's come last."""
        output = self.network(pixel_values=image)
        layers: list[dict[str, Tensor]] = output.auxiliary_logits
        return MaskPrediction(
            class_logits=(*(a["class_queries_logits"] for a in layers), output.class_queries_logits),
            mask_logits=(*(a["masks_queries_logits"] for a in layers), output.masks_queries_logits),
        )

    def train(self, mode: bool = True) -> "Mask2Former":
        """Set training mode; frozen batch norms stay in evaluation mode."""
        super().train(mode)
        if self._frozen_norm:
            for norm in self._norms():
                norm.eval()
        return self

    @property
    def _frozen_norm(self) -> bool:
        return isinstance(self.config.backbone, ResNet) and self.config.backbone.frozen_norm

    def _norms(self) -> list[nn.Module]:
        return [module for module in self.network.modules() if isinstance(module, nn.BatchNorm2d)]


def _library() -> Any:
    """Import what is needed of `transformers`."""
    try:
        import transformers
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise InputError(
            "Mask2Former needs the transformers package: pip install 'video-saliency[segmentation]'"
        ) from None
    return transformers


# Weights of the original code (detectron2 .pkl files) for the ResNet variants. The model hub has the Swin variants
# only; ResNet-50 is published as model_final_500878.pkl (ADE20K) in the original's model zoo. Such a file is a pickle
# of numpy arrays. Pickles can run code when they are read, so everything but arrays is refused.

RULES = (
    (r"^network\.", ""),
    (r"^class_predictor\.", "sem_seg_head.predictor.class_embed."),
    # backbone
    (r"^model\.pixel_level_module\.encoder\.embedder\.embedder\.", "backbone.stem.conv1."),
    (r"^model\.pixel_level_module\.encoder\.encoder\.stages\.0\.layers\.", "backbone.res2."),
    (r"^model\.pixel_level_module\.encoder\.encoder\.stages\.1\.layers\.", "backbone.res3."),
    (r"^model\.pixel_level_module\.encoder\.encoder\.stages\.2\.layers\.", "backbone.res4."),
    (r"^model\.pixel_level_module\.encoder\.encoder\.stages\.3\.layers\.", "backbone.res5."),
    (r"^(backbone\..*)\.layer\.0\.", r"\1.conv1."),
    (r"^(backbone\..*)\.layer\.1\.", r"\1.conv2."),
    (r"^(backbone\..*)\.layer\.2\.", r"\1.conv3."),
    (r"^(backbone\..*)\.convolution\.", r"\1."),
    (r"^(backbone\..*)\.normalization\.", r"\1.norm."),
    # pixel decoder
    (r"^model\.pixel_level_module\.decoder\.level_embed$", "sem_seg_head.pixel_decoder.transformer.level_embed"),
    (r"^model\.pixel_level_module\.decoder\.encoder\.", "sem_seg_head.pixel_decoder.transformer.encoder."),
    (r"^model\.pixel_level_module\.decoder\.input_projections\.", "sem_seg_head.pixel_decoder.input_proj."),
    (r"^model\.pixel_level_module\.decoder\.mask_projection\.", "sem_seg_head.pixel_decoder.mask_features."),
    (r"^model\.pixel_level_module\.decoder\.(adapter|layer)_1\.0\.", r"sem_seg_head.pixel_decoder.\1_1."),
    (r"^model\.pixel_level_module\.decoder\.(adapter|layer)_1\.1\.", r"sem_seg_head.pixel_decoder.\1_1.norm."),
    (r"^(sem_seg_head\.pixel_decoder\..*)\.fc([12])\.", r"\1.linear\2."),
    (r"^(sem_seg_head\.pixel_decoder\..*)\.self_attn_layer_norm\.", r"\1.norm1."),
    (r"^(sem_seg_head\.pixel_decoder\..*)\.final_layer_norm\.", r"\1.norm2."),
    # query decoder
    (r"^model\.transformer_module\.queries_embedder\.", "sem_seg_head.predictor.query_embed."),
    (r"^model\.transformer_module\.queries_features\.", "sem_seg_head.predictor.query_feat."),
    (r"^model\.transformer_module\.level_embed\.", "sem_seg_head.predictor.level_embed."),
    (r"^model\.transformer_module\.decoder\.layernorm\.", "sem_seg_head.predictor.decoder_norm."),
    (
        r"^model\.transformer_module\.decoder\.mask_predictor\.mask_embedder\.(\d)\.0\.",
        r"sem_seg_head.predictor.mask_embed.layers.\1.",
    ),
    (
        r"^model\.transformer_module\.decoder\.layers\.(\d+)\.self_attn_layer_norm\.",
        r"sem_seg_head.predictor.transformer_self_attention_layers.\1.norm.",
    ),
    (
        r"^model\.transformer_module\.decoder\.layers\.(\d+)\.self_attn\.",
        r"sem_seg_head.predictor.transformer_self_attention_layers.\1.self_attn.",
    ),
    (
        r"^model\.transformer_module\.decoder\.layers\.(\d+)\.cross_attn_layer_norm\.",
        r"sem_seg_head.predictor.transformer_cross_attention_layers.\1.norm.",
    ),
    (
        r"^model\.transformer_module\.decoder\.layers\.(\d+)\.cross_attn\.",
        r"sem_seg_head.predictor.transformer_cross_attention_layers.\1.multihead_attn.",
    ),
    (
        r"^model\.transformer_module\.decoder\.layers\.(\d+)\.final_layer_norm\.",
        r"sem_seg_head.predictor.transformer_ffn_layers.\1.norm.",
    ),
    (
        r"^model\.transformer_module\.decoder\.layers\.(\d+)\.fc([12])\.",
        r"sem_seg_head.predictor.transformer_ffn_layers.\1.linear\2.",
    ),
)
"""Applied one after the other to a name of ours; together they give the original name."""

IGNORED_KEYS = ("criterion.empty_weight", "pixel_mean", "pixel_std")
PARTS = {"q_proj": 0, "k_proj": 1, "v_proj": 2}


def _load_official(model: Mask2Former, config: Mask2FormerConfig, path: Path) -> None:
    """Copy the weights of an original file into `model`.

    Raises:
        InputError: the file is missing, is no such file, or belongs to another model.
    """
    if not isinstance(config.backbone, ResNet):
        raise InputError(f"{path}: .pkl files are read for ResNet backbones only; use init='hub' for Swin")
    original = _modern(_read(path))
    state, used = {}, set()
    for name, value in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            state[name] = value
            continue
        source, part = original_name(name)
        if source not in original:
            raise InputError(f"{path} lacks {source}; it is no {config.decoder_layers}-layer ResNet Mask2Former")
        weight = original[source] if part is None else original[source].chunk(3)[part]
        if weight.shape != value.shape:
            found, wanted = tuple(weight.shape), tuple(value.shape)
            raise InputError(f"{path}: {source} has shape {found}, the model needs {wanted}; use the config it is for")
        state[name] = weight
        used.add(source)
    extra = sorted(set(original) - used - set(IGNORED_KEYS))
    if extra:
        raise InputError(f"{path} has {len(extra)} unknown entries, e.g. {extra[0]}; it is for another model")
    model.load_state_dict(state)


def original_name(name: str) -> tuple[str, int | None]:
    """Return the original code's name of an entry of our state dict, and which third of it is meant if not all."""
    for pattern, replacement in RULES:
        name = re.sub(pattern, replacement, name)
    match = re.fullmatch(r"(.*self_attn)\.([qkv]_proj)\.(weight|bias)", name)
    return (f"{match[1]}.in_proj_{match[3]}", PARTS[match[2]]) if match else (name, None)


def _modern(original: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename what the first published files called otherwise (the original code does the same on loading)."""
    renamed = {}
    for name, value in original.items():
        name = name.replace("predictor.static_query.", "predictor.query_feat.")
        if re.match(r"sem_seg_head\.(?!predictor\.|pixel_decoder\.)", name):
            name = name.replace("sem_seg_head.", "sem_seg_head.pixel_decoder.", 1)
        renamed[name] = value
    return renamed


class _ArraysOnly(pickle.Unpickler):
    """Reads pickles of numpy arrays and plain containers; refuses everything that could run code."""

    ALLOWED = frozenset(
        {
            ("_codecs", "encode"),
            ("collections", "OrderedDict"),
            ("numpy", "dtype"),
            ("numpy", "ndarray"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "scalar"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy.core.", "numpy._core.")  # the name before numpy 2
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        if module.startswith("numpy._core"):
            module = np.ndarray.__reduce__(np.zeros(1))[0].__module__  # where this numpy keeps it
        return super().find_class(module, name)


def _read(path: Path) -> dict[str, Tensor]:
    """Name -> tensor of a file."""
    if not path.is_file():
        raise InputError(f"no file {path}; download it from the model zoo of github.com/facebookresearch/Mask2Former")
    try:
        with path.open("rb") as file:
            data = _unpickle(file)
        weights = data["model"] if isinstance(data, dict) and "model" in data else data
        return {str(name): torch.from_numpy(np.array(value)) for name, value in weights.items()}
    except (pickle.UnpicklingError, EOFError, AttributeError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"{path} is no detectron2 weight file ({error}); download it again") from error


def _unpickle(file: BinaryIO) -> Any:
    return _ArraysOnly(file, encoding="latin1").load()
