"""Weights files: what loads, and the one line each bad file gets."""

import errno
import json
import os
import pickle
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from saliency.errors import InputError
from saliency.io.weights import (
    CheckpointMismatch,
    file_sha256,
    load_model,
    load_weights,
    save_model,
)
from saliency.models.stsa_net import STSANetConfig
from saliency.models.tmfi_net import TMFINetConfig
from saliency.models.vinet_a import ViNetAConfig
from saliency.models.vinet_s import ViNetSConfig
from saliency.types import InputSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyConfig:
    input: InputSpec = field(default_factory=lambda: InputSpec(length=2, size=(4, 6)))
    channels: int = 3
    gains: tuple[float, ...] = (1.0, 2.5)
    name: str | None = None

    def build(self, init="scratch"):
        return Tiny(self)


class Tiny(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.conv = nn.Conv3d(3, config.channels, 1)
        self.norm = nn.BatchNorm3d(config.channels)

    def forward(self, clip):
        return self.norm(self.conv(clip)).mean((1, 2)).sigmoid()

    @staticmethod
    def from_official(key):
        return key.replace("layer.0.", "conv.").replace("layer.1.", "norm.")


@pytest.fixture
def config():
    return TinyConfig()


@pytest.fixture
def model(config):
    torch.manual_seed(0)
    return config.build()


@pytest.fixture
def path(tmp_path, model, config):
    save_model(tmp_path / "tiny.safetensors", model, config, {"licence": "none"})
    return tmp_path / "tiny.safetensors"


def official(model):
    return {k.replace("conv.", "layer.0.").replace("norm.", "layer.1."): v for k, v in model.state_dict().items()}


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def one_line(error, *parts):
    message = str(error.value)
    assert "\n" not in message and all(part in message for part in parts), message


# Our own files


def test_a_file_rebuilds_the_model(path, model, config):
    loaded = load_model(path)
    assert same(loaded.model, model) and not loaded.model.training
    assert loaded.config == config and loaded.metadata == {"licence": "none"}
    assert loaded.sha256 == file_sha256(path)


def test_saving_tells_the_sha256(tmp_path, model, config):
    assert save_model(tmp_path / "a.safetensors", model, config) == file_sha256(tmp_path / "a.safetensors")


def test_any_flipped_bit_is_noticed(path):
    data = path.read_bytes()
    for position in [*range(0, len(data), max(1, len(data) // 97)), len(data) - 1]:
        for bit in (0, 6):
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            path.write_bytes(changed)
            with pytest.raises(InputError) as error:
                load_model(path)
            one_line(error, str(path))


def test_a_flipped_bit_in_a_weight_is_named_as_such(path):
    data = bytearray(path.read_bytes())
    data[-3] ^= 4
    path.write_bytes(data)
    for load in (load_model, lambda p: load_weights(TinyConfig().build(), p)):
        with pytest.raises(InputError) as error:
            load(path)
        one_line(error, "changed since it was written", "SHA-256")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 0.99])
def test_a_truncated_file_is_refused(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError) as error:
        load_model(path)
    one_line(error, "truncated or damaged")


def test_broken_weights_are_not_written(tmp_path, model, config):
    with torch.no_grad():
        model.conv.weight[0] = float("nan")
    with pytest.raises(InputError) as error:
        save_model(tmp_path / "a.safetensors", model, config)
    one_line(error, "conv.weight", "NaN")
    assert not any(tmp_path.iterdir())


def test_broken_weights_are_not_loaded(model):
    state = {k: v.clone() for k, v in model.state_dict().items()}
    state["norm.running_var"][0] = float("inf")
    with pytest.raises(InputError) as error:
        load_weights(model, state)
    one_line(error, "norm.running_var", "infinity")


def test_other_files_are_refused(tmp_path, model):
    plain = tmp_path / "plain.safetensors"
    safetensors.torch.save_file(model.state_dict(), plain)
    with pytest.raises(InputError, match="holds weights but no model config"):
        load_model(plain)
    with pytest.raises(InputError, match=r"only \.safetensors files hold their config"):
        load_model(tmp_path / "x.pt")
    with pytest.raises(InputError, match="no such file"):
        load_model(tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="no such file"):
        load_weights(model, tmp_path / "x.pt")
    (tmp_path / "x.zip").write_text("")
    with pytest.raises(InputError, match="unknown kind of weights"):
        load_weights(model, tmp_path / "x.zip")


def test_names_of_the_format_are_reserved(tmp_path, model, config):
    with pytest.raises(InputError, match="'config' is used by the file format"):
        save_model(tmp_path / "a.safetensors", model, config, {"config": "x"})


def test_a_failed_write_leaves_the_old_file(path, model, config, monkeypatch):
    before = path.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError) as error:
        save_model(path, model, config)
    one_line(error, "not written", "No space left")
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_killed_write_leaves_the_old_file(path, model, config, monkeypatch):
    before = path.read_bytes()

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save_model(path, model, config)
    assert path.read_bytes() == before


# Foreign files


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
@pytest.mark.parametrize("names", ["own", "official"])
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model_state_dict"])
def test_forms_of_a_checkpoint(tmp_path, model, suffix, names, prefix, wrapper):
    state = model.state_dict() if names == "own" else official(model)
    state = {prefix + key: value for key, value in state.items()}
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state if wrapper is None else {wrapper: state, "epoch": 3, "optimizer": {"lr": 0.1}}, path)
    fresh = TinyConfig().build()
    load_weights(fresh, path)
    assert same(fresh, model)


