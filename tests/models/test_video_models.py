"""What every video saliency model must do, on small configurations of the same classes."""

import gc
import io
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from saliency.errors import InputError
from saliency.inference.cpu_layers import with_cpu_layers
from saliency.inference.folding import for_inference
from saliency.io.weights import load_model, save_model
from saliency.models.appearance_net import AppearanceNetConfig
from saliency.models.stsa_net import STSANetConfig
from saliency.models.tmfi_net import TMFINetConfig
from saliency.models.vinet_a import VINET_A_INPUT, ViNetAConfig
from saliency.models.vinet_s import ViNetSConfig
from saliency.types import InputSpec, ModelConfig

SMALL = InputSpec(length=8, size=(64, 96))
CONFIGS = {
    "tmfi_net": TMFINetConfig(
        input=SMALL, embed_dim=16, depths=(2, 2, 2, 2), heads=(1, 2, 4, 4), window=(2, 4, 4), decoder_channels=32
    ),
    "vinet_s": ViNetSConfig(input=SMALL, width=0.125, norm_momentum=0.1),
    "vinet": ViNetSConfig(input=SMALL, width=0.125, groups=(1, 1, 1, 1, 1), upsampling="trilinear"),
    "vinet_a": ViNetAConfig(input=SMALL, width=0.125, depths=(1, 2, 1, 1)),
    "stsa_net": STSANetConfig(input=SMALL, width=0.125, norm_momentum=0.1),
    "appearance_net": AppearanceNetConfig(
        input=SMALL, channels=(16, 16, 24, 32), depths=(1, 1, 1, 1), decoder_channels=16, dropout=0.0
    ),
}


@pytest.fixture(params=CONFIGS)
def config(request):
    return CONFIGS[request.param]


@pytest.fixture
def model(config):
    return build(config)


@pytest.fixture
def fresh_compiler():
    """Forget what other tests compiled; only so many variants of one function are kept."""
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def build(config):
    """A model in eval mode whose map varies from pixel to pixel and from clip to clip."""
    torch.manual_seed(0)
    model = config.build().eval()
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):  # statistics as after some training
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.8, 1.2)
    return model


def clips(batch=2, length=8, height=64, width=96, seed=0):
    return torch.randn(batch, 3, length, height, width, generator=torch.Generator().manual_seed(seed))


def cc(a, b):
    a, b = (x.double().flatten(1) - x.double().flatten(1).mean(1, keepdim=True) for x in (a, b))
    return (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))


def test_a_map_of_the_clips_size(config, model):
    assert isinstance(config, ModelConfig)
    maps = model(clips(batch=3))
    assert maps.shape == (3, 64, 96)
    assert maps.min() > 0 and maps.max() < 1
    maps = maps / maps.amax((1, 2), keepdim=True)  # a density is small everywhere
    assert maps.std((1, 2)).min() > 5e-4
    assert (maps[0] - maps[1]).abs().max() > 1e-3


def test_published_input_is_the_default():
    assert TMFINetConfig().input == ViNetSConfig().input == InputSpec()
    assert ViNetAConfig().input == VINET_A_INPUT
    assert VINET_A_INPUT.offsets == list(range(-31, 32, 2))
    assert (VINET_A_INPUT.size, VINET_A_INPUT.mean, VINET_A_INPUT.std) == ((256, 456), (0.45,) * 3, (0.225,) * 3)


def test_every_parameter_gets_a_gradient(model):
    model.train()
    for module in model.modules():
        if type(module).__name__ == "StochasticDepth":
            module.p = 0.0
    maps = model(clips())
    (maps * torch.rand(maps.shape)).sum().backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not without


