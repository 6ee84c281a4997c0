import pickle

import numpy as np
import pytest
import torch

from saliency.errors import InputError
from saliency.models.mask2former import MASK2FORMER_R50, Mask2FormerConfig, ResNet, Swin, original_name
from saliency.types import InputSpec

pytest.importorskip("transformers")

SMALL = Mask2FormerConfig(
    input=InputSpec(length=1, size=(64, 64)),
    num_classes=5,
    backbone=ResNet(stem=8, widths=(8, 16, 16, 24), depths=(1, 2, 1, 1)),
    queries=6,
    width=32,
    heads=4,
    encoder_layers=1,
    encoder_feedforward=48,
    decoder_layers=2,
    decoder_feedforward=40,
)


def both(name: str) -> list[str]:
    return [f"{name}.weight", f"{name}.bias"]


def original_names(depths, encoder_layers, decoder_layers) -> set[str]:
    """The names in the original code, written down module by module."""
    names = []

    def convolution(name: str) -> None:
        names.append(f"{name}.weight")
        names.extend(f"{name}.norm.{part}" for part in ("weight", "bias", "running_mean", "running_var"))

    convolution("backbone.stem.conv1")
    for stage, depth in enumerate(depths):
        convolution(f"backbone.res{stage + 2}.0.shortcut")
        for block in range(depth):
            for i in (1, 2, 3):
                convolution(f"backbone.res{stage + 2}.{block}.conv{i}")
    decoder = "sem_seg_head.pixel_decoder"
    names += [f"{decoder}.transformer.level_embed", *both(f"{decoder}.mask_features")]
    for i in range(3):
        names += both(f"{decoder}.input_proj.{i}.0") + both(f"{decoder}.input_proj.{i}.1")
    for name in ("adapter_1", "layer_1"):
        names += [f"{decoder}.{name}.weight", *both(f"{decoder}.{name}.norm")]
    for i in range(encoder_layers):
        layer = f"{decoder}.transformer.encoder.layers.{i}"
        for name in ("sampling_offsets", "attention_weights", "value_proj", "output_proj"):
            names += both(f"{layer}.self_attn.{name}")
        for name in ("norm1", "linear1", "linear2", "norm2"):
            names += both(f"{layer}.{name}")
    predictor = "sem_seg_head.predictor"
    names += [f"{predictor}.{name}.weight" for name in ("query_feat", "query_embed", "level_embed")]
    names += both(f"{predictor}.decoder_norm") + both(f"{predictor}.class_embed")
    for i in range(3):
        names += both(f"{predictor}.mask_embed.layers.{i}")
    for i in range(decoder_layers):
        for kind, module in (("self", "self_attn"), ("cross", "multihead_attn")):
            layer = f"{predictor}.transformer_{kind}_attention_layers.{i}"
            names += [f"{layer}.{module}.in_proj_weight", f"{layer}.{module}.in_proj_bias"]
            names += both(f"{layer}.{module}.out_proj") + both(f"{layer}.norm")
        for name in ("linear1", "linear2", "norm"):
            names += both(f"{predictor}.transformer_ffn_layers.{i}.{name}")
    return set(names)


def test_names_of_the_published_model():
    with torch.device("meta"):
        state = MASK2FORMER_R50.build().state_dict()
    found = {original_name(name)[0] for name in state if not name.endswith("num_batches_tracked")}
    assert found == original_names((3, 4, 6, 3), 6, 9)


def as_original(model) -> dict[str, np.ndarray]:
    """A model's weights as an original file holds them."""
    parts: dict[str, dict[int | None, np.ndarray]] = {}
    for name, value in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            source, part = original_name(name)
            parts.setdefault(source, {})[part] = value.numpy()
    joined = {n: p[None] if None in p else np.concatenate([p[i] for i in range(3)]) for n, p in parts.items()}
    return joined | {"criterion.empty_weight": np.ones(6, np.float32)}


def randomised() -> torch.nn.Module:
    torch.manual_seed(0)
    model = SMALL.build()
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.1, 1.0)
    return model


@pytest.mark.parametrize("old_names", [False, True])
def test_weights_arrive(tmp_path, old_names):
    model, path = randomised(), tmp_path / "model.pkl"
    weights = as_original(model)
    if old_names:
        weights = {
            name.replace("query_feat", "static_query").replace(".pixel_decoder.", "."): w for name, w in weights.items()
        }
    path.write_bytes(pickle.dumps({"model": weights, "__author__": "somebody"}))
    loaded = SMALL.build(str(path))
    for (name, a), (_, b) in zip(model.state_dict().items(), loaded.state_dict().items(), strict=True):
        assert torch.equal(a, b) or name.endswith("num_batches_tracked"), name


def test_what_does_not_fit_is_named(tmp_path):
    path, weights = tmp_path / "model.pkl", as_original(randomised())

    def load(changed, config=SMALL):
        path.write_bytes(pickle.dumps({"model": changed}))
        return config.build(str(path))

    with pytest.raises(InputError, match=r"lacks sem_seg_head\.predictor\.class_embed\.weight"):
        load({name: w for name, w in weights.items() if "class_embed" not in name})
    with pytest.raises(InputError, match=r"class_embed\.weight has shape \(7, 32\), the model needs \(6, 32\)"):
        load(weights | {"sem_seg_head.predictor.class_embed.weight": np.zeros((7, 32))})
    with pytest.raises(InputError, match=r"1 unknown entries, e\.g\. backbone\.res6"):
        load(weights | {"backbone.res6": np.zeros(1)})
    swin = Mask2FormerConfig(backbone=Swin(width=8, heads=(1, 1, 2, 2)), num_classes=5)
    with pytest.raises(InputError, match="use init='hub' for Swin"):
        load(weights, swin)
    with pytest.raises(InputError, match="no file"):
        SMALL.build(str(tmp_path / "missing.pkl"))


class Evil:
    def __reduce__(self):
        return print, ("code ran",)


def test_code_in_a_pickle_is_refused(tmp_path, capsys):
    path = tmp_path / "model.pkl"
    for content in (pickle.dumps({"model": {"a": Evil()}}), b"no pickle", b""):
        path.write_bytes(content)
        with pytest.raises(InputError, match="is no detectron2 weight file"):
            SMALL.build(str(path))
    assert "code ran" not in capsys.readouterr().out