def test_missing_batch_counters_and_half_precision_are_fine(model):
    state = {k: v.bfloat16() for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    fresh = TinyConfig().build()
    load_weights(fresh, state)
    torch.testing.assert_close(fresh.conv.weight, model.conv.weight, atol=1e-2, rtol=0)
    assert fresh.conv.weight.dtype == torch.float32


def test_names_that_do_not_fit_are_listed(model):
    state = dict(model.state_dict())
    state["extra.weight"] = state.pop("norm.bias")
    state["conv.weight"] = state["conv.weight"][:, :1]
    with pytest.raises(CheckpointMismatch) as error:
        load_weights(model, state)
    one_line(
        error,
        "does not fit Tiny",
        "1 missing (norm.bias)",
        "1 unknown (extra.weight)",
        "conv.weight is (3, 1, 1, 1, 1), wanted (3, 3, 1, 1, 1)",
    )
    assert error.value.missing == ["norm.bias"]
    assert error.value.unexpected == ["extra.weight"] and error.value.misshaped == ["conv.weight"]


def test_a_refused_file_leaves_the_model_alone(model):
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = {k: v + 1 for k, v in model.state_dict().items()}
    del state["norm.bias"]
    with pytest.raises(CheckpointMismatch):
        load_weights(model, state)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_parts_can_be_ignored_and_kept(model):
    state = {k: v for k, v in model.state_dict().items() if not k.startswith("norm.")} | {"fc.weight": torch.ones(1)}
    load_weights(TinyConfig().build(), state, ignore=("fc.",), keep=("norm.",))
    with pytest.raises(CheckpointMismatch, match="my weights: does not fit"):
        load_weights(TinyConfig().build(), state, keep=("norm.",), name="my weights")


SMALL = {
    "tmfi": TMFINetConfig(embed_dim=16, depths=(1, 1, 1, 1), heads=(1, 1, 2, 2), window=(2, 4, 4), decoder_channels=16),
    "vinet_s": ViNetSConfig(width=0.125),
    "vinet_a": ViNetAConfig(width=0.125, depths=(1, 1, 1, 1)),
}
OTHERS = SMALL | {"stsa_net": STSANetConfig(input=InputSpec(size=(32, 64)), width=0.125)}
CONFIG_NAMES = {
    "tmfi": "TMFINetConfig",
    "vinet_s": "ViNetSConfig",
    "vinet_a": "ViNetAConfig",
    "stsa_net": "STSANetConfig",
}


@pytest.mark.parametrize("given", OTHERS)
@pytest.mark.parametrize("wanted", OTHERS)
def test_a_file_of_another_model_is_recognised(tmp_path, given, wanted):
    save_model(tmp_path / "a.safetensors", OTHERS[given].build(), OTHERS[given])
    model = OTHERS[wanted].build()
    if given == wanted:
        load_weights(model, tmp_path / "a.safetensors")
        return
    with pytest.raises(CheckpointMismatch) as error:
        load_weights(model, tmp_path / "a.safetensors")
    one_line(error, f"does not fit {type(model).__name__}", f"it looks like {given_name(given)}", CONFIG_NAMES[given])


def given_name(model):
    return {"tmfi": "TMFI-Net", "vinet_s": "ViNet or ViNet-S", "vinet_a": "ViNet-A", "stsa_net": "STSA-Net"}[model]


@pytest.mark.parametrize("given", SMALL)
@pytest.mark.parametrize("wanted", SMALL)
def test_a_published_file_of_another_model_is_recognised(given, wanted):
    keys = json.loads((Path(__file__).parents[1] / f"data/models/keys_{given}.json").read_text())
    state = {name: torch.zeros(shape, device="meta") for name, shape, _ in keys if "index" not in name}
    model = SMALL[wanted].build()
    with pytest.raises(CheckpointMismatch) as error:
        load_weights(model, state)
    if given == wanted:  # the full-size file into a small variant
        one_line(error, "of another shape", "the same kind of model with other settings")
    else:
        one_line(error, f"it looks like the published {given_name(given)}", CONFIG_NAMES[given])


def test_index_buffers_of_published_files_are_checked():
    config = SMALL["tmfi"]
    model = config.build()
    index = "backbone.features.0.0.attn.relative_position_index"
    buffers = dict(model.named_buffers())
    load_weights(model, model.state_dict() | {index: buffers[index]})
    with pytest.raises(CheckpointMismatch) as error:
        load_weights(model, model.state_dict() | {index: buffers[index] + 1})
    one_line(error, "1 constant with other values", index)


class Attack:
    def __reduce__(self):
        return os.system, ("touch " + os.environ["ATTACK"],)


@pytest.mark.parametrize("protocol", [2, 4])
def test_code_in_a_pickle_is_not_run(tmp_path, model, monkeypatch, protocol):
    mark = tmp_path / "mark"
    monkeypatch.setenv("ATTACK", str(mark))
    path = tmp_path / "bad.pt"
    torch.save({"state_dict": model.state_dict(), "x": Attack()}, path, pickle_protocol=protocol)
    with pytest.raises(InputError) as error:
        load_weights(model, path)
    one_line(error, "refused", "could run code")
    path.write_bytes(pickle.dumps(Attack(), protocol=protocol))
    with pytest.raises(InputError) as error:
        load_weights(model, path)
    one_line(error, str(path))
    assert not mark.exists()


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_pickle_is_refused(tmp_path, model, legacy, share):
    path = tmp_path / "bad.pth"
    torch.save(model.state_dict(), path, _use_new_zipfile_serialization=not legacy)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError) as error:
        load_weights(model, path)
    one_line(error, "truncated or damaged")


