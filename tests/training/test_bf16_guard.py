"""Wrong bf16 kernels: found, stepped around, told; and a run that learns nothing ends."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from saliency.backbones.layers import recomputed
from saliency.config.run import Learner, Optimizer, Run, Stage, Training
from saliency.errors import InputError
from saliency.testing import ToyData, ToyNetConfig, ToyTask
from saliency.training.bf16_guard import TOLERANCE, Bf16Guard, bf16_error
from saliency.training.trainer import train


class _WrongWeightGradient(torch.autograd.Function):
    """What oneDNN does on some processors: the output and the input's gradient are right."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, factor: float, padding: tuple[int, ...]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.factor, ctx.padding = factor, padding
        return nn.functional.conv3d(x.float(), weight.float(), padding=padding).bfloat16()

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, weight = ctx.saved_tensors
        with torch.autocast("cpu", enabled=False):
            right = torch.nn.grad.conv3d_weight(x.float(), weight.shape, grad.float(), padding=ctx.padding)
            of_x = torch.nn.grad.conv3d_input(x.shape, weight.float(), grad.float(), padding=ctx.padding)
        return of_x.to(x.dtype), (right * ctx.factor).to(weight.dtype), None, None


class BadConv3d(nn.Conv3d):
    """A convolution whose bf16 weight gradient over two time steps is `factor` times the right one."""

    factor = float("nan")

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if torch.is_autocast_enabled("cpu") and input.shape[2] == 2:
            return _WrongWeightGradient.apply(input, weight, self.factor, self.padding)
        return super()._conv_forward(input, weight, bias)


def gradients(conv: nn.Conv3d, x: Tensor, *, bf16: bool, checkpointing: bool = False) -> list[Tensor]:
    conv.zero_grad()
    x = x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        y = recomputed(conv, x) if checkpointing else conv(x)
    y.float().square().sum().backward()
    return [y.detach().float(), x.grad, conv.weight.grad.clone()]


# (channels, kernel, padding, input) that torch 2.15 with oneDNN 3.13.3 gets wrong on AMD Zen 5
KNOWN_BAD = [
    (16, (3, 1, 1), (1, 0, 0), (2, 16, 2, 8, 12)),
    (24, (3, 1, 1), (1, 0, 0), (1, 24, 2, 8, 12)),
    (32, (3, 1, 1), (1, 0, 0), (2, 32, 2, 4, 6)),
    (16, (3, 3, 3), (1, 1, 1), (2, 16, 2, 8, 12)),
]


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize(("channels", "kernel", "padding", "shape"), KNOWN_BAD)
def test_known_bad_shapes_get_right_gradients(channels, kernel, padding, shape, checkpointing) -> None:
    torch.manual_seed(0)
    conv = nn.Conv3d(channels, channels, kernel, padding=padding, bias=False)
    x = torch.randn(shape)
    right = gradients(conv, x, bf16=False)
    Bf16Guard().watch("model", conv)
    for full, half in zip(right, gradients(conv, x, bf16=True, checkpointing=checkpointing), strict=True):
        assert (half - full).norm() / full.norm() < 0.02


@pytest.mark.parametrize("factor", [float("nan"), float("inf"), 1.7, 1e34])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_wrong_kernel_is_found_stepped_around_and_told(factor, checkpointing, caplog) -> None:
    torch.manual_seed(0)
    conv = BadConv3d(4, 4, (3, 1, 1), padding=(1, 0, 0), bias=False)
    conv.factor = factor
    x = torch.randn(2, 4, 2, 5, 6)
    right = gradients(conv, x, bf16=False)
    broken = gradients(conv, x, bf16=True)[2]
    assert not (broken - right[2]).norm() / right[2].norm() < 0.5
    guard = Bf16Guard()
    guard.watch("model", nn.ModuleDict({"bad": conv}))
    for full, half in zip(right, gradients(conv, x, bf16=True, checkpointing=checkpointing), strict=True):
        assert (half - full).norm() / full.norm() < 0.02
    guard.tell()
    guard.tell()
    assert [record.message for record in caplog.records] == [
        "bf16 is wrong on this processor for 1 convolutions, which are computed in fp32: model.bad on (2, 4, 2, 5, 6)"
    ]


def test_each_shape_is_tried_once_and_right_layers_stay_in_bf16(monkeypatch) -> None:
    tried = []
    monkeypatch.setattr("saliency.training.bf16_guard.bf16_error", lambda conv, x: tried.append(x.shape) or 0.003)
    conv = nn.Conv3d(4, 4, 1)
    guard = Bf16Guard()
    guard.watch("model", conv)
    short, long = torch.randn(1, 4, 2, 5, 6), torch.randn(1, 4, 3, 5, 6)
    with torch.autocast("cpu", torch.bfloat16):
        assert [conv(x).dtype for x in (short, short, long)] == [torch.bfloat16] * 3
    assert tried == [short.shape, long.shape]
    conv(torch.randn(1, 4, 7, 5, 6))  # fp32
    assert len(tried) == 2


def test_error_of_a_right_layer_is_that_of_rounding_and_the_generator_is_left_alone() -> None:
    conv = BadConv3d(4, 6, 3, padding=1)
    state = torch.get_rng_state()
    before = {name: value.clone() for name, value in conv.named_parameters()}
    error = bf16_error(conv, torch.randn(2, 4, 5, 6, 7, generator=torch.Generator().manual_seed(1)))
    assert 1e-4 < error < TOLERANCE / 5
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], value) and value.grad is None for name, value in conv.named_parameters())


def test_names_of_weights_and_numbers_in_fp32_stay() -> None:
    conv = nn.Sequential(nn.Conv3d(3, 4, 3))
    x = torch.randn(1, 3, 4, 5, 6)
    keys, y = list(conv.state_dict()), conv(x)
    Bf16Guard().watch("model", conv)
    assert list(conv.state_dict()) == keys
    assert torch.equal(conv(x), y)


def poisoned_run(epochs: int, **train_options) -> Run:
    """Two learners with 3 steps an epoch, one of which never gives a number."""
    adam = Optimizer(lr=1e-2)
    return Run(
        name="toy",
        task=ToyTask(),
        data=ToyData(),
        learners={
            "bad": Learner(model=ToyNetConfig(poison_after=0), optimizer=adam),
            "good": Learner(model=ToyNetConfig(), optimizer=adam),
        },
        stages=(Stage(name="scratch", epochs=epochs),),
        train=Training(batch_size=4, device="cpu", **train_options),
    )


@pytest.mark.parametrize(
    ("options", "skipped"),
    [({}, 12), ({"max_bad_steps": 50, "log_every": 50}, 20), ({"max_bad_steps": 2, "log_every": 1}, 2)],
)
def test_a_run_in_which_a_learner_never_does_a_step_ends(tmp_path: Path, options: dict, skipped: int) -> None:
    expected = rf"stage scratch: all of the first {skipped} steps of learner bad were skipped.*lower its learning rate"
    with pytest.raises(InputError, match=expected):
        train(poisoned_run(epochs=8, **options), tmp_path / "run")
    run = poisoned_run(epochs=8, precision="bf16", **options)
    with pytest.raises(InputError, match=r"set train\.precision=fp32"):
        train(run, tmp_path / "bf16")


def test_a_single_good_step_among_the_first_lets_the_run_go_on(tmp_path: Path) -> None:
    run = poisoned_run(epochs=8, max_bad_steps=50)
    learners = {**run.learners, "bad": Learner(model=ToyNetConfig(poison_after=1), optimizer=Optimizer(lr=1e-2))}
    train(replace(run, learners=learners), tmp_path)
