"""Checkpoints are whole or absent, and damage is named."""

import errno
from pathlib import Path

import pytest
import torch

from saliency.errors import InputError
from saliency.training import checkpoint
from saliency.training.checkpoint import Checkpoint


def example() -> Checkpoint:
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return Checkpoint(models={"m": model.state_dict()}, optimizers={"m": optimizer.state_dict()}, progress={"step": 7})


def test_round_trip(tmp_path: Path) -> None:
    saved = example()
    checkpoint.save(tmp_path / "c", saved)
    loaded = checkpoint.load(tmp_path / "c")
    assert loaded.progress == saved.progress
    for key, value in saved.models["m"].items():
        assert torch.equal(loaded.models["m"][key], value)
    assert loaded.optimizers["m"]["state"][0]["step"] == saved.optimizers["m"]["state"][0]["step"]


@pytest.mark.parametrize("name", ["m.safetensors", "m.optimizer.pt", "progress.json"])
def test_flipped_bit_is_named(tmp_path: Path, name: str) -> None:
    checkpoint.save(tmp_path / "c", example())
    data = bytearray((tmp_path / "c" / name).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "c" / name).write_bytes(bytes(data))
    with pytest.raises(InputError, match=name):
        checkpoint.load(tmp_path / "c")


def test_missing_file_is_named(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "c", example())
    (tmp_path / "c" / "m.safetensors").unlink()
    with pytest.raises(InputError, match=r"lacks m\.safetensors"):
        checkpoint.load(tmp_path / "c")


def test_without_manifest_it_is_no_checkpoint(tmp_path: Path) -> None:
    checkpoint.save_step(tmp_path, 1, example(), keep=2)
    (tmp_path / "step-00000002").mkdir()
    assert [p.name for p in checkpoint.steps(tmp_path)] == ["step-00000001"]
    with pytest.raises(InputError, match="not a complete checkpoint"):
        checkpoint.load(tmp_path / "step-00000002")


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        checkpoint.save_step(tmp_path, step, example(), keep=2)
    assert [p.name for p in checkpoint.steps(tmp_path)] == ["step-00000002", "step-00000003"]


def test_full_disk_leaves_the_previous_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save_step(tmp_path, 1, example(), keep=1)

    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "_write_bytes", full)
    with pytest.raises(InputError, match=r"disk is full.* needs [\d,]+ bytes"):
        checkpoint.save_step(tmp_path, 2, example(), keep=1)
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000001"]
    assert checkpoint.load(tmp_path / "step-00000001").progress == {"step": 7}