@pytest.mark.parametrize(
    "text", ["<html>404</html>", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2\n", "x"]
)
def test_a_page_in_place_of_the_file_is_not_called_a_danger(tmp_path, model, text):
    path = tmp_path / "bad.pt"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        load_weights(model, path)
    one_line(error, "not a weights file")


def test_a_damaged_pickle_is_refused(tmp_path, model):
    path = tmp_path / "bad.pt"
    torch.save(model.state_dict(), path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name in members:
        if name.endswith("data.pkl"):
            members[name] = b"\x80\x02}q\x00garbage"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(InputError) as error:
        load_weights(model, path)
    one_line(error, str(path))


@pytest.mark.parametrize("content", [{}, {"state_dict": {}}, {"lr": 0.1}, [1, 2], {"a": {"b": torch.ones(1)}}])
def test_files_without_weights_are_refused(tmp_path, model, content):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(InputError) as error:
        load_weights(model, tmp_path / "x.pt")
    one_line(error, str(tmp_path / "x.pt"))


def test_a_sha256_beside_a_file_is_checked(tmp_path, model):
    path = tmp_path / "weights.pth"
    torch.save(model.state_dict(), path)
    sidecar = tmp_path / "weights.pth.sha256"
    sidecar.write_text(f"{file_sha256(path)}  weights.pth\n")
    load_weights(model, path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError) as error:
        load_weights(model, path)
    one_line(error, "weights.pth.sha256")