def test_samples_of_a_batch_do_not_mix(model):
    clip = clips(batch=3)
    together = model(clip)
    alone = torch.cat([model(clip[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=5e-6, rtol=0)


@pytest.mark.parametrize("length", [1, 2, 3, 5, 7, 9, 12, 16, 33])
def test_any_length(model, length):
    maps = model(clips(batch=1, length=length, height=32, width=48))
    assert maps.shape == (1, 32, 48) and maps.isfinite().all()


@pytest.mark.parametrize("size", [(64, 112), (50, 70), (37, 101), (33, 32), (17, 65), (8, 8), (1, 3), (108, 192)])
def test_any_size(model, size):
    maps = model(clips(batch=1, height=size[0], width=size[1]))
    assert maps.shape == (1, *size) and maps.isfinite().all()


@pytest.mark.parametrize("length", [1, 4, 8, 16, 24, 32, 40, 64])
def test_configured_length(config, length):
    """Temporal kernels follow from the configured length; the map always ends up with one time step."""
    small = type(config)(**{f: getattr(config, f) for f in config.__slots__ if f != "input"}, input=InputSpec(
        length=length, size=(32, 48)))  # fmt: skip
    assert build(small)(clips(batch=1, length=length, height=32, width=48)).shape == (1, 32, 48)


def test_channels_last(config, model):
    clip = clips()
    expected = model(clip)
    # Module.to refuses STSA-Net's LayerNorm weights and the kernels of a 2-D network, which have four axes
    if not isinstance(config, (STSANetConfig, AppearanceNetConfig)):
        model = model.to(memory_format=torch.channels_last_3d)
    found = model(clip.to(memory_format=torch.channels_last_3d))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_bfloat16(model):
    clip = clips()
    with torch.autocast("cpu", torch.bfloat16):
        maps = model(clip)
    assert cc(maps, model(clip)).min() > 0.99  # weights without training; see also the golden inputs below


@pytest.mark.parametrize("name", ["tmfi", "vinet_s", "vinet_a"])
def test_bfloat16_of_the_full_model(published, name):
    model = published.model(name)
    clip = torch.from_numpy(published.fill.clips([0, 1], 32, 64, 96))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        maps = model(clip)
    with torch.no_grad():
        assert cc(maps, model(clip)).min() >= 0.998  # TMFI-Net: 0.9990 on an AMD EPYC, 0.9988 on an Intel Xeon


def test_double_precision(model):
    clip = clips()
    exact = model.double()(clip.double())
    torch.testing.assert_close(model.float()(clip).double(), exact, atol=1e-4, rtol=0)


def test_nothing_depends_on_the_data(model):
    """A forward pass without any data works: no branch waits for a value computed on the device."""
    maps = model.to("meta")(clips().to("meta"))
    assert maps.device.type == "meta" and maps.shape == (2, 64, 96)


def test_nothing_waits_for_the_device(model):
    """No operation hands a value to Python or leaves the device, and none makes a tensor of unknown size."""

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
            name = operation.overloadpacket.__name__
            assert name not in ("_local_scalar_dense", "nonzero", "unique", "masked_select", "item", "is_nonzero"), name
            result = operation(*args, **(kwargs or {}))
            tensors = [t for t in tree_leaves(result) if isinstance(t, torch.Tensor)]
            assert all(t.device == model_device for t in tensors), f"{name} leaves {model_device}"
            return result

    model_device = next(model.parameters()).device
    with torch.no_grad():
        clip = clips()
        with Watch():
            model(clip)


@pytest.fixture(params=["tmfi_net", "vinet_s", "vinet_a", pytest.param("stsa_net", marks=pytest.mark.slow)])
def traced(request):
    """A model for tracing, which takes its time for each layer."""
    config = CONFIGS[request.param]
    return build(replace(config, depths=(2, 1, 1, 1)) if isinstance(config, TMFINetConfig) else config)


def test_compiles_as_one_graph(traced, fresh_compiler):
    clip = clips()
    compiled = torch.compile(traced, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(clip), traced(clip), atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling for the CPU needs a C++ compiler")
def test_compiled_code_gives_the_same_numbers(model, fresh_compiler):
    clip = clips()
    torch.testing.assert_close(torch.compile(model, fullgraph=True)(clip), model(clip), atol=1e-5, rtol=0)


def test_exports(traced):
    clip = clips(batch=1)
    program = torch.export.export(traced, (clip,))
    torch.testing.assert_close(program.module()(clip), traced(clip), atol=1e-5, rtol=0)
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    buffer = io.BytesIO()
    torch.onnx.export(program, dynamo=True, verbose=False).save(buffer)
    session = onnxruntime.InferenceSession(buffer.getvalue(), providers=["CPUExecutionProvider"])
    (maps,) = session.run(None, {session.get_inputs()[0].name: clip.numpy()})
    assert np.abs(maps - traced(clip).detach().numpy()).max() < 1e-4


def test_inference_form_gives_the_same_numbers(model):
    clip = clips()
    fast = for_inference(model)
    assert not any(isinstance(m, nn.BatchNorm3d) for m in fast.modules())
    torch.testing.assert_close(fast(clip), model(clip), atol=1e-5, rtol=0)
    small = clips(height=24, width=40)  # attention windows shrink
    torch.testing.assert_close(fast(small), model(small), atol=1e-5, rtol=0)


def test_layers_for_the_cpu_give_the_same_numbers(model):
    fast = with_cpu_layers(for_inference(model))
    assert not any(type(m) is nn.Conv3d for m in fast.modules())
    for clip in (clips(), clips(batch=1, height=24, width=40)):
        with torch.inference_mode():
            torch.testing.assert_close(fast(clip), model(clip), atol=1e-5, rtol=0)


def test_calls_leave_nothing_behind(model):
    """Neither calls nor new sizes leave tensors behind: there is nothing to fill up."""

    def tensors():
        gc.collect()
        return sum(type(o) is torch.Tensor for o in gc.get_objects())

    with torch.no_grad():
        model(clips())
        gc.freeze()  # look only at what is made from here on
        try:
            for height in (64, 64, 32, 48, 64):
                model(clips(height=height))
            assert tensors() == 0
        finally:
            gc.unfreeze()


def test_a_training_step_lowers_the_loss(config):
    torch.manual_seed(0)
    model = config.build()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    clip = clips(height=32, width=48)
    target = torch.zeros(2, 32, 48)
    target[:, 8:16, 12:24] = 1.0
    losses = []
    for _ in range(8):
        loss = nn.functional.binary_cross_entropy(model(clip), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_saved_and_loaded(config, model, tmp_path):
    save_model(tmp_path / "model.safetensors", model, config, {"note": "x"})
    loaded = load_model(tmp_path / "model.safetensors")
    assert loaded.config == config and loaded.metadata == {"note": "x"}
    assert torch.equal(loaded.model(clips()), model(clips()))


def test_starts_from_its_own_checkpoint(config, model, tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, model, config)
    assert torch.equal(config.build(str(path)).eval()(clips()), model(clips()))


def test_an_unknown_start_is_refused(config):
    known = "'scratch' or" if isinstance(config, AppearanceNetConfig) else "'scratch', 'kinetics'"
    with pytest.raises(InputError, match=f"init 'imagenet' is no file; use {known}"):
        config.build("imagenet")
