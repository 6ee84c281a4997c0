import os
from dataclasses import replace

import pytest
import torch

from saliency.config.run import Optimizer, Stage
from saliency.errors import InputError
from saliency.io.weights import load_model, save_model
from saliency.models.foundation import VJEPA2, DINOv3, FoundationConfig, LoRA, VideoMAE
from saliency.training.optimization import make_optimizer
from saliency.types import InputSpec

pytest.importorskip("transformers", minversion="4.56")
pytest.importorskip("peft")
SMALL = {"width": 24, "depth": 4, "heads": 2, "mlp": 2.0}
CONFIGS = {
    "vjepa2": FoundationConfig(
        backbone=VJEPA2(**SMALL, size=32), input=InputSpec(length=4, size=(32, 32)), channels=8, lora=LoRA(rank=2)
    ),
    "videomae": FoundationConfig(
        backbone=VideoMAE(**SMALL, size=32), input=InputSpec(length=4, size=(32, 32)), channels=8, lora=LoRA(rank=2)
    ),
    "dinov3": FoundationConfig(
        backbone=DINOv3(**SMALL), input=InputSpec(length=3, size=(32, 64)), channels=8, lora=LoRA(rank=2)
    ),
}


@pytest.fixture(params=CONFIGS)
def config(request):
    return CONFIGS[request.param]


def build(config):
    torch.manual_seed(0)
    return config.build().eval()


def clips(config, batch=2):
    spec = config.input
    return torch.randn(batch, 3, spec.length, *spec.size, generator=torch.Generator().manual_seed(0))


def test_densities_of_the_clips_size_and_rows_that_do_not_meet(config):
    model, clip = build(config), clips(config)
    with torch.no_grad():
        maps = model(clip)
        alone = model(clip[1:])
    assert maps.shape == (2, *config.input.size) and maps.min() > 0
    torch.testing.assert_close(maps.sum((1, 2)), torch.ones(2))
    torch.testing.assert_close(maps[1:], alone, rtol=1e-4, atol=1e-8)
    assert (maps[0] - maps[1]).abs().max() > 1e-6  # it sees its clip


@pytest.mark.parametrize("tune", ["lora", "full", "frozen"])
def test_what_learns(config, tune):
    model = build(replace(config, tune=tune)).train()
    model(clips(config)).pow(2).sum().backward()
    moved = {name for name, weight in model.named_parameters() if weight.grad is not None and weight.grad.any()}
    backbone = {name for name in moved if name.startswith("network.")}
    assert moved - backbone  # the decoder always
    if tune == "lora":
        assert backbone and all("lora_" in name for name in backbone)
    elif tune == "full":
        assert not any("lora_" in name for name in backbone) and any("embed" in name for name in backbone)
    else:
        assert not backbone and not model.network.training


def test_recomputed_activations_give_the_same_gradients(config):
    clip, gradients = clips(config), []
    for recompute in (False, True):
        model = build(replace(config, tune="full", recompute=recompute)).train()
        model(clip).pow(2).sum().backward()
        gradients.append({name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)


def test_weights_come_back_with_their_config(config, tmp_path):
    model = build(config)
    save_model(tmp_path / "giant.safetensors", model, config)
    loaded = load_model(tmp_path / "giant.safetensors")
    assert loaded.config == config
    with torch.no_grad():
        assert torch.equal(loaded.model.eval()(clips(config)), model(clips(config)))


def test_layers_learn_more_slowly_the_earlier_they_are(config):
    model = build(replace(config, tune="full"))
    optimizer = make_optimizer(Optimizer(lr=1.0, lr_factors=config.decay(0.5)), model, Stage(name="s"))
    rate = {id(weight): group["lr"] for group in optimizer.param_groups for weight in group["params"]}
    by_name = {name: rate[id(weight)] for name, weight in model.named_parameters()}
    assert {r for name, r in by_name.items() if ".layer.3." in name} == {0.5}
    assert {r for name, r in by_name.items() if ".layer.0." in name} == {0.5**4}
    assert {r for name, r in by_name.items() if ".embeddings." in name} == {0.5**5}
    assert {r for name, r in by_name.items() if not name.startswith("network.")} == {1.0}


def test_the_librarys_files_fill_it_and_others_are_refused(config, tmp_path):
    model = build(replace(config, tune="frozen"))
    model.network.save_pretrained(tmp_path / "hub")
    again = replace(config, tune="frozen").build(str(tmp_path / "hub"))
    for name, weight in model.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], weight), name
    with pytest.raises(InputError, match="is no folder with config"):
        config.build(str(tmp_path))
    wider = replace(config, backbone=replace(config.backbone, depth=6))
    with pytest.raises(InputError, match="have num_hidden_layers 4, this config 6"):
        wider.build(str(tmp_path / "hub"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"input": InputSpec(length=4, size=(32, 48))}, r"knows positions in squares of 32 only"),
        ({"input": InputSpec(length=3, size=(32, 32))}, "joins 2 frames to one"),
        ({"taps": (5,)}, "not among the 4 layers"),
        ({"channels": 12}, "multiple of 8"),
    ],
)
def test_settings_that_do_not_fit(settings, message):
    with pytest.raises(InputError, match=message):
        replace(CONFIGS["vjepa2"], **settings)


def test_without_a_network_one_line_says_what_to_put_where(monkeypatch, tmp_path):
    monkeypatch.setitem(os.environ, "HF_HOME", str(tmp_path))
    with pytest.raises(InputError, match=r"of huggingface.co/nobody/nothing \(MIT"):
        replace(CONFIGS["vjepa2"], backbone=VJEPA2(**SMALL, size=32, hub="nobody/nothing")).build("hub")
