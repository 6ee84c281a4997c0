"""Weights of the original Mask2Former code (detectron2 ``.pkl`` files) for the ResNet variants.

The model hub has the Swin variants only; ResNet-50 is published as ``model_final_500878.pkl`` (ADE20K semantic
segmentation) in the model zoo of github.com/facebookresearch/Mask2Former. Such a file is a pickle of numpy
arrays. Pickles can run code when they are read, so everything but arrays is refused.
"""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from saliency.errors import InputError
from saliency.models.mask2former import Mask2Former, Mask2FormerConfig, ResNet

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


def load_official(model: Mask2Former, config: Mask2FormerConfig, path: Path) -> None:
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
